//! `analyzer generate`: files of made-up measurements.

use std::path::{Path, PathBuf};

use faultline_record::RecordError;
use faultline_verdict::words::counted;

use crate::cli::GenerateArgs;
use crate::exit::{AnalyzerError, Exit};
use crate::generate::{Campaign, Plan, plans};
use crate::interrupt::Interrupt;
use crate::say;
use crate::threads::side_by_side;

/// What happened in a campaign.
const EVENTS: &str = "events.json";

/// Makes the files, several at a time; none that is there already is touched.
pub fn run(options: &GenerateArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    std::fs::create_dir_all(&options.output)?;
    let measurements = if let Some(days) = options.campaign {
        let campaign = Campaign::new(days, options.files, options.seed);
        let (files, events) = (campaign.files(&options.output), options.output.join(EVENTS));
        is_free(files.iter().map(|(file, _)| file).chain([&events]))?;
        let made = make(&files, interrupt, |(file, number)| campaign.carry_out(file, *number))?;
        std::fs::write(&events, serde_json::to_string_pretty(&campaign.planted).map_err(std::io::Error::from)? + "\n")?;
        made.then(|| campaign.measurements())
    } else {
        let plans = plans(&options.output, options.measurements, options.files, options.seed);
        is_free(plans.iter().map(|plan| &plan.file))?;
        make(&plans, interrupt, Plan::carry_out)?.then_some(options.measurements)
    };
    let Some(measurements) = measurements else { return Ok(Exit::Interrupted) };
    let (measurements, files) = (counted(measurements, "measurement"), counted(options.files, "file"));
    say(&format!("{measurements} in {files} in {}", options.output.display()));
    Ok(Exit::Done)
}

fn is_free<'a>(mut files: impl Iterator<Item = &'a PathBuf>) -> Result<(), AnalyzerError> {
    let there = files.find(|file| Path::exists(file));
    there.map_or(Ok(()), |file| {
        Err(AnalyzerError::Usage(format!("{} is there already; name another folder", file.display())))
    })
}

/// Whether all were made before an interrupt came.
fn make<P: Sync>(
    plans: &[P],
    interrupt: &Interrupt,
    carry_out: impl Fn(&P) -> Result<(), RecordError> + Sync,
) -> Result<bool, AnalyzerError> {
    let one = |plan: &P| if interrupt.came() { Ok(false) } else { carry_out(plan).map(|()| true) };
    let mut done = true;
    for made in side_by_side(plans, one) {
        done &= made?;
    }
    Ok(done)
}
