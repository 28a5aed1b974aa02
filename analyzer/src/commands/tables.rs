//! `analyzer export --format parquet|csv`: every table of [`TABLES`] as files that other programs read, one file for each partition, written side by
//! side. A folder of Parquet is what `analyzer query` takes back.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use faultline_verdict::words::counted;
use tokio::task::JoinSet;

use super::query::{Opened, ROWS, Watch, blame, drain, runtime};
use crate::cli::{ExportArgs, ExportFormat};
use crate::engine::write::{Csv, Parquet, Rows};
use crate::engine::{Input, Place, TABLES};
use crate::exit::{AnalyzerError, Exit};
use crate::fingerprints::Known;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::say;

/// Writes all tables.
pub fn run(options: &ExportArgs, place: &Place, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let fingerprints = Known::read(&options.fingerprints)?;
    if let Some(there) = TABLES.split(", ").map(|table| options.output.join(table)).find(|folder| folder.exists()) {
        return Err(AnalyzerError::Usage(format!("{} is there already; name another folder", there.display())));
    }
    let Some(Opened { input, whole }) = Opened::of(&options.files, fingerprints)? else { return Ok(Exit::Nothing) };
    let runtime = runtime()?;
    let watch = Arc::new(Watch { interrupt: interrupt.clone(), progress: Progress::counting(ROWS) });
    let end = runtime.block_on(tables(options, place, input, &watch));
    drop(watch);
    runtime.shutdown_background();
    Ok(if end.map_err(|error| blame(&error, place))? { whole } else { Exit::Interrupted })
}

/// Whether all of them are written; `false`: a signal came.
async fn tables(
    options: &ExportArgs,
    place: &Place,
    input: Input,
    watch: &Arc<Watch>,
) -> Result<bool, DataFusionError> {
    let engine = place.engine(input).await?;
    for table in TABLES.split(", ") {
        let folder = options.output.join(table);
        std::fs::create_dir_all(&folder)?;
        let mut parts = JoinSet::new();
        for (number, stream) in engine.query(&format!("SELECT * FROM {table}")).await?.into_iter().enumerate() {
            parts.spawn(part(options.format, folder.clone(), number, stream, Arc::clone(watch)));
        }
        let mut rows = 0;
        while let Some(written) = parts.join_next().await {
            match written.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?? {
                Some(count) => rows += count,
                None => return Ok(false),
            }
        }
        watch.progress.aside(|| say(&format!("{table}: {}", counted(rows, "row"))));
    }
    Ok(true)
}

/// How many rows there were; `None`: a signal came.
async fn part(
    format: ExportFormat,
    folder: std::path::PathBuf,
    number: usize,
    stream: SendableRecordBatchStream,
    watch: Arc<Watch>,
) -> Result<Option<u64>, DataFusionError> {
    let mut rows = rows(format, &folder, number, &stream)?;
    let count = drain(stream, &mut *rows, &watch).await?;
    if count.is_some() {
        rows.finish()?;
    }
    Ok(count)
}

fn rows(
    format: ExportFormat,
    folder: &Path,
    number: usize,
    stream: &SendableRecordBatchStream,
) -> Result<Box<dyn Rows + Send>, DataFusionError> {
    let schema = stream.schema();
    Ok(match format {
        ExportFormat::Parquet => Box::new(Parquet::new(&folder.join(format!("part-{number:04}.parquet")), &schema)?),
        ExportFormat::Csv | ExportFormat::Ooni => {
            let file = File::create_new(folder.join(format!("part-{number:04}.csv")))?;
            Box::new(Csv::new(BufWriter::new(file), &schema)?)
        }
    })
}
