//! `analyzer calibrate`: what the weights would be if labels set them, and how far `p` can be trusted.

use std::io::{self, Write};

use faultline_record::Filter;
use faultline_verdict::table;

use crate::calibrate::{Examples, markdown};
use crate::cli::CalibrateArgs;
use crate::evaluate::Row;
use crate::evaluate::label::Labels;
use crate::exit::{AnalyzerError, Exit};
use crate::files::{Files, Stop};
use crate::fingerprints;
use crate::interrupt::Interrupt;
use crate::judged::Judged;

/// Judges what has a label, fits, and prints the page.
pub fn run(options: &CalibrateArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let fingerprints = fingerprints::read(&options.fingerprints)?;
    let mut labels = Labels::read(&options.labels).map_err(AnalyzerError::Usage)?;
    let mut files = Files::of(&options.files)?;
    let mut judged = Judged::new(fingerprints, Filter::default(), None, interrupt);
    let mut examples = Examples::new(table());
    let end = files.each(|reader| {
        judged.read(reader, |witnessed, verdict| {
            if let Some(label) = labels.take(witnessed.measurement.id) {
                examples.add(Row::new(label, &witnessed.measurement, &verdict), &verdict);
            }
            Ok(())
        })
    });
    if let Err(stop) = end {
        return Stop::end(stop);
    }
    let nothing = || AnalyzerError::Nothing("nothing to fit: both `train` and `test` families are needed".into());
    let fit = examples.fit().ok_or_else(nothing)?;
    let text = markdown::page(&examples, &fit);
    match &options.output {
        Some(file) => std::fs::write(file, text)?,
        None => io::stdout().lock().write_all(text.as_bytes())?,
    }
    Ok(files.exit())
}
