//! SQL over measurements: Apache DataFusion, embedded. Its tables are files of ours, read in a stream, and folders of Parquet.
//!
//! Verdicts are a table as well, judged by `crates/verdict` as the rows pass; nothing here judges. Nothing else in the
//! analyzer needs the engine, and no command that does without starts it.

mod columns;
mod filters;
mod flat;
mod folders;
mod parts;
mod verdicts;
pub mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::execute_stream_partitioned;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use faultline_record::flat::FLAT;
use faultline_verdict::Fingerprints;

use crate::sources::Source;
use crate::threads::threads;
use flat::FlatTable;
use folders::Folders;
use parts::Units;
use verdicts::VerdictTable;

/// Rows of a batch: DataFusion's own choice, some megabytes of our widest table.
const BATCH: usize = 8192;
/// What sorting, grouping and joining may hold in memory, octets; beyond, DataFusion writes to temporary files.
const MEMORY: usize = 2 << 30;
/// Names of the tables, for words.
pub const TABLES: &str = "measurements, observations, dns_answers, health_checks, verdicts";

/// The engine with its tables.
pub struct Engine {
    context: SessionContext,
}

impl Engine {
    /// Registers the tables: what files and folders of Parquet hold, together.
    pub async fn start(sources: Vec<Source>, folders: &[PathBuf], fingerprints: Fingerprints) -> Result<Self> {
        let config = SessionConfig::new()
            .with_batch_size(BATCH)
            .with_target_partitions(threads())
            .with_information_schema(true)
            .set_bool("datafusion.execution.parquet.pushdown_filters", true);
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(MEMORY, 1.0).build_arc()?;
        let context = SessionContext::new_with_config_rt(config, runtime);
        let folders = Folders::new(folders);
        let units = Arc::new(Units::of(sources)?);
        for table in FLAT {
            folders.register(&context, table.name, Arc::new(FlatTable::new(table, Arc::clone(&units)))).await?;
        }
        let verdicts = VerdictTable::new(units, Arc::new(fingerprints));
        folders.register(&context, "verdicts", Arc::new(verdicts)).await?;
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

/// Whether a folder holds a table of ours as Parquet.
pub fn is_parquet_folder(folder: &Path) -> bool {
    TABLES.split(", ").any(|table| folders::holds(folder, table))
}

/// An error of a file's, through the engine.
fn external(error: faultline_record::RecordError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
