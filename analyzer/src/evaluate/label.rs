//! Labels: the truth about measurements, one JSON object a line (`faultline/label/1`, written by the testbed).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::{Path, PathBuf};

use faultline_record::{MeasurementId, named};
use faultline_verdict::State;
use serde::Deserialize;

/// The format that is read.
const SCHEMA: &str = "faultline/label/1";

/// What the testbed calls its files of labels.
pub const FILE_NAME: &str = "labels.jsonl";

named! {
    /// The causes of the contract (design, section 4); a verdict may know fewer.
    pub enum Cause {
        /// Nothing is wrong.
        None = "none",
        /// Somebody interferes.
        Interference = "interference",
        /// The target is down.
        Target = "target",
        /// The server refuses; the network does not.
        ServerSide = "server_side",
        /// The vantage's own network.
        LocalNetwork = "local_network",
        /// A portal wants a login.
        CaptivePortal = "captive_portal",
        /// The provider is cut off or its resolver is dead.
        Isp = "isp",
        /// Several networks of a country are cut off.
        Shutdown = "shutdown",
        /// Our own defect.
        Instrument = "instrument",
        /// Not known.
        Unknown = "unknown",
    }
}

impl Cause {
    /// Whether it is a failure of something, by nobody's intent towards the target.
    pub fn is_outage(self) -> bool {
        match self {
            Self::Target | Self::LocalNetwork | Self::CaptivePortal | Self::Isp | Self::Shutdown | Self::Instrument => {
                true
            }
            Self::None | Self::Interference | Self::ServerSide | Self::Unknown => false,
        }
    }
}

named! {
    /// Whether weights may be fitted on a family.
    pub enum Split {
        /// They may.
        Train = "train",
        /// They must not: it is held out.
        Test = "test",
    }
}

/// What is true of one measurement.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Label {
    schema: String,
    /// Of which measurement.
    pub measurement: MeasurementId,
    /// The scenario.
    pub scenario: String,
    /// Its family.
    pub family: String,
    /// Whether the family is held out.
    pub split: Split,
    /// The seed of the world.
    pub seed: u64,
    /// Where the probe was.
    pub vantage: String,
    /// When.
    pub phase: String,
    /// What was measured.
    pub input: String,
    /// The state that is true.
    pub state: State,
    /// The states that are right to say.
    pub accept: Vec<State>,
    /// The cause that is true.
    pub cause: Cause,
    /// The causes that are right to say.
    pub accept_causes: Vec<Cause>,
    /// Every cause that holds.
    pub causes: Vec<Cause>,
    /// Every mechanism at work.
    pub mechanisms: Vec<String>,
}

/// What the truth is for the question "is it blocked?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It is.
    Blocked,
    /// It is not, and nobody interferes.
    Benign,
    /// Somebody interferes, and yet it works, or something else stops it: neither answer is wrong by itself.
    Neither,
}

impl Label {
    fn parse(line: &str) -> Result<Self, String> {
        let label: Self = serde_json::from_str(line).map_err(|error| error.to_string())?;
        match &label {
            _ if label.schema != SCHEMA => Err(format!("schema is {:?}, not {SCHEMA:?}", label.schema)),
            _ if label.accept.is_empty() || label.accept_causes.is_empty() || label.causes.is_empty() => {
                Err("accept, accept_causes and causes need an entry".into())
            }
            _ => Ok(label),
        }
    }

    /// Which side of blocked and not blocked it is on.
    pub fn side(&self) -> Side {
        match self.state {
            State::Blocked | State::LikelyBlocked => Side::Blocked,
            _ if self.causes.contains(&Cause::Interference) => Side::Neither,
            State::Ok | State::Down | State::Insufficient | State::Impaired => Side::Benign,
        }
    }

    /// Whether interference is the only cause that is right to say: that it is there can be known from this place.
    pub fn shows_interference(&self) -> bool {
        self.accept_causes.iter().all(|&cause| cause == Cause::Interference)
    }

    /// Whether an outage holds, and nobody interferes.
    pub fn is_plain_outage(&self) -> bool {
        self.has_outage() && !self.causes.contains(&Cause::Interference)
    }

    /// Whether somebody interferes while something else is out of order.
    pub fn has_two_causes(&self) -> bool {
        self.has_outage() && self.causes.contains(&Cause::Interference)
    }

    fn has_outage(&self) -> bool {
        self.causes.iter().any(|cause| cause.is_outage())
    }
}

/// Labels of many files, each measurement's once.
#[derive(Debug, Default)]
pub struct Labels {
    by_measurement: BTreeMap<MeasurementId, (Label, String)>,
    /// Labels that were met again in another file, or in the same.
    pub again: u64,
}

impl Labels {
    /// Reads files, and folders with whatever files of labels are below them.
    pub fn read(paths: &[PathBuf]) -> Result<Self, String> {
        let mut labels = Self::default();
        for path in paths {
            let files = below(path, |name| name == FILE_NAME)?;
            if files.is_empty() {
                return Err(format!("no {FILE_NAME} in {} or below", path.display()));
            }
            files.iter().try_for_each(|file| labels.read_file(file))?;
        }
        Ok(labels)
    }

    fn read_file(&mut self, file: &Path) -> Result<(), String> {
        let text = std::fs::read_to_string(file).map_err(|error| failed(file, &error))?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = format!("{}:{}", file.display(), number + 1);
            let label = Label::parse(line).map_err(|error| format!("{place}: {error}"))?;
            self.add(label, place)?;
        }
        Ok(())
    }

    fn add(&mut self, label: Label, place: String) -> Result<(), String> {
        match self.by_measurement.entry(label.measurement) {
            Entry::Vacant(entry) => {
                entry.insert((label, place));
            }
            Entry::Occupied(entry) if entry.get().0 == label => self.again += 1,
            Entry::Occupied(entry) => {
                return Err(format!("{place}: measurement {} is labelled otherwise at {}", entry.key(), entry.get().1));
            }
        }
        Ok(())
    }

    /// Takes out the label of a measurement.
    pub fn take(&mut self, measurement: MeasurementId) -> Option<Label> {
        self.by_measurement.remove(&measurement).map(|(label, _)| label)
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.by_measurement.len()
    }
}

/// The file itself, or the files below a folder whose names fit, in the order of their paths. Links to folders are not
/// followed.
pub fn below(path: &Path, fits: impl Fn(&str) -> bool + Copy) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).and_then(|entries| {
        entries
            .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))))
            .collect::<io::Result<Vec<_>>>()
    });
    let mut entries = entries.map_err(|error| failed(path, &error))?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let mut files = Vec::new();
    for (entry, kind) in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if kind.is_dir() {
            files.extend(below(&entry, fits)?);
        } else if fits(&name) {
            files.push(entry);
        }
    }
    Ok(files)
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("failed to read {}: {error}", path.display())
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A label of a site that is reset, with some keys changed.
    pub fn label(number: u8, changes: &Value) -> Label {
        let mut object = json!({
            "schema": SCHEMA, "measurement": MeasurementId::from_bytes([number; 16]), "scenario": "s", "family": "f",
            "split": "train", "seed": 1, "vantage": "home", "phase": "now", "input": "https://x.com/",
            "state": "blocked", "accept": ["blocked", "likely_blocked"], "cause": "interference",
            "accept_causes": ["interference"], "causes": ["interference"], "mechanisms": ["tls.reset"], "locus": null
        });
        for (key, value) in changes.as_object().unwrap() {
            object[key] = value.clone();
        }
        Label::parse(&object.to_string()).unwrap()
    }

    #[test]
    fn the_side_is_a_matter_of_state_first_and_of_interference_then() {
        let side = |state: &str, causes: Value| label(1, &json!({"state": state, "causes": causes})).side();
        assert_eq!(side("blocked", json!(["interference", "isp"])), Side::Blocked);
        assert_eq!(side("likely_blocked", json!(["interference"])), Side::Blocked);
        assert_eq!(side("insufficient", json!(["isp"])), Side::Benign);
        assert_eq!(side("ok", json!(["none"])), Side::Benign);
        assert_eq!(side("ok", json!(["interference"])), Side::Neither);
        assert_eq!(side("down", json!(["target", "interference"])), Side::Neither);
    }

    #[test]
    fn a_refusing_server_is_no_outage_and_an_outage_beside_interference_is_not_plain() {
        let of = |causes: Value| label(1, &json!({"causes": causes}));
        assert!(of(json!(["isp"])).is_plain_outage() && of(json!(["shutdown"])).is_plain_outage());
        assert!(!of(json!(["server_side"])).is_plain_outage() && !of(json!(["none"])).is_plain_outage());
        let both = of(json!(["interference", "target"]));
        assert!(both.has_two_causes() && !both.is_plain_outage());
    }

    #[test]
    fn the_same_label_twice_counts_once_and_another_for_the_same_measurement_is_an_error() {
        let mut labels = Labels::default();
        labels.add(label(1, &json!({})), "a:1".into()).unwrap();
        labels.add(label(1, &json!({})), "b:1".into()).unwrap();
        assert_eq!((labels.left(), labels.again), (1, 1));
        let error = labels.add(label(1, &json!({"state": "ok"})), "b:2".into()).unwrap_err();
        assert!(error.starts_with("b:2: ") && error.ends_with("at a:1"), "{error}");
    }

    #[test]
    fn a_label_of_another_schema_or_with_a_word_nobody_knows_is_refused() {
        let good = r#"{"schema":"faultline/label/1","measurement":"01010101-0101-0101-0101-010101010101","scenario":"s",
            "family":"f","split":"test","seed":1,"vantage":"v","phase":"p","input":"i","state":"ok","accept":["ok"],
            "cause":"none","accept_causes":["none"],"causes":["none"],"mechanisms":[]}"#;
        assert!(Label::parse(good).is_ok());
        let bad = [
            ("label/1", "label/2"),
            (r#""state":"ok""#, r#""state":"fine""#),
            (r#"["none"],"causes""#, r#"[],"causes""#),
        ];
        for (from, to) in bad {
            assert!(Label::parse(&good.replace(from, to)).is_err(), "{to}");
        }
    }
}
