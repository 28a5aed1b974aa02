//! `analyzer evaluate`: verdicts, computed anew from the facts, scored against labels that say what is true.

use std::io::{self, Write};
use std::path::Path;

use faultline_record::Filter;

use crate::cli::{EvaluateArgs, EvaluateFormat};
use crate::evaluate::check::{Committed, Comparison};
use crate::evaluate::label::Labels;
use crate::evaluate::{Basis, Evaluation, Row, markdown};
use crate::exit::{AnalyzerError, Exit};
use crate::files::{Files, Stop};
use crate::fingerprints;
use crate::interrupt::Interrupt;
use crate::judged::Judged;
use crate::say;
use faultline_verdict::Fingerprints;
use faultline_verdict::words::counted;

/// Scores the verdicts of all files, prints the scores, and compares them with committed ones.
pub fn run(options: &EvaluateArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let committed = options.check.as_deref().map(committed).transpose()?;
    let fingerprints = fingerprints::read(&options.fingerprints)?;
    let labels = Labels::read(&options.labels).map_err(AnalyzerError::Usage)?;
    let mut files = Files::of(&options.files)?;
    let evaluation = match evaluate(&mut files, fingerprints, labels, interrupt) {
        Ok(evaluation) => evaluation,
        Err(stop) => {
            say("nothing was scored");
            return stop.end();
        }
    };
    if evaluation.basis.labelled == 0 {
        let basis = &evaluation.basis;
        let (labels, rows) = (counted(basis.missing, "label"), counted(basis.unlabelled, "measurement"));
        return Err(AnalyzerError::Nothing(format!("nothing to score: {labels}, {rows}, and none in common")));
    }
    print(options, &evaluation)?;
    if let Some(file) = &options.write_check {
        let earlier = file.exists().then(|| self::committed(file)).transpose()?;
        std::fs::write(file, Committed::of(&evaluation, earlier).text())?;
    }
    let is_worse = committed.is_some_and(|committed| report(&committed.compare(&evaluation)));
    Ok(if is_worse { Exit::Worse } else { files.exit() })
}

fn committed(file: &Path) -> Result<Committed, AnalyzerError> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let committed = text.and_then(|text| Committed::parse(&text));
    committed.map_err(|error| AnalyzerError::Usage(format!("failed to read {}: {error}", file.display())))
}

fn evaluate(
    files: &mut Files,
    fingerprints: Fingerprints,
    mut labels: Labels,
    interrupt: &Interrupt,
) -> Result<Evaluation, Stop> {
    let mut judged = Judged::new(fingerprints, Filter::default(), None, interrupt);
    let mut basis = Basis { labels_again: labels.again, ..Basis::default() };
    let mut rows = Vec::new();
    files.each(|reader| {
        judged.read(reader, |witnessed, verdict| {
            let Some(label) = labels.take(witnessed.measurement.id) else {
                basis.unlabelled += 1;
                return Ok(());
            };
            rows.push(Row::new(label, &witnessed.measurement, &verdict));
            basis.rulesets.insert(verdict.ruleset);
            Ok(())
        })
    })?;
    basis.files = files.sound() as u64;
    basis.missing = labels.left() as u64;
    basis.measurements_again = judged.again();
    Ok(Evaluation::of(basis, &rows))
}

fn print(options: &EvaluateArgs, evaluation: &Evaluation) -> io::Result<()> {
    let text = match options.format {
        EvaluateFormat::Markdown => markdown::page(evaluation),
        EvaluateFormat::Json => serde_json::to_string_pretty(evaluation)? + "\n",
    };
    match &options.output {
        Some(file) => std::fs::write(file, text),
        None => io::stdout().lock().write_all(text.as_bytes()),
    }
}

/// Says what is worse than committed; whether anything is.
fn report(comparison: &Comparison) -> bool {
    let Comparison { compared, worse, unknown } = comparison;
    for line in worse {
        say(line);
    }
    for family in unknown {
        say(&format!("family {family}: nothing is committed"));
    }
    say(&format!("{} of {} worse than committed", worse.len(), counted(*compared, "figure")));
    !worse.is_empty()
}
