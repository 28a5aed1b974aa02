//! Many measurements, from many places, for tests of the context.
#![allow(dead_code, clippy::needless_pass_by_value, clippy::unused_self)] // each test file uses its part; a fluent fixture

use std::sync::Arc;

use faultline_record::{Certificate, Measurement, Network, NetworkKind, Timestamp};
use faultline_verdict::{Context, ControlState, Fingerprints, Grounds, Place, Software, Submitter, Verdict, judge};

use crate::world::{World, healthy};

/// An hour in November 2026, milliseconds.
const NOON: i64 = 1_795_348_800_000;
const HOUR: i64 = 3_600_000;

/// The context of what was added.
#[derive(Clone, Default)]
pub struct Many {
    pub context: Context,
}

/// The measurement, made in that network so many hours after noon.
pub fn at(world: World, asn: u32, country: &str, hour: i64) -> Measurement {
    placed(world.done(), asn, country, hour)
}

/// The same of a finished measurement.
pub fn placed(mut measurement: Measurement, asn: u32, country: &str, hour: i64) -> Measurement {
    let country = Some(country.to_owned());
    measurement.network = Network { asn: Some(asn), as_name: None, country, kind: NetworkKind::Wired };
    measurement.started_at = Timestamp::from_millisecond(NOON + hour * HOUR + 60_000);
    measurement
}

/// The measurement's connections went to another port; somewhere in Germany.
pub fn in_the_clear(mut measurement: Measurement, port: u16, asn: u32) -> Measurement {
    for row in &mut measurement.observations {
        row.port = row.port.map(|_| port);
    }
    placed(measurement, asn, "DE", 0)
}

fn software(version: &str) -> Software {
    Software { version: version.into(), platform: "linux x86_64".into() }
}

/// A chain verifies if its leaf is the name's.
fn proves(chain: &[Arc<Certificate>], name: &str, _at: Timestamp) -> bool {
    chain.first().is_some_and(|leaf| leaf.subject == name)
}

impl Many {
    /// One more, handed in by that submitter.
    pub fn and(self, by: u32, measurement: Measurement) -> Self {
        self.and_with(by, "probe 0.1", measurement)
    }

    /// The same, made by that software.
    pub fn and_with(self, by: u32, version: &str, measurement: Measurement) -> Self {
        self.and_made_by(by, &software(version), measurement)
    }

    /// The same, made by that software on that platform.
    pub fn and_made_by(mut self, by: u32, software: &Software, measurement: Measurement) -> Self {
        let verdict = self.alone(&measurement);
        let place = Place { submitter: Submitter(by), software, began: measurement.started_at };
        self.context.add(&measurement, &verdict, place, &proves);
        self
    }

    /// What the context says of the endpoint, as a control.
    pub fn control(&self, measurement: &Measurement, by: u32) -> ControlState {
        let software = software("probe 0.1");
        let place = Place { submitter: Submitter(by), software: &software, began: measurement.started_at };
        self.context.control(measurement, place)
    }

    /// The verdict on a measurement by itself.
    pub fn alone(&self, measurement: &Measurement) -> Verdict {
        judge(measurement, &healthy())
    }

    /// The verdict in context.
    pub fn judged(&self, measurement: &Measurement, by: u32) -> Verdict {
        self.judged_with(measurement, by, "probe 0.1")
    }

    /// The same, made by that software.
    pub fn judged_with(&self, measurement: &Measurement, by: u32, version: &str) -> Verdict {
        self.judged_made_by(measurement, by, &software(version))
    }

    /// The same, made by that software on that platform.
    pub fn judged_made_by(&self, measurement: &Measurement, by: u32, software: &Software) -> Verdict {
        let place = Place { submitter: Submitter(by), software, began: measurement.started_at };
        Grounds::new(&Fingerprints::NONE).in_context(&self.context, place).judge(measurement, &healthy())
    }
}
