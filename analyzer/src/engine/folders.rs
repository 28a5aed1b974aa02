//! Folders of Parquet beside the files: `TABLE.parquet`, or `TABLE/` with Parquet files in it, as `analyzer export` writes
//! them. Their rows are facts and verdicts of when they were written; nothing is judged again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionContext};

/// The folders that a command line names.
#[derive(Debug)]
pub struct Folders<'f>(&'f [PathBuf]);

/// Whether a folder holds a table of that name as Parquet.
pub fn holds(folder: &Path, table: &str) -> bool {
    place(folder, table).is_some()
}

/// Where a folder holds the table; with a slash at the end if that is a folder, which is how DataFusion knows.
fn place(folder: &Path, table: &str) -> Option<String> {
    let file = folder.join(format!("{table}.parquet"));
    if file.is_file() {
        return Some(file.to_str()?.to_owned());
    }
    let inner = folder.join(table);
    let is_parquet = |path: PathBuf| path.extension().is_some_and(|extension| extension == "parquet");
    let mut entries = std::fs::read_dir(&inner).ok()?.filter_map(|entry| Some(is_parquet(entry.ok()?.path())));
    entries.any(|found| found).then(|| Some(format!("{}/", inner.to_str()?))).flatten()
}

impl<'f> Folders<'f> {
    /// These.
    pub fn new(folders: &'f [PathBuf]) -> Self {
        Self(folders)
    }

    /// Registers a table: the files' rows and those of every folder that has the table. Columns are matched by name; one
    /// that a folder lacks is NULL in its rows.
    pub async fn register(&self, context: &SessionContext, name: &str, files: Arc<dyn TableProvider>) -> Result<()> {
        let places: Vec<String> = self.0.iter().filter_map(|folder| place(folder, name)).collect();
        if places.is_empty() {
            return context.register_table(name, files).map(drop);
        }
        let mut all = context.read_table(files)?;
        for place in places {
            all = all.union_by_name(parquet(context, place).await?)?;
        }
        context.register_table(name, all.into_view()).map(drop)
    }
}

async fn parquet(context: &SessionContext, place: String) -> Result<DataFrame> {
    context.read_parquet(place, ParquetReadOptions::default()).await
}
