//! Prevalence of interference by label: of which providers are more interfered with, on the same networks in the same windows.
//!
//! Counted are pairs of a provider and a cell (a network in a window): however often a server was asked, its provider counts
//! once there. What is not known of a provider is not counted as reached.

use std::collections::BTreeMap;

use faultline_verdict::label::{Registration, Registrations};
use faultline_verdict::service::{ServiceKind, ServiceVerdict, Services};
use faultline_verdict::{Cause, State};
use serde_json::{Value, json};

use super::line::Line;
use super::prevalence::{Difference, Stratum, difference};
use super::{Cells, When};
use crate::evaluate::share::{Share, rounded};

/// What one label has.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Providers in cells.
    units: Share,
    /// Their endpoints in cells.
    endpoints: Share,
}

/// The labels, each with its prevalence; then the comparison.
pub(super) fn lines(cells: &Cells, services: &Services, labels: &Registrations) -> Vec<Line> {
    let mut by_label: BTreeMap<Registration, Counts> = BTreeMap::new();
    let mut strata = Vec::new();
    for ((_, place), cell) in cells {
        let mut stratum = Stratum::default();
        for verdict in cell.services(services).iter().filter(|verdict| verdict.kind != ServiceKind::App) {
            let label = labels.of(&verdict.service, place.country.as_deref());
            let Some(hit) = is_hit(verdict) else { continue };
            let counts = by_label.entry(label).or_default();
            count(&mut counts.units, hit);
            let endpoints = endpoints(verdict);
            counts.endpoints = Share { k: counts.endpoints.k + endpoints.k, n: counts.endpoints.n + endpoints.n };
            match label {
                Registration::Unregistered => count(&mut stratum.first, hit),
                Registration::Registered | Registration::Licensed => count(&mut stratum.second, hit),
                Registration::Unknown => {}
            }
        }
        strata.push(stratum);
    }
    let window = window_words(cells);
    let mut lines: Vec<Line> = by_label.iter().map(|(label, counts)| label_line(*label, counts, &window)).collect();
    lines.push(comparison(difference(&strata), &window));
    lines
}

/// Whether a function of it is interfered with; `None` where nothing is known of any.
fn is_hit(verdict: &ServiceVerdict) -> Option<bool> {
    let known = verdict.functions.iter().any(|function| function.state != State::Insufficient);
    let hit = |state: State| matches!(state, State::Blocked | State::LikelyBlocked);
    let throttled = |state: State, cause: Cause| state == State::Impaired && cause == Cause::Interference;
    let any = verdict.functions.iter().any(|own| hit(own.state) || throttled(own.state, own.cause));
    known.then_some(any)
}

fn endpoints(verdict: &ServiceVerdict) -> Share {
    let states = verdict.functions.iter().flat_map(|function| &function.roles).flat_map(|role| &role.states);
    let known = states.filter(|(state, _)| **state != State::Insufficient);
    known.fold(Share::default(), |Share { k, n }, (state, count)| {
        let hit = matches!(state, State::Blocked | State::LikelyBlocked);
        Share { k: k + if hit { u64::from(*count) } else { 0 }, n: n + u64::from(*count) }
    })
}

fn count(share: &mut Share, hit: bool) {
    *share = Share { k: share.k + u64::from(hit), n: share.n + 1 };
}

fn window_words(cells: &Cells) -> String {
    let mut whens = cells.keys().map(|(when, _)| *when);
    let first = whens.next().map(When::words).unwrap_or_default();
    match whens.next_back().map(When::words).filter(|last| *last != first) {
        Some(last) => format!("{first} to {last}"),
        None => first,
    }
}

fn label_line(label: Registration, counts: &Counts, window: &str) -> Line {
    let Counts { units, endpoints } = counts;
    let (low, high) = units.interval().unwrap_or((0.0, 1.0));
    let percent = |value: f64| format!("{:.0} %", 100.0 * value);
    let words = format!(
        "interfered with in {} of {} pairs of provider and network-window: {} ({} to {}); {} of {} endpoints there",
        units.k,
        units.n,
        percent(units.value().unwrap_or_default()),
        percent(low),
        percent(high),
        endpoints.k,
        endpoints.n
    );
    Line {
        what: label.to_string(),
        window: window.to_owned(),
        words,
        json: json!({"schema": "faultline/label-prevalence/1", "label": label, "providers": units, "endpoints":
                     {"k": endpoints.k, "n": endpoints.n}}),
        ..Line::default()
    }
}

fn comparison(found: Option<Difference>, window: &str) -> Line {
    let words = found.map_or_else(
        || "nothing to compare: in no window was a network measured to providers of both kinds".to_owned(),
        |found| {
            let points = |value: f64| format!("{:+.0}", 100.0 * value);
            let sides = match found {
                Difference { low, .. } if low > 0.0 => "unregistered ones are interfered with more",
                Difference { high, .. } if high < 0.0 => "unregistered ones are interfered with less",
                _ => "no difference is shown",
            };
            format!(
                "unregistered less registered or licensed, side by side in {} network-windows: {} points ({} to {}): {sides}",
                found.strata,
                points(found.value),
                points(found.low),
                points(found.high)
            )
        },
    );
    let json = found.map_or(Value::Null, |found| {
        json!({"value": rounded(found.value), "low": rounded(found.low), "high": rounded(found.high),
               "network_windows": found.strata})
    });
    Line {
        what: "difference".into(),
        window: window.to_owned(),
        words,
        json: json!({"schema": "faultline/label-difference/1", "label": "registration", "first": "unregistered",
                     "second": ["registered", "licensed"], "method": "Mantel-Haenszel, Sato 1989", "difference": json}),
        ..Line::default()
    }
}
