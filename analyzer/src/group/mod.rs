//! Verdicts put together: by service, or by what is said of providers. Always of one network and one window at a time, so that
//! what is compared was measured side by side.

mod labels;
mod line;
mod prevalence;
mod services;
mod window;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use faultline_record::{Filter, Network, NetworkKind};
use faultline_verdict::label::Registrations;
use faultline_verdict::service::{Cell, Services, parse};
use faultline_verdict::words::counted;

use crate::cli::VerdictsArgs;
use crate::exit::{AnalyzerError, Exit};
use crate::files::{Files, Stop};
use crate::fingerprints;
use crate::interrupt::Interrupt;
use crate::judged::Judged;
use crate::say;

use line::Line;
use window::When;
pub use window::{By, Window};

/// The cells of all files: by window, then by network.
type Cells = BTreeMap<(When, Place), Cell>;

/// A network, in an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    country: Option<String>,
    asn: Option<u32>,
    as_name: Option<String>,
    kind: NetworkKind,
}

impl Place {
    fn of(network: &Network) -> Self {
        let Network { asn, as_name, country, kind } = network.clone();
        Self { country, asn, as_name, kind }
    }

    fn network(&self) -> Network {
        let Self { country, asn, as_name, kind } = self.clone();
        Network { asn, as_name, country, kind }
    }
}

/// Reads all files and prints what they say by service or by label.
pub fn run(options: VerdictsArgs, by: By, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let services = services_of(&options.services)?;
    let labels = labels_of(&options.label_file)?;
    let (format, window) = (options.format, options.window);
    let (cells, files, exit) = collect(options, window, &services, interrupt)?;
    if exit == Exit::Interrupted {
        say("interrupted; what was read so far is not enough for an answer");
        return Ok(exit);
    }
    let lines: Vec<Line> = match by {
        By::Service => services::lines(&cells, &services),
        By::Registration => labels::lines(&cells, &services, &labels),
    };
    line::print(&lines, format)?;
    if exit != Exit::Nothing {
        let measurements: u32 = cells.values().map(Cell::measurements).sum();
        let (networks, windows) = counts(&cells);
        say(&format!(
            "{} on {} in {} ({} read to the end)",
            counted(measurements.into(), "measurement"),
            counted(networks, "network"),
            counted(windows, "window"),
            counted(files, "file")
        ));
    }
    Ok(exit)
}

fn collect(
    options: VerdictsArgs,
    window: Window,
    services: &Services,
    interrupt: &Interrupt,
) -> Result<(Cells, u64, Exit), AnalyzerError> {
    let fingerprints = fingerprints::read(&options.fingerprints)?;
    let mut files = Files::of(&options.files)?;
    let filter = Filter { run: options.run, ..Filter::default() };
    let mut judged = Judged::new(fingerprints, filter, options.target, interrupt);
    let mut cells = Cells::new();
    let end = files.each(|reader| {
        judged.read(reader, |witnessed, verdict| {
            let measurement = &witnessed.measurement;
            let key = (window.of(measurement), Place::of(&measurement.network));
            cells.entry(key).or_default().add(services, &measurement.target, &verdict, measurement.id);
            Ok(())
        })
    });
    let exit = end.map_or_else(Stop::end, |()| Ok(files.exit()))?;
    Ok((cells, files.sound() as u64, exit))
}

fn counts(cells: &Cells) -> (u64, u64) {
    let networks: std::collections::BTreeSet<&Place> = cells.keys().map(|(_, place)| place).collect();
    let windows: std::collections::BTreeSet<&When> = cells.keys().map(|(when, _)| when).collect();
    (networks.len() as u64, windows.len() as u64)
}

/// The services of the test lists, and those of the files.
/// The services of our own lists, and of these files.
pub fn services_of(files: &[PathBuf]) -> Result<Services, AnalyzerError> {
    let mut services = Services::from_test_lists();
    for file in files {
        let (shown, bytes) = read(file, "the service")?;
        services.extend([parse(&shown, &bytes).map_err(|problems| usage(&problems))?]);
    }
    Ok(services)
}

fn labels_of(files: &[PathBuf]) -> Result<Registrations, AnalyzerError> {
    let mut labels = Registrations::from_test_lists();
    for file in files {
        let (shown, bytes) = read(file, "the labels")?;
        labels.extend(Registrations::read(&shown, &bytes).map_err(|problems| usage(&problems))?);
    }
    Ok(labels)
}

fn read(file: &Path, what: &str) -> Result<(String, Vec<u8>), AnalyzerError> {
    let shown = file.display().to_string();
    let bytes = std::fs::read(file)
        .map_err(|error| AnalyzerError::Usage(format!("failed to read {what} in {shown}: {error}")))?;
    Ok((shown, bytes))
}

fn usage(problems: &[impl ToString]) -> AnalyzerError {
    AnalyzerError::Usage(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}
