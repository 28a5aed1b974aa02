//! Local health: what the vantage itself could do at a moment, as facts. What they mean is derived elsewhere.

use std::net::IpAddr;

use super::ids::{HealthCheckId, RunId};
use super::observation::Outcome;
use crate::names::named;

named! {
    /// Why a check was made.
    pub enum HealthReason {
        /// Before the first target.
        Before = "before",
        /// By the clock, while targets are measured.
        During = "during",
        /// A target failed and the last check was not fresh.
        OnFailure = "on_failure",
        /// The pacing canary: one control, at the run's full pace.
        Canary = "canary",
        /// After the last target.
        After = "after",
        /// None was made: an imported measurement of another tool's, and what answered it in that same measurement.
        Import = "import",
    }
}

named! {
    /// What a signal of local health looked at.
    pub enum SignalKind {
        /// A network interface is up and has an address (value: 1 or 0).
        Link = "link",
        /// There is a default route, per family.
        Route = "route",
        /// The gateway is known to the neighbour table as reachable, where that can be read without privilege.
        Gateway = "gateway",
        /// A captive-portal check over HTTP.
        Captive = "captive",
        /// A control target by name: resolver, TCP, TLS.
        ControlByName = "control_by_name",
        /// A control target by literal address: TCP, TLS.
        ControlByAddress = "control_by_address",
        /// The system's resolver, asked for a control's name.
        Resolver = "resolver",
        /// Our clock minus the HTTP Date of a control (value: seconds).
        Clock = "clock",
        /// Plain HTTP: the same signature (`Via`; RFC 9110, 7.6.3) under the captive-portal checks' answers of operators that share
        /// nothing is that of a proxy on the way (value: 1 or 0). Says nothing of any target.
        Middlebox = "middlebox",
    }
}

/// One signal: what was looked at and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthSignal {
    /// What was looked at.
    pub kind: SignalKind,
    /// Stable name of the control, check, interface or resolver.
    pub name: String,
    /// Who operates it, where it is someone: several providers are wanted.
    pub provider: Option<String>,
    /// 4 or 6, where it concerns one family only.
    pub family: Option<Family>,
    /// Where it was reached, where that is someone else's address.
    pub address: Option<IpAddr>,
    /// How it ended.
    pub outcome: Outcome,
    /// A number, where the kind has one.
    pub value: Option<f64>,
    /// How long it took, milliseconds.
    pub duration_ms: f64,
    /// Words for a reader; never counted.
    pub detail: Option<String>,
}

named! {
    /// Internet protocol family.
    pub enum Family {
        /// IPv4.
        V4 = "ipv4",
        /// IPv6.
        V6 = "ipv6",
    }
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// One check: its signals, and when, on the run's clock.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// Its id.
    pub id: HealthCheckId,
    /// The run it belongs to.
    pub run: RunId,
    /// Why it was made.
    pub reason: HealthReason,
    /// Start, milliseconds since the run's start (monotonic).
    pub offset_ms: f64,
    /// Length, milliseconds.
    pub duration_ms: f64,
    /// What was seen.
    pub signals: Vec<HealthSignal>,
}

impl HealthCheck {
    /// End, milliseconds since the run's start.
    pub fn end_ms(&self) -> f64 {
        self.offset_ms + self.duration_ms
    }
}
