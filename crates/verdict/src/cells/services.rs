//! The rung of services: each submitter's verdicts on endpoints are first joined to one on the service (`any_of`, `all_of`), and those
//! are the voices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use faultline_record::{Measurement, RunId};

use super::voice::{Said, Voice};
use super::{Key, Voices};
use crate::context::{NetworkKey, Submitter};
use crate::service::{Cell, ServiceVerdict, Services};
use crate::verdict::Verdict;

/// Services, and what was seen of them.
#[derive(Debug)]
pub struct ByService {
    /// Which endpoints make which.
    pub known: Services,
    /// By cell and submitter.
    pub seen: BTreeMap<Key, BTreeMap<(NetworkKey, Submitter), Seen>>,
}

/// What one submitter saw of one service.
#[derive(Debug, Default)]
pub struct Seen {
    endpoints: Cell,
    runs: BTreeSet<RunId>,
}

impl ByService {
    /// Counts one measurement.
    pub fn add(&mut self, key: Key, by: (NetworkKey, Submitter), measurement: &Measurement, verdict: &Verdict) {
        let seen = self.seen.entry(key).or_default().entry(by).or_default();
        seen.endpoints.add(&self.known, &measurement.target, verdict, measurement.id);
        seen.runs.insert(measurement.run);
    }

    /// Every cell's voices.
    pub fn voices(&self) -> impl Iterator<Item = (&Key, Voices)> {
        self.seen.iter().map(|(key, seen)| {
            let voice = |(by, seen): (&(NetworkKey, Submitter), &Seen)| Some((by.clone(), self.voice(seen)?));
            (key, seen.iter().filter_map(voice).collect())
        })
    }

    fn voice(&self, seen: &Seen) -> Option<Voice> {
        let verdict = seen.endpoints.services(&self.known).into_iter().next()?;
        let said = Said {
            measurement: witness(&verdict)?,
            run: *seen.runs.first()?,
            state: verdict.state,
            cause: verdict.cause,
            mechanisms: verdict.mechanisms.iter().map(|mechanism| Arc::from(mechanism.as_str())).collect(),
        };
        Some(Voice::of_many(&said, seen.endpoints.measurements(), &seen.runs))
    }
}

/// A measurement of a function that is in the service's own state, else of any.
fn witness(verdict: &ServiceVerdict) -> Option<faultline_record::MeasurementId> {
    let own = verdict.functions.iter().filter(|function| function.state == verdict.state);
    let mut all = own.chain(&verdict.functions).flat_map(|function| &function.roles);
    all.find_map(|role| role.witness)
}
