//! `analyzer query`: a question in SQL over the measurements of many files, and over their verdicts.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures_util::StreamExt;
use tokio::runtime::Runtime;

use crate::cli::{QueryArgs, QueryFormat};
use crate::engine::fault::FileFault;
use crate::engine::write::{Csv, Jsonl, Lines, Pages, Parquet, Rows};
use crate::engine::{Input, Place, TABLES, is_parquet_folder};
use crate::exit::{AnalyzerError, Exit};
use crate::files::databases;
use crate::fingerprints::Known;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::say;
use crate::sources::Sources;

/// What is counted.
pub(super) const ROWS: &str = "rows";
/// How often a signal is looked for while nothing comes.
const TICK: Duration = Duration::from_millis(50);

/// Runs the query and prints what comes.
pub fn run(options: &QueryArgs, place: &Place, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    if options.format == QueryFormat::Parquet && options.output.is_none() {
        return Err(AnalyzerError::Usage("--format parquet needs a file: --output FILE".to_owned()));
    }
    let fingerprints = Known::read(&options.fingerprints)?;
    let Some(Opened { input, whole }) = Opened::of(&options.db, fingerprints)? else { return Ok(Exit::Nothing) };
    let runtime = runtime()?;
    let progress =
        if options.output.is_some() { Progress::counting(ROWS) } else { Progress::beside_results_counting(ROWS) };
    let watch = Watch { interrupt: interrupt.clone(), progress };
    let end = runtime.block_on(query(options, place, input, &watch));
    drop(watch);
    // Threads that still read a file are not waited for.
    runtime.shutdown_background();
    Ok(if end.map_err(|error| blame(&error, place))? { whole } else { Exit::Interrupted })
}

/// Whether to go on, and who is told how far it went.
pub(super) struct Watch {
    pub(super) interrupt: Interrupt,
    pub(super) progress: Progress,
}

/// What a command line names, opened and checked.
pub(super) struct Opened {
    /// What can be read of it.
    pub(super) input: Input,
    /// How a command ends that has read all that is left.
    pub(super) whole: Exit,
}

impl Opened {
    /// Opens all; says what is wrong with those that cannot be read. `None`: nothing is left.
    pub(super) fn of(named: &[PathBuf], fingerprints: Known) -> Result<Option<Self>, AnalyzerError> {
        let (folders, files) = places(named)?;
        let Sources { sound, refused } = Sources::open(&files);
        for error in &refused {
            say(&error.to_string());
        }
        let is_empty = sound.is_empty() && folders.is_empty();
        let whole = if refused.is_empty() { Exit::Done } else { Exit::Storage };
        Ok((!is_empty).then_some(Self { input: Input { sources: sound, folders, fingerprints }, whole }))
    }
}

/// What the engine runs on.
pub(super) fn runtime() -> Result<Runtime, AnalyzerError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_time();
    #[cfg(feature = "cluster")]
    builder.enable_io();
    builder.build().map_err(|error| AnalyzerError::Engine(error.to_string()))
}

/// Folders of Parquet, and the databases that are named or stand below a folder.
fn places(named: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<PathBuf>), AnalyzerError> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for path in named {
        let holds_tables = is_parquet_folder(path);
        // A folder without databases stands for itself.
        let found = databases(std::slice::from_ref(path))?;
        files.extend(found.into_iter().filter(|file| !holds_tables || file != path));
        folders.extend(holds_tables.then(|| path.clone()));
    }
    Ok((folders, files))
}

/// Whether it went on to the end; `false`: a signal came.
async fn query(options: &QueryArgs, place: &Place, input: Input, watch: &Watch) -> Result<bool, DataFusionError> {
    let engine = place.engine(input).await?;
    let streams = engine.query(&options.sql).await?;
    let Some(schema) = streams.first().map(|stream| stream.schema()) else { return Ok(true) };
    let mut rows = rows(options, &schema)?;
    for stream in streams {
        if drain(stream, &mut *rows, watch).await?.is_none() {
            return Ok(false);
        }
    }
    rows.finish()?;
    Ok(true)
}

/// Takes a stream to its end: how many rows it had. `None`: a signal came.
pub(super) async fn drain(
    mut stream: SendableRecordBatchStream,
    rows: &mut (dyn Rows + Send),
    watch: &Watch,
) -> Result<Option<u64>, DataFusionError> {
    let mut count = 0;
    loop {
        let next = tokio::time::timeout(TICK, stream.next()).await;
        if watch.interrupt.came() {
            return Ok(None);
        }
        match next {
            Ok(Some(batch)) => {
                let batch = batch?;
                count += batch.num_rows() as u64;
                watch.progress.steps(batch.num_rows() as u64);
                rows.put(&batch)?;
            }
            Ok(None) => return Ok(Some(count)),
            Err(_) => {}
        }
    }
}

fn rows(options: &QueryArgs, schema: &SchemaRef) -> Result<Box<dyn Rows + Send>, DataFusionError> {
    let is_terminal = options.output.is_none() && io::stdout().is_terminal();
    let out = || -> io::Result<Box<dyn Write + Send>> {
        Ok(match &options.output {
            Some(file) => Box::new(BufWriter::new(File::create(file)?)),
            None => Box::new(BufWriter::new(io::stdout())),
        })
    };
    Ok(match (options.format, &options.output) {
        (QueryFormat::Parquet, Some(file)) => Box::new(Parquet::new(file, schema)?),
        (QueryFormat::Jsonl, _) => Box::new(Jsonl::new(out()?)),
        (QueryFormat::Csv, _) => Box::new(Csv::new(out()?, schema)?),
        (QueryFormat::Table, _) if is_terminal => Box::new(Pages::new(out()?, schema)),
        (QueryFormat::Table | QueryFormat::Parquet, _) => Box::new(Lines::new(out()?, schema)?),
    })
}

/// Whose fault it is: the query's, a file's, the output's, or ours.
pub(super) fn blame(error: &DataFusionError, place: &Place) -> AnalyzerError {
    if let Some(error) = place.blame(error) {
        return error;
    }
    let text = || error.find_root().strip_backtrace();
    match error.find_root() {
        DataFusionError::External(source) if source.is::<FileFault>() => AnalyzerError::File(source.to_string()),
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) => AnalyzerError::File(text()),
        DataFusionError::IoError(source) => AnalyzerError::Output(io::Error::new(source.kind(), source.to_string())),
        DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) | DataFusionError::ResourcesExhausted(_) => {
            AnalyzerError::Engine(text())
        }
        _ => AnalyzerError::Usage(format!("the query cannot be answered: {}", plain(&text()))),
    }
}

/// DataFusion's words without the names of its stages, and with the names of our tables where one is missing.
fn plain(text: &str) -> String {
    let text = ["Error during planning: ", "SQL error: ", "Schema error: ", "Arrow error: "]
        .iter()
        .fold(text, |text, stage| text.trim_start_matches(stage));
    let parser = text.strip_prefix("ParserError(\"").and_then(|text| text.strip_suffix("\")"));
    let text = parser.unwrap_or(text).replace("'datafusion.public.", "'");
    if text.starts_with("table ") { format!("{text}; the tables are {TABLES}") } else { text }
}
