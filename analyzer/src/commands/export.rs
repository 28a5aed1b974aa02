//! `analyzer export`: measurements in another tool's format, each once over all files. Streaming: one is in memory at a time.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use faultline_record::{Filter, MeasurementId, Reader, RecordError, Run, Witnessed, ooni};
use faultline_verdict::words::counted;

use crate::cli::ExportArgs;
use crate::exit::{AnalyzerError, Exit};
use crate::files::{Files, Stop};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::say;

/// The name of the file within the folder.
const NAME: &str = "ooni.jsonl";

/// Writes, and says what was left out.
pub fn run(options: &ExportArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let named = |path: &Path, error: &io::Error| {
        AnalyzerError::Output(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    };
    fs::create_dir_all(&options.output).map_err(|error| named(&options.output, &error))?;
    let (part, whole) = (options.output.join(format!("{NAME}.part")), options.output.join(NAME));
    let file = File::create(&part).map_err(|error| named(&part, &error))?;
    let mut export = Export {
        out: BufWriter::with_capacity(1 << 18, file),
        seen: HashSet::new(),
        counts: Counts::default(),
        interrupt,
        progress: Progress::visible(),
    };
    let mut files = Files::of(&options.files)?;
    let end = files.each(|reader| export.file(reader));
    let Export { mut out, counts, .. } = export;
    out.flush().map_err(|error| named(&part, &error))?;
    if let Err(stop) = end {
        let _ = fs::remove_file(&part);
        return stop.end();
    }
    fs::rename(&part, &whole).map_err(|error| named(&whole, &error))?;
    say(&counts.sentence(&whole));
    Ok(files.exit())
}

#[derive(Default)]
struct Counts {
    written: u64,
    again: u64,
    imported: u64,
    foreign: u64,
}

impl Counts {
    fn sentence(&self, file: &Path) -> String {
        let Self { written, again, imported, foreign } = *self;
        let mut text = format!("{} written to {}", counted(written, "measurement"), file.display());
        for (count, why) in [
            (again, "met again and written once"),
            (imported, "left out, since they were imported and their tools have them"),
            (foreign, "left out, since OONI has no test like theirs"),
        ] {
            if count > 0 {
                text = format!("{text}; {} {why}", counted(count, "measurement"));
            }
        }
        text
    }
}

struct Export<'a> {
    out: BufWriter<File>,
    seen: HashSet<MeasurementId>,
    counts: Counts,
    interrupt: &'a Interrupt,
    progress: Progress,
}

impl Export<'_> {
    fn file(&mut self, reader: &Reader) -> Result<Option<Stop>, RecordError> {
        let filter = Filter { with_bodies: true, ..Filter::default() };
        self.progress.begin(reader.file(), reader.count(&filter)?);
        let (mut run, mut failed) = (None, None);
        let stop = reader.for_each(&filter, |witnessed| {
            self.progress.step();
            if self.interrupt.came() {
                return ControlFlow::Break(Some(Stop::Interrupted));
            }
            match self.one(reader, &witnessed, &mut run) {
                Ok(Ok(())) => ControlFlow::Continue(()),
                Ok(Err(error)) => ControlFlow::Break(Some(Stop::Output(error))),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(None)
                }
            }
        })?;
        failed.map_or(Ok(stop.flatten()), Err)
    }

    /// Writes a measurement, or counts why not. `run` is the run of the one before.
    fn one(
        &mut self,
        reader: &Reader,
        witnessed: &Witnessed,
        run: &mut Option<Run>,
    ) -> Result<io::Result<()>, RecordError> {
        let measurement = &witnessed.measurement;
        if !self.seen.insert(measurement.id) {
            self.counts.again += 1;
            return Ok(Ok(()));
        }
        if reader.origin(measurement.id)?.is_some() {
            self.counts.imported += 1;
            return Ok(Ok(()));
        }
        if run.as_ref().is_none_or(|run| run.id != measurement.run) {
            *run = reader.run(measurement.run)?;
        }
        let Some(text) = run.as_ref().and_then(|run| ooni::write(measurement, run, witnessed.began())) else {
            self.counts.foreign += 1;
            return Ok(Ok(()));
        };
        self.counts.written += 1;
        Ok(writeln!(self.out, "{text}"))
    }
}
