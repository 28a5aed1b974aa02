//! SQL over measurements: Apache DataFusion, embedded. Its tables are files of ours, read in a stream, and folders of Parquet.
//!
//! Verdicts are a table as well, judged by `crates/verdict` as the rows pass; nothing here judges. Nothing else in the
//! analyzer needs the engine, and no command that does without starts it.

pub mod checked;
mod columns;
pub mod fault;
mod filters;
mod flat;
pub mod folders;
pub mod parts;
pub mod read;
pub mod table;
mod verdicts;
pub mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::execute_stream_partitioned;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};

use crate::exit::AnalyzerError;
use crate::fingerprints::Known;
use crate::sources::Source;
use crate::threads::threads;
use checked::CheckedFiles;
use fault::FileFault;
use folders::Folders;
use parts::Units;
use table::{FilesTable, Means, Table};

/// Rows of a batch: DataFusion's own choice, some megabytes of our widest table.
const BATCH: usize = 8192;
/// What sorting, grouping and joining may hold in memory, octets; beyond, DataFusion writes to temporary files.
pub const MEMORY: usize = 2 << 30;
/// Names of the tables, for words.
pub const TABLES: &str = "measurements, observations, dns_answers, health_checks, verdicts";

/// What queries are asked of.
pub struct Input {
    /// Sound files.
    pub sources: Vec<Source>,
    /// Folders of Parquet.
    pub folders: Vec<PathBuf>,
    /// What verdicts are held against.
    pub fingerprints: Known,
}

/// Where queries run.
#[derive(Clone, Debug)]
pub enum Place {
    /// In this process.
    Here,
    /// On a cluster.
    #[cfg(feature = "cluster")]
    Cluster(crate::cluster::client::Cluster),
}

impl Place {
    /// Starts the engine there.
    pub async fn engine(&self, input: Input) -> Result<Engine> {
        match self {
            Self::Here => Engine::start(input).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => crate::cluster::client::engine(cluster, input).await,
        }
    }

    /// What an error means that came from another process; `None`: it came from this one.
    pub fn blame(&self, error: &DataFusionError) -> Option<AnalyzerError> {
        match (self, error.find_root()) {
            #[cfg(feature = "cluster")]
            (Self::Cluster(cluster), DataFusionError::Execution(words)) => Some(cluster.blame(words)),
            _ => None,
        }
    }
}

/// The engine with its tables.
pub struct Engine {
    context: SessionContext,
}

impl Engine {
    /// Registers the tables: what files and folders of Parquet hold, together.
    pub async fn start(input: Input) -> Result<Self> {
        let config = config().with_target_partitions(threads());
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(MEMORY, 1.0).build_arc()?;
        let context = SessionContext::new_with_config_rt(config, runtime);
        let files = Arc::new(CheckedFiles::default());
        let units = Units::of(input.sources, &files)?;
        Self::with(context, units, Means { files, fingerprints: Arc::new(input.fingerprints) }, &input.folders).await
    }

    /// Registers the tables with a context.
    pub async fn with(context: SessionContext, units: Units, means: Means, folders: &[PathBuf]) -> Result<Self> {
        let (units, means, folders) = (Arc::new(units), Arc::new(means), Folders::new(folders));
        for table in Table::all() {
            let files = FilesTable { table, units: Arc::clone(&units), means: Arc::clone(&means) };
            folders.register(&context, table.name(), Arc::new(files)).await?;
        }
        Ok(Self { context })
    }

    /// Runs a query that reads; one that would make or change anything is refused. The streams are to be taken one after
    /// the other: what is neither sorted nor grouped then comes in the order of the files.
    pub async fn query(&self, sql: &str) -> Result<Vec<SendableRecordBatchStream>> {
        let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let plan = self.context.sql_with_options(sql, reads).await?.create_physical_plan().await?;
        execute_stream_partitioned(plan, self.context.task_ctx())
    }
}

/// How queries are planned, wherever they run.
pub fn config() -> SessionConfig {
    SessionConfig::new()
        .with_batch_size(BATCH)
        .with_information_schema(true)
        .set_bool("datafusion.execution.parquet.pushdown_filters", true)
}

/// Whether a folder holds a table of ours as Parquet.
pub fn is_parquet_folder(folder: &Path) -> bool {
    TABLES.split(", ").any(|table| folders::holds(folder, table))
}

/// An error of a file's, through the engine.
fn external(error: faultline_record::RecordError) -> DataFusionError {
    DataFusionError::External(Box::new(FileFault::from(error)))
}
