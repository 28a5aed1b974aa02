//! What a verdict is (design, section 4).

use std::collections::BTreeMap;

use faultline_record::named;
use serde::{Serialize, Serializer};

named! {
    /// What holds for the target, from this vantage, at this time.
    pub enum State {
        /// Determinate evidence of interference: an artefact or a differential.
        Blocked = "blocked",
        /// Consistent with interference, not settled.
        LikelyBlocked = "likely_blocked",
        /// Not working, cause unclear.
        Impaired = "impaired",
        /// Not working, no sign of interference.
        Down = "down",
        /// Below the floor of evidence.
        Insufficient = "insufficient",
        /// Working.
        Ok = "ok",
    }
}

named! {
    /// Who or what is behind it.
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
        /// Several networks of a country are cut off. Said of a country, never of one measurement.
        Shutdown = "shutdown",
        /// Our own defect: clock, load, software.
        Instrument = "instrument",
        /// Not known.
        Unknown = "unknown",
    }
}

/// Probabilities of the three states of a target. They sum to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Probabilities {
    /// Interfered with.
    #[serde(serialize_with = "three_decimals")]
    pub blocked: f64,
    /// Does not work by itself.
    #[serde(serialize_with = "three_decimals")]
    pub down: f64,
    /// Works.
    #[serde(serialize_with = "three_decimals")]
    pub ok: f64,
}

impl Probabilities {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { ok: 1.0 / 3.0, down: 1.0 / 3.0, blocked: 1.0 / 3.0 };

    /// The probability of the state that the verdict names.
    pub fn of(self, state: State) -> f64 {
        match state {
            State::Blocked | State::LikelyBlocked => self.blocked,
            State::Down => self.down,
            State::Ok => self.ok,
            State::Impaired => self.blocked.max(self.down),
            State::Insufficient => 0.0,
        }
    }
}

/// One finding, with what it is worth and what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// `seq` of the observations it rests on.
    pub observations: Vec<u32>,
    /// Rule id; a public contract.
    pub rule: String,
    /// One sentence in plain words.
    pub text: String,
    /// log10 likelihood ratio, blocked against the better of down and ok.
    #[serde(serialize_with = "three_decimals")]
    pub weight: f64,
}

/// A judgement: recomputed at will from the facts, to the same bytes. Its fields, and those of its parts, are written in the order in
/// which they stand here, which is the alphabet's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The likeliest cause.
    pub cause: Cause,
    /// Every cause with some probability; they need not sum to 1.
    #[serde(serialize_with = "map_of_decimals")]
    pub causes: BTreeMap<Cause, f64>,
    /// Everything that was found, strongest first.
    pub evidence: Vec<Evidence>,
    /// The state as each address family saw it, where one was tried; and of the same site over QUIC (`quic`), where that was asked for.
    pub families: BTreeMap<&'static str, State>,
    /// Nodes of the mechanism tree, the deepest that the evidence supports.
    pub mechanisms: Vec<String>,
    /// Probabilities of the target's states.
    pub p: Probabilities,
    /// Names what else it rests on, where there was any: the fingerprints, and the context of other measurements.
    pub references: BTreeMap<&'static str, String>,
    /// Version of the evidence table.
    pub ruleset: String,
    /// What holds.
    pub state: State,
    /// Names its figures (see [`crate::Table::weights`]).
    pub weights: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn three_decimals<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*value))
}

fn map_of_decimals<S: Serializer>(map: &BTreeMap<Cause, f64>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut named: Vec<(&str, f64)> = map.iter().map(|(cause, &p)| (cause.name(), rounded(p))).collect();
    named.sort_by_key(|(name, _)| *name);
    serializer.collect_map(named)
}

/// Rounded to three decimals, without a negative zero.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0 + 0.0
}
