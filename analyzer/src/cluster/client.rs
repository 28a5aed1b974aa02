//! The side that asks: it opens and cuts the files as for a query of its own, and hands the plan to a scheduler.

use std::sync::Arc;

use ballista_core::extension::{SessionConfigExt, SessionStateExt};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use faultline_verdict::words::counted;

use super::codec::{Local, Logical};
use super::{Address, MESSAGE};
use crate::engine::fault::within;
use crate::engine::parts::Units;
use crate::engine::table::Means;
use crate::engine::{Engine, Input, config};
use crate::exit::AnalyzerError;

/// Ids of measurements and checks that stand in several files and can be sent along: 32 octets each as text, for each table that
/// a query reads, within a [`MESSAGE`].
const IDS: usize = 400_000;

/// A cluster, and how queries are cut for it.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Where its scheduler is.
    pub scheduler: Address,
    /// Into how many parts a step of a query is cut, at most.
    pub partitions: usize,
}

impl Cluster {
    /// Whose fault it is that it did not answer, by the words that came from it.
    pub fn blame(&self, words: &str) -> AnalyzerError {
        match within(words) {
            Some(file) => AnalyzerError::File(format!("on the cluster: {file}")),
            None => AnalyzerError::Cluster(format!("{} did not answer: {words}", self.scheduler)),
        }
    }
}

/// An engine whose queries that cluster runs.
pub async fn engine(cluster: &Cluster, input: Input) -> Result<Engine> {
    let local = Arc::new(Local::default());
    let config = config()
        .with_target_partitions(cluster.partitions)
        // As the scheduler has it in any case, and says.
        .with_round_robin_repartition(false)
        .with_ballista_logical_extension_codec(Arc::new(Logical::new(Arc::clone(&local))))
        .with_ballista_grpc_client_max_message_size(MESSAGE as usize);
    let state = SessionStateBuilder::new_with_default_features().with_config(config).build();
    let Address { host, port } = &cluster.scheduler;
    let context = SessionContext::new_with_state(state.upgrade_for_ballista(format!("http://{host}:{port}"))?);
    let units = Units::of(input.sources, &local.files)?.spread(&local.files)?;
    if let Some((file, ids)) = units.most_left_out(IDS) {
        return Err(DataFusionError::Configuration(format!(
            "{} of {} stand in files named before it, and more than {IDS} in all are too many to tell a cluster; merge the \
             files first",
            counted(ids as u64, "measurement and check"),
            file.display()
        )));
    }
    let means = Means { files: Arc::clone(&local.files), fingerprints: Arc::new(input.fingerprints) };
    Engine::with(context, units, means, &input.folders).await
}
