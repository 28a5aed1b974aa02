//! What was said of an endpoint in a network, in the order of time; and the votes that it comes to.

use std::collections::BTreeMap;
use std::sync::Arc;

use faultline_record::{MeasurementId, Timestamp};

use super::course::Vote;
use crate::cells::effective;
use crate::context::{Hour, NetworkKey, Submitter, hour};
use crate::verdict::{Cause, State, Verdict};

/// What a verdict says of an endpoint, or of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// It works.
    Worked,
    /// Somebody interferes, or likely so.
    Interfered,
    /// It does not work, in a minute in which the network was proven, and it is not known that somebody interferes.
    Failed,
    /// The network is cut off: of the endpoint this says nothing.
    CutOff,
}

impl Said {
    /// What a verdict says; `None` where it says nothing of either.
    pub fn of(verdict: &Verdict) -> Option<Self> {
        Some(match (verdict.state, verdict.cause) {
            (State::Ok, _) => Self::Worked,
            (State::Blocked | State::LikelyBlocked, _) | (State::Impaired, Cause::Interference) => Self::Interfered,
            (_, Cause::Isp) => Self::CutOff,
            (State::Insufficient, _) | (_, Cause::LocalNetwork | Cause::CaptivePortal | Cause::Instrument) => {
                return None;
            }
            (State::Down | State::Impaired, _) => Self::Failed,
        })
    }
}

/// Who may have done it, in the order of [`Point::likely`].
pub const SUSPECTS: [Cause; 3] = [Cause::Interference, Cause::Target, Cause::Isp];

/// One measurement, as far as events are made of it.
#[derive(Clone, Debug)]
pub struct Point {
    /// When it began.
    pub at: Timestamp,
    /// Its id.
    pub id: MeasurementId,
    /// Who handed it in.
    pub submitter: Submitter,
    /// What it says.
    pub said: Said,
    /// Whether that is settled, where it is interference.
    pub is_settled: bool,
    /// How, where somebody interferes: the first of its mechanisms.
    pub mechanism: Option<Arc<str>>,
    /// How likely each of the [`SUSPECTS`] is.
    pub likely: [f32; 3],
}

impl Point {
    /// Its hour.
    pub fn hour(&self) -> Hour {
        hour(self.at)
    }
}

/// A measurement in its network.
pub type Placed<'a> = (&'a NetworkKey, &'a Point);

/// Measurements in the order of time.
pub fn in_order(mut all: Vec<Placed<'_>>) -> Vec<Placed<'_>> {
    all.sort_by_key(|(_, point)| (point.at, point.id));
    all
}

/// What each submitter says in each hour: of what is asked about, how much says so.
pub fn votes<'a>(points: impl Iterator<Item = &'a Point>, is_so: impl Fn(&Point) -> bool) -> Vec<Vote> {
    let mut counts: BTreeMap<(Hour, Submitter), (u32, u32)> = BTreeMap::new();
    for point in points {
        let (so, of) = counts.entry((point.hour(), point.submitter)).or_default();
        (*so, *of) = (*so + u32::from(is_so(point)), *of + 1);
    }
    let vote = |((hour, submitter), (so, of)): (_, (u32, u32))| {
        let share = f64::from(so) / f64::from(of);
        Vote { hour, submitter, share, weight: effective(of) }
    };
    counts.into_iter().map(vote).collect()
}
