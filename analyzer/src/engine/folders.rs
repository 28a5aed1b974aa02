//! Folders of Parquet beside the files: `TABLE.parquet`, or `TABLE/` with Parquet files in it, as `analyzer export` writes
//! them. Their rows are facts and verdicts of when they were written; nothing is judged again.
//!
//! The files are listed once, where the query is asked. Who carries it out opens these and no others, so that one that it
//! does not see is an error; a listing made elsewhere would only be shorter.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::object_store::path::Path as Location;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use serde::{Deserialize, Serialize};

/// The folders that a command line names.
#[derive(Debug)]
pub struct Folders<'f>(&'f [PathBuf]);

/// Whether a folder holds a table of that name as Parquet.
pub fn holds(folder: &Path, table: &str) -> bool {
    !places(folder, table).is_empty()
}

/// The files in which a folder holds the table, in the order of their names.
fn places(folder: &Path, table: &str) -> Vec<PathBuf> {
    let file = folder.join(format!("{table}.parquet"));
    if file.is_file() {
        return vec![file];
    }
    let entries = std::fs::read_dir(folder.join(table)).into_iter().flatten();
    let is_parquet = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "parquet");
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_parquet).collect();
    files.sort_unstable();
    files
}

impl<'f> Folders<'f> {
    /// These.
    pub fn new(folders: &'f [PathBuf]) -> Self {
        Self(folders)
    }

    /// Registers a table: the files' rows and those of every folder that has the table. Columns are matched by name; one
    /// that a folder lacks is NULL in its rows.
    pub async fn register(&self, context: &SessionContext, name: &str, files: Arc<dyn TableProvider>) -> Result<()> {
        let with: Vec<_> = self.0.iter().map(|folder| places(folder, name)).filter(|files| !files.is_empty()).collect();
        if with.is_empty() {
            return context.register_table(name, files).map(drop);
        }
        let mut all = context.read_table(files)?;
        for places in with {
            let table = ParquetTable::open(context, &places).await?;
            all = all.union_by_name(context.read_table(Arc::new(table))?)?;
        }
        context.register_table(name, all.into_view()).map(drop)
    }
}

/// Files of Parquet with the same columns.
#[derive(Debug)]
pub struct ParquetTable {
    schema: SchemaRef,
    files: Vec<ParquetFile>,
}

/// One of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParquetFile {
    /// Its absolute path.
    path: PathBuf,
    /// Octets.
    size: u64,
}

impl ParquetTable {
    /// With the columns that these files have.
    async fn open(context: &SessionContext, places: &[PathBuf]) -> Result<Self> {
        let file = |place: &PathBuf| {
            Ok(ParquetFile { path: std::path::absolute(place)?, size: std::fs::metadata(place)?.len() })
        };
        let files: Vec<ParquetFile> = places.iter().map(file).collect::<Result<_>>()?;
        let state = context.state();
        let store = state.runtime_env().object_store(ObjectStoreUrl::local_filesystem())?;
        let objects = files.iter().map(|file| Ok(file.located()?.object_meta)).collect::<Result<Vec<_>>>()?;
        let schema = format(&state).infer_schema(&state, &store, &objects).await?;
        Ok(Self { schema, files })
    }

    /// As it was where it was opened.
    #[cfg(feature = "cluster")]
    pub fn of(schema: SchemaRef, files: Vec<ParquetFile>) -> Self {
        Self { schema, files }
    }

    /// Its files.
    #[cfg(feature = "cluster")]
    pub fn files(&self) -> &[ParquetFile] {
        &self.files
    }
}

impl ParquetFile {
    fn located(&self) -> Result<PartitionedFile> {
        let mut file = PartitionedFile::new("", self.size);
        file.object_meta.location = Location::from_absolute_path(&self.path)
            .map_err(|error| DataFusionError::Configuration(format!("{}: {error}", self.path.display())))?;
        Ok(file)
    }
}

fn format(session: &dyn Session) -> ParquetFormat {
    ParquetFormat::new().with_options(session.default_table_options().parquet)
}

#[async_trait]
impl TableProvider for ParquetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.files.iter().map(ParquetFile::located).collect::<Result<Vec<_>>>()?;
        let format = format(session);
        let source = format.file_source(TableSchema::from(Arc::clone(&self.schema)));
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(FileGroup::new(files).split_files(session.config().target_partitions()))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        format.create_physical_plan(session, scan).await
    }
}
