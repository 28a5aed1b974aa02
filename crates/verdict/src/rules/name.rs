//! Rules on a name that fails in TLS: at a stranger's host, in other forms, and at an address that was left alone for a while.

use std::fmt::Display;

use faultline_record::{Observation, Purpose};

use super::Finding;
use super::handshake::{addresses, silence, spoke};
use crate::features::{Connection, Features};

/// The name at the address of a host that has nothing to do with the target, and that answers for its own.
pub(super) fn elsewhere(features: &Features<'_>, failed: &[&Connection<'_>]) -> Option<Finding> {
    let tried = |purpose| features.with_purpose(purpose).filter(|c| c.tls_data().is_some());
    let innocent: Vec<&Connection<'_>> = tried(Purpose::ElsewhereInnocent).collect();
    let own: Vec<&Connection<'_>> = tried(Purpose::Elsewhere).collect();
    let address = own.first()?.address;
    let answered = innocent.iter().filter(|connection| spoke(connection)).count();
    let silent: Vec<_> = own.iter().filter_map(|connection| silence(connection)).collect();
    let (_, at_home) = failed.iter().find_map(|connection| silence(connection))?;
    if answered < innocent.len() || innocent.is_empty() {
        return None;
    }
    let rows = own.iter().chain(&innocent).filter_map(|connection| connection.tls).map(|row| row.seq).collect();
    let fields: &[(&str, &dyn Display)] =
        &[("host", &features.host), ("addresses", &address), ("failed", &silent.len()), ("tries", &own.len())];
    if own.iter().all(|connection| spoke(connection)) {
        return Some(Finding::new("tls.name_passes_elsewhere", rows, fields));
    }
    let (_, mechanism) = silent.first()?;
    let is_same = silent.len() == own.len() && *mechanism == at_home;
    is_same.then(|| Finding::new("tls.name_fails_elsewhere", rows, fields).pointing_at(format!("{mechanism}.sni")))
}

/// An address that was shut until it was left alone, and is shut again for having been asked for the name.
pub(super) fn after_quiet(features: &Features<'_>, failed: &[&Connection<'_>]) -> Option<Finding> {
    let at = addresses(failed);
    let of = |purpose| features.with_purpose(purpose).filter(|c| at.contains(&c.address)).collect::<Vec<_>>();
    let (quiet, own, again) = (of(Purpose::QuietInnocent), of(Purpose::QuietOwn), of(Purpose::QuietAgain));
    let (first, last) = (quiet.first()?, quiet.last()?);
    let (own, again) = (own.last()?, again.last()?);
    let (_, mechanism) = silence(own)?;
    if !spoke(last) || is_heard(again) {
        return None;
    }
    let trigger = failed.iter().filter(|c| c.address == last.address).filter_map(|c| c.tls).map(|row| row.t_ms);
    let begin = trigger.fold(f64::INFINITY, f64::min);
    let seconds = |row: &Observation| ((row.t0_ms - begin) / 1_000.0).round();
    let shut = quiet.iter().rev().find(|connection| !is_heard(connection)).map_or(0.0, |c| seconds(c.tcp));
    let rows = [first, last, own, again].iter().map(|c| c.tls.unwrap_or(c.tcp).seq).collect();
    let fields: &[(&str, &dyn Display)] =
        &[("host", &features.host), ("addresses", &last.address), ("shut", &shut), ("open", &seconds(last.tcp))];
    Some(Finding::new("tls.residual", rows, fields).pointing_at(format!("{mechanism}.sni")))
}

fn is_heard(connection: &Connection<'_>) -> bool {
    connection.tcp.outcome.is_ok() && (connection.tls.is_none() || spoke(connection))
}

/// In which forms the name was answered at the address where it fails: how whoever goes by it reads it.
pub(super) fn forms(features: &Features<'_>, failed: &[&Connection<'_>]) -> Option<Finding> {
    let at = addresses(failed);
    let tried =
        |purpose| features.with_purpose(purpose).find(move |c| at.contains(&c.address) && c.tls_data().is_some());
    let seen: Vec<(&str, &Connection<'_>)> = [
        (Purpose::MixedCase, "with the letters in changing case"),
        (Purpose::LongerName, "in front of a longer name"),
        (Purpose::Tls12, "in TLS 1.2"),
    ]
    .into_iter()
    .filter_map(|(purpose, how)| Some((how, tried.clone()(purpose)?)))
    .collect();
    let words = |wanted: bool| {
        let those = seen.iter().filter(|(_, connection)| spoke(connection) == wanted).map(|(how, _)| *how);
        let text = those.collect::<Vec<_>>().join(", ");
        if text.is_empty() { "no other way".to_owned() } else { text }
    };
    let rows = seen.iter().filter_map(|(_, connection)| connection.tls).map(|row| row.seq).collect();
    let (passes, fails) = (words(true), words(false));
    let fields: &[(&str, &dyn Display)] = &[("host", &features.host), ("passes", &passes), ("fails", &fails)];
    (!seen.is_empty()).then(|| Finding::new("tls.forms", rows, fields))
}
