//! What of the scenario format a world can carry out today. The rest is refused by name when a world starts, so that no
//! scenario is ever judged by a world that left something out.

use anyhow::{Result, bail};

use crate::scenario::censor::{Action, Match};
use crate::scenario::{Broken, Censor, Line, Place, Scenario, Serves, Site, When};

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
        (is_apart(scenario), "rules of the router for some vantages only, or for the lines of several"),
        (scenario.lie.iter().any(|lie| changes(&lie.when)), "a resolver that changes its mind"),
        (
            scenario.fault.iter().any(|fault| is_of_hosts(&fault.broken) && is_timed(&fault.when)),
            "a host's fault by the clock",
        ),
    ];
    let whole = whole.into_iter().find(|(needed, _)| *needed).map(|(_, what)| what.to_owned());
    let lines = [&scenario.link.access, &scenario.link.isp, &scenario.link.home, &scenario.link.abroad];
    let line = || {
        lines.into_iter().any(is_uneven).then(|| "jitter, loss, reordering, duplicates, rates or hops of a line".into())
    };
    let censor = || scenario.censor.iter().find_map(|censor| of_match(&censor.matches).or(of_action(&censor.action)));
    let fault = || scenario.fault.iter().find_map(|fault| of_fault(&fault.broken));
    let site = || scenario.site.iter().find_map(of_site);
    whole.or_else(line).or_else(censor).or_else(fault).or_else(site)
}

fn is_uneven(line: &Line) -> bool {
    *line != Line { delay_ms: line.delay_ms, ..Line::default() }
}

fn of_match(matches: &Match) -> Option<String> {
    match matches {
        Match::Ip { .. } | Match::Dns { .. } | Match::Http { .. } | Match::Text { .. } => None,
        Match::Tls { ech: None, cipher_suites, .. } if cipher_suites.is_empty() => None,
        other => Some(format!("a rule on {other:?}")),
    }
}

fn of_action(action: &Action) -> Option<String> {
    matches!(action, Action::Divert { .. }).then(|| "diverting to another host".into())
}

fn of_fault(broken: &Broken) -> Option<String> {
    matches!(broken, Broken::BrokenIpv6).then(|| format!("{broken:?}"))
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

/// Today's router knows the lines of the first vantage by their place, and makes no difference between vantages.
fn is_apart(scenario: &Scenario) -> bool {
    let near = |censor: &Censor| matches!(censor.at, Place::Access | Place::Isp);
    let faults = || scenario.fault.iter().filter(|fault| !is_of_hosts(&fault.broken));
    let named =
        faults().any(|f| !f.when.vantages.is_empty()) || scenario.censor.iter().any(|c| !c.when.vantages.is_empty());
    named || (scenario.vantage.len() > 1 && (faults().next().is_some() || scenario.censor.iter().any(near)))
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
    fn faults_of_some_vantages_are_the_hosts_and_not_yet_the_router_s() {
        let fault = |kind: &str| toml::from_str(&format!("broken.kind = '{kind}'\nwhen.vantages = ['home']")).unwrap();
        let with = |kind| Scenario { fault: vec![fault(kind)], ..Scenario::plain("own") };
        assert_eq!(obstacle(&with("link_down")), None);
        assert!(obstacle(&with("gateway_down")).is_some());
    }
}
