//! The data model: what a run, a target, a measurement and an observation are. No IO, no judgement.

mod arrival;
mod certificate;
mod endpoint;
mod endpoint_error;
mod endpoint_name;
mod feed;
mod health;
mod ids;
mod intake;
mod measurement;
mod network;
mod observation;
mod origin;
mod pattern;
mod run;
mod target;
mod time;
mod vpn;

pub use arrival::{Arrival, MOST_ARRIVALS};
pub(crate) use arrival::{arrivals_of, arrivals_text};
pub use certificate::{Certificate, hex, sha256};
pub use endpoint::{Endpoint, HostName, LATER_SCHEMES, normal_name};
pub use endpoint_error::EndpointError;
pub use endpoint_name::endpoint_name;
pub use feed::{Announcement, Feed, Place, Point, Series, SeriesKind, SeriesSummary, Stored};
pub use health::{Family, HealthCheck, HealthReason, HealthSignal, SignalKind};
pub use ids::{HealthCheckId, MeasurementId, RunId};
pub use intake::{Intake, IntakeKind, RawText};
pub use measurement::{Measurement, Witness, Witnessed};
pub use network::{Network, NetworkKind};
pub use observation::{
    Dns, DnsAnswer, DnsRecord, Engine, FirstBytes, Http, NotRun, Observation, Outcome, Purpose, QueryType, Step,
    StepData, Tls,
};
pub use origin::Origin;
pub use pattern::Pattern;
pub use run::{PaceMark, Run, RunEnd, RunSummary};
pub use target::{Availability, Target};
pub use time::Timestamp;
pub use vpn::{ServerKey, Vpn, VpnAnswer, VpnCarrier, VpnKey, VpnKind, VpnPayload, VpnProof, VpnProtocol};
