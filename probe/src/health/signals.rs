//! From what was seen of a control to signals of local health. Pure; what the signals mean is derived elsewhere.

use faultline_record::{
    Endpoint, Failure, Family, HealthSignal, Http, Measurement, NotRun, Observation, Outcome, Purpose, SignalKind, Step,
};

use super::middlebox::Signed;
use crate::lists::controls::{Captive, Control};

/// The signals of a control: that it was reached, and, for a control by name, that its name was resolved.
pub fn of_control(control: &Control, measured: &Measurement) -> Vec<HealthSignal> {
    let literal = control.literal();
    let kind = if literal.is_some() { SignalKind::ControlByAddress } else { SignalKind::ControlByName };
    let mut reached = signal(kind, &control.name, &control.provider, measured);
    reached.family = literal.map(|(address, _)| Family::of(address));
    (reached.outcome, reached.address, reached.detail) = reached_end(measured);
    let mut signals = vec![reached];
    if let Some((name, _)) = control.named() {
        signals.push(resolved(control, &name, measured));
    }
    signals
}

/// The signals of a captive-portal check: that the answer was the known one, and how far our clock is from its date.
pub fn of_captive(check: &Captive, measured: &Measurement) -> Vec<HealthSignal> {
    let mut answered = signal(SignalKind::Captive, &check.name, &check.provider, measured);
    let response = main_rows(measured).filter_map(Observation::http).find(|http| http.status.is_some());
    let Some(response) = response else {
        (answered.outcome, answered.address, answered.detail) = failed_end(measured);
        return vec![answered];
    };
    if !is_known_answer(check, response) {
        answered.outcome = Outcome::Failed(Failure::UnexpectedResponse);
        answered.detail = response.status.map(|status| format!("status {status}, {} bytes", response.body_length));
        return vec![answered];
    }
    answered.outcome = Outcome::Ok;
    let mut signals = vec![answered];
    signals.extend(clock(check, response, measured));
    signals
}

/// Who signed a captive-portal check's answer, if it was the known one.
pub fn signed(check: &Captive, measured: &Measurement) -> Option<Signed> {
    let response = main_rows(measured).filter_map(Observation::http).find(|http| http.status.is_some())?;
    is_known_answer(check, response).then(|| Signed::of(&check.provider, response))
}

fn signal(kind: SignalKind, name: &str, provider: &str, measured: &Measurement) -> HealthSignal {
    HealthSignal {
        kind,
        name: name.to_owned(),
        provider: Some(provider.to_owned()),
        family: None,
        address: None,
        outcome: Outcome::NotRun(NotRun::TargetDeadline),
        value: None,
        duration_ms: measured.duration_ms,
        detail: None,
    }
}

fn main_rows(measured: &Measurement) -> impl Iterator<Item = &Observation> {
    measured.observations.iter().filter(|row| row.purpose == Purpose::Main)
}

type End = (Outcome, Option<std::net::IpAddr>, Option<String>);

/// A control is reached when a handshake was verified; for a plain TCP endpoint, when it connected.
fn reached_end(measured: &Measurement) -> End {
    let wanted = if matches!(measured.target.endpoint, Endpoint::Tcp { .. }) { Step::Tcp } else { Step::Tls };
    match main_rows(measured).find(|row| row.step() == wanted && row.outcome.is_ok()) {
        Some(row) => (Outcome::Ok, row.address, None),
        None => failed_end(measured),
    }
}

/// The furthest step that failed; if none was tried, why not.
fn failed_end(measured: &Measurement) -> End {
    let furthest = main_rows(measured).filter(|row| row.outcome.failure().is_some()).max_by_key(|row| row.step());
    if let Some(row) = furthest {
        return (row.outcome, row.address, row.detail.clone());
    }
    let reason = main_rows(measured).find_map(|row| row.outcome.not_run()).unwrap_or(NotRun::TargetDeadline);
    (Outcome::NotRun(reason), None, None)
}

/// Whether the system's resolver gave an address for the control's name.
fn resolved(control: &Control, name: &str, measured: &Measurement) -> HealthSignal {
    let questions = || main_rows(measured).filter(|row| row.dns().is_some_and(|dns| dns.hostname == name));
    let mut resolver = signal(SignalKind::Resolver, &control.name, &control.provider, measured);
    let answered = questions().find(|row| row.outcome.is_ok());
    let asked = answered.or_else(|| questions().find(|row| row.outcome.failure().is_some()));
    if let Some(row) = asked.or_else(|| questions().next()) {
        resolver.outcome = row.outcome;
        resolver.duration_ms = row.t_ms - row.t0_ms;
        resolver.detail.clone_from(&row.detail);
    }
    resolver
}

fn is_known_answer(check: &Captive, response: &Http) -> bool {
    let body = response.body.as_deref().unwrap_or_default();
    response.status == Some(check.status) && body == check.body.as_bytes() && !response.body_truncated
}

/// Our clock minus the answer's Date, corrected by its Age where a cache gave it (RFC 9110, 6.6.1; RFC 9111, 5.1).
fn clock(check: &Captive, response: &Http, measured: &Measurement) -> Option<HealthSignal> {
    let date = jiff::fmt::rfc2822::parse(response.header("date")?).ok()?.timestamp().as_millisecond();
    let age: i64 = response.header("age").and_then(|age| age.trim().parse().ok()).unwrap_or(0);
    let row = main_rows(measured).find(|row| row.http().is_some_and(|http| http.status.is_some()))?;
    let mut clock = signal(SignalKind::Clock, &check.name, &check.provider, measured);
    let ours = i64_to_f64(measured.started_at.as_millisecond() - date) + row.t_ms;
    clock.value = Some((ours / 1_000.0 - i64_to_f64(age)).round());
    clock.outcome = Outcome::Ok;
    Some(clock)
}

/// Differences of clocks fit a double exactly, up to 285,000 years.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn i64_to_f64(ms: i64) -> f64 {
    ms as f64
}

#[cfg(test)]
mod tests {
    use faultline_record::{
        Availability, Dns, Engine, MeasurementId, Network, QueryType, RunId, StepData, Target, Timestamp, Tls,
    };

    use super::*;
    use crate::lists::Controls;

    fn measured(endpoint: &str, rows: Vec<(Outcome, StepData)>) -> Measurement {
        let endpoint = Endpoint::parse(endpoint).unwrap();
        let observations = (1..).zip(rows).map(|(seq, (outcome, data))| Observation {
            seq,
            hop: 0,
            purpose: Purpose::Main,
            connection: None,
            t0_ms: 0.0,
            t_ms: 500.0,
            outcome,
            detail: None,
            address: None,
            port: None,
            ttl: None,
            data,
        });
        Measurement {
            id: MeasurementId::new(),
            run: RunId::new(),
            target: Target {
                input: endpoint.to_string(),
                name: "control".into(),
                endpoint,
                category: None,
                list: None,
                availability: Availability::High,
                private_ca: false,
            },
            started_at: "2026-11-22T10:00:00Z".parse::<Timestamp>().unwrap(),
            offset_ms: 0.0,
            duration_ms: 500.0,
            network: Network::default(),
            observations: observations.collect(),
        }
    }

    fn dns(hostname: &str) -> StepData {
        StepData::Dns(Dns {
            engine: Engine::System,
            resolver: "system".into(),
            hostname: hostname.into(),
            query_type: QueryType::A,
            rcode: Some(0),
            answers: Vec::new(),
            replies: 1,
        })
    }

    fn http(status: u16, body: &str, headers: &[(&str, &str)]) -> StepData {
        StepData::Http(Http {
            status: Some(status),
            body: Some(body.as_bytes().into()),
            body_length: body.len() as u64,
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            ..Http::default()
        })
    }

    fn controls() -> Controls {
        Controls::embedded().unwrap()
    }

    fn control(name: &str) -> Control {
        controls().control.into_iter().find(|control| control.name == name).unwrap()
    }

    fn captive(name: &str) -> Captive {
        controls().captive.into_iter().find(|check| check.name == name).unwrap()
    }

    const RESET: Outcome = Outcome::Failed(Failure::ConnectionReset);

    #[test]
    fn a_control_counts_as_reached_only_by_a_verified_handshake() {
        let rows = |tls| vec![(Outcome::Ok, StepData::Tcp), (tls, StepData::Tls(Tls::default()))];
        let by_address = |tls| {
            let signals = of_control(&control("control/quad9-v4"), &measured("tls://9.9.9.9:443", rows(tls)));
            (signals.len(), signals[0].kind, signals[0].family, signals[0].outcome)
        };
        let kind = SignalKind::ControlByAddress;
        assert_eq!(by_address(Outcome::Ok), (1, kind, Some(Family::V4), Outcome::Ok));
        let unknown = Outcome::Failed(Failure::SslUnknownAuthority);
        assert_eq!(by_address(unknown), (1, kind, Some(Family::V4), unknown));
    }

    #[test]
    fn the_resolver_is_judged_apart_from_what_lies_behind_it() {
        let rows = vec![(Outcome::Ok, dns("example.com")), (RESET, StepData::Tcp)];
        let signals = of_control(&control("control/iana"), &measured("tls://example.com:443", rows));
        assert_eq!((signals[0].kind, signals[0].outcome), (SignalKind::ControlByName, RESET));
        assert_eq!((signals[1].kind, signals[1].outcome), (SignalKind::Resolver, Outcome::Ok));
    }

    #[test]
    fn a_control_that_was_cut_short_is_no_failure() {
        let interrupted = Outcome::NotRun(NotRun::Interrupted);
        let rows = vec![(interrupted, dns("example.com")), (interrupted, StepData::Tcp)];
        for signal in of_control(&control("control/iana"), &measured("tls://example.com:443", rows)) {
            assert_eq!(signal.outcome, interrupted);
        }
    }

    #[test]
    fn only_the_exact_answer_passes_a_captive_check() {
        let check = captive("captive/mozilla");
        let outcome = |data| of_captive(&check, &measured(check.url.as_str(), vec![(Outcome::Ok, data)]))[0].outcome;
        assert_eq!(outcome(http(200, "success\n", &[])), Outcome::Ok);
        for wrong in [http(200, "<html>Log in</html>", &[]), http(302, "", &[]), http(200, "success\n<script>", &[])] {
            assert_eq!(outcome(wrong), Outcome::Failed(Failure::UnexpectedResponse));
        }
        assert_eq!(
            of_captive(&check, &measured(check.url.as_str(), vec![(RESET, StepData::Tcp)]))[0].outcome,
            RESET,
            "no answer is no portal"
        );
    }

    #[test]
    fn only_a_known_answer_tells_who_signed_it() {
        let check = captive("captive/mozilla");
        let by = |body: &str| {
            let seen = http(200, body, &[("via", "1.1 Gate.isp.example (squid)")]);
            signed(&check, &measured(check.url.as_str(), vec![(Outcome::Ok, seen)])).map(|signed| signed.by)
        };
        assert_eq!(by("success\n"), Some(["gate.isp.example".to_owned()].into()));
        assert_eq!(by("<html>Log in</html>"), None);
    }

    #[test]
    fn the_clock_is_held_against_date_and_age() {
        let check = captive("captive/google");
        let skew = |headers: &[(&str, &str)]| {
            let signals =
                of_captive(&check, &measured(check.url.as_str(), vec![(Outcome::Ok, http(204, "", headers))]));
            signals.into_iter().find(|signal| signal.kind == SignalKind::Clock).and_then(|signal| signal.value)
        };
        assert_eq!(skew(&[("date", "Sun, 22 Nov 2026 10:00:00 GMT")]), Some(1.0));
        assert_eq!(skew(&[("date", "Sun, 22 Nov 2026 09:00:00 GMT"), ("age", "3600")]), Some(1.0));
        assert_eq!(skew(&[("date", "Sat, 21 Nov 2026 10:00:00 GMT")]), Some(86_401.0));
        assert_eq!(skew(&[("date", "yesterday")]), None);
        assert_eq!(skew(&[]), None);
    }
}
