//! What of the scenario format a world can carry out today. The rest is refused by name when a world starts, so that no
//! scenario is ever judged by a world that left something out.

use anyhow::{Result, bail};

use crate::scenario::censor::{Action, Match};
use crate::scenario::{Broken, Censor, Place, Scenario, Serves, Site, When};

/// Refuses what a world cannot do.
pub fn check(scenario: &Scenario) -> Result<()> {
    match obstacle(scenario) {
        Some(obstacle) => bail!("the scenario {:?} needs what no world can do yet: {obstacle}", scenario.name),
        None => Ok(()),
    }
}

/// What a world lacks for a scenario, if anything.
pub fn obstacle(scenario: &Scenario) -> Option<String> {
    let whole = [
        (scenario.lie.iter().any(|lie| changes(&lie.when)), "a resolver that changes its mind"),
        (
            scenario.fault.iter().any(|fault| is_of_hosts(&fault.broken) && is_timed(&fault.when)),
            "a host's fault by the clock",
        ),
    ];
    let whole = whole.into_iter().find(|(needed, _)| *needed).map(|(_, what)| what.to_owned());
    whole.or_else(|| scenario.censor.iter().find_map(of_censor)).or_else(|| scenario.site.iter().find_map(of_site))
}

/// Only the first packet of a flow can still go elsewhere.
fn of_censor(censor: &Censor) -> Option<String> {
    let is_late = match censor.matches {
        Match::Ip { .. } | Match::Dns { .. } => false,
        Match::NotAllowlisted { ref protocols, .. } => !protocols.is_empty(),
        _ => true,
    };
    let diverts = matches!(censor.action, Action::Divert { .. });
    (diverts && is_late).then(|| format!("diverting what has begun already: {:?}", censor.matches))
}

fn is_timed(when: &When) -> bool {
    when.after_ms > 0 || when.for_ms.is_some()
}

fn changes(when: &When) -> bool {
    !when.phases.is_empty() || is_timed(when)
}

/// Whether the hosts carry it out, not the router.
fn is_of_hosts(broken: &Broken) -> bool {
    matches!(broken, Broken::LinkDown | Broken::NoRoute | Broken::ClockWrong { .. })
}

fn of_site(site: &Site) -> Option<String> {
    let odd = site.http3 && (site.serves != Serves::Page || !site.https);
    (odd || site.at == Place::Access)
        .then(|| format!("the site {} (HTTP/3 of what is no page, or at the access line)", site.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_done_is_named() {
        let mut scenario = Scenario::plain("own");
        assert_eq!(obstacle(&scenario), None);
        scenario.site.push(Site { http3: true, ..Site::named("quic.example.org") });
        assert_eq!(obstacle(&scenario), None);
        scenario.site[0].serves = Serves::Drip;
        assert!(obstacle(&scenario).unwrap().contains("quic.example.org"));
    }

    #[test]
    fn what_has_begun_cannot_be_diverted() {
        let censor = |kind: &str| {
            toml::from_str(&format!("match.kind = '{kind}'\naction = {{ kind = 'divert', to = '100.64.0.80' }}"))
                .unwrap()
        };
        let with = |kind| Scenario { censor: vec![censor(kind)], ..Scenario::plain("own") };
        assert_eq!((obstacle(&with("ip")), obstacle(&with("dns"))), (None, None));
        assert!(obstacle(&with("tls")).unwrap().contains("begun"));
    }
}
