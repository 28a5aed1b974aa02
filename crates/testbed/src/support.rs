//! What of the scenario format a world can carry out today. The rest is refused by name when a world starts, so that no
//! scenario is ever judged by a world that left something out.

use anyhow::{Result, bail};

use crate::scenario::censor::{Action, Match};
use crate::scenario::{Broken, Line, ResolverMode, Scenario, Serves, Site};

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
        (scenario.vantage.len() != 1, "several vantages"),
        (scenario.ipv6, "IPv6"),
        (!scenario.vpn.is_empty(), "VPN servers"),
        (scenario.resolver == ResolverMode::Recursive, "a resolver that recurses"),
        (scenario.lie.iter().any(|lie| !lie.when.phases.is_empty()), "a resolver that changes its mind"),
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
    matches!(broken, Broken::NoRoute | Broken::BrokenIpv6 | Broken::ClockWrong { .. }).then(|| format!("{broken:?}"))
}

fn of_site(site: &Site) -> Option<String> {
    use Serves::{Alert, Eof, Interception, Junk, Mute, Proxy, Reset};
    let kind = matches!(site.serves, Alert | Eof | Interception | Junk | Mute | Proxy | Reset);
    let needs =
        kind || site.http3 || !site.answers_at.is_empty() || site.addresses.iter().any(|address| address.is_ipv6());
    needs.then(|| format!("the site {} ({:?}, HTTP/3, answers per vantage or IPv6)", site.name, site.serves))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_done_is_named() {
        let mut scenario = Scenario::plain("own");
        assert_eq!(obstacle(&scenario), None);
        scenario.site.push(Site { http3: true, ..Site::named("quic.example.org") });
        assert!(obstacle(&scenario).unwrap().contains("quic.example.org"));
        scenario.ipv6 = true;
        assert_eq!(obstacle(&scenario).unwrap(), "IPv6");
    }
}
