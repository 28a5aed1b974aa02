//! What sites said the time was, as signals: the vantage's clock minus theirs. One site alone proves nothing; who reads them asks for several.

use std::collections::BTreeSet;

use url::Url;

use crate::model::{Family, HealthSignal, Http, Observation, Outcome, Purpose, SignalKind};

use super::envelope::Envelope;
use super::part::Part;

/// How many sites' words are noted of a measurement.
const SITES: usize = 8;

/// A signal for each site that gave a date over TLS.
pub(super) fn signals(envelope: &Envelope, parts: &[Part]) -> Vec<HealthSignal> {
    let mut told = BTreeSet::new();
    let rows = parts.iter().flat_map(|part| &part.rows).filter(|row| row.purpose != Purpose::Helper);
    let rows = rows.filter_map(|row| Some((row, row.http().filter(|_| row.outcome.is_ok())?)));
    rows.filter_map(|(row, http)| signal(envelope, row, http))
        .filter(|one| told.insert(one.name.clone()))
        .take(SITES)
        .collect()
}

/// Our clock minus the response's Date, corrected by its Age where a cache gave it (RFC 9110, 6.6.1; RFC 9111, 5.1).
fn signal(envelope: &Envelope, row: &Observation, http: &Http) -> Option<HealthSignal> {
    let url = Url::parse(&http.url).ok().filter(|url| url.scheme() == "https")?;
    let theirs = jiff::fmt::rfc2822::parse(http.header("date")?).ok()?.timestamp().as_millisecond();
    let age: i64 =
        http.header("age").map_or(Some(0), |age| age.trim().parse().ok()).filter(|age| (0..=1 << 31).contains(age))?;
    let name = url.domain()?.to_owned();
    #[expect(clippy::cast_precision_loss, reason = "differences of clocks fit a double exactly, up to 285,000 years")]
    let ours = (envelope.started_at.as_millisecond().saturating_sub(theirs)) as f64 + row.t_ms;
    #[expect(clippy::cast_precision_loss, reason = "at most 2^31")]
    let ahead = (ours / 1_000.0 - age as f64).round();
    Some(HealthSignal {
        kind: SignalKind::Clock,
        provider: Some(name.clone()),
        name,
        family: row.address.map(Family::of),
        address: row.address,
        outcome: Outcome::Ok,
        value: Some(ahead),
        duration_ms: 0.0,
        detail: None,
    })
}
