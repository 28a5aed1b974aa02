//! Fusion: findings to probabilities, with correlated findings capped.

use crate::rules::Finding;
use crate::table::{Likelihoods, Rule, Table};
use crate::verdict::Probabilities;

/// Share of a group's second finding that still counts (science reference, section 4.1: strongest plus half the next).
const SECOND: f64 = 0.5;

/// Groups of findings that say who is in the path, and nothing of whether the target works: a proxy that passes
/// everything on, throttling, and filters that act now and then. They make interference a cause, and leave the state to the
/// rest.
const BESIDE: [&str; 3] = ["proxy", "throttle", "now_and_then"];

/// Whether a finding stands beside the state.
pub fn is_beside(finding: &Finding) -> bool {
    stands_beside(finding.rule)
}

/// Whether a rule's findings do.
pub fn stands_beside(rule: &Rule) -> bool {
    BESIDE.contains(&rule.group.as_str())
}

/// Prior times likelihoods, normalised.
pub fn fuse(table: &Table, findings: &[Finding]) -> Probabilities {
    let counted = shares(findings.iter().map(|finding| finding.rule));
    weigh(table.prior, counted.into_iter().map(|(rule, share)| (rule.likelihoods, share)))
}

/// Prior (no logarithms) times likelihoods, each as often as its share says, normalised.
pub fn weigh(prior: Likelihoods, counted: impl IntoIterator<Item = (Likelihoods, f64)>) -> Probabilities {
    let start = Likelihoods { blocked: prior.blocked.log10(), down: prior.down.log10(), ok: prior.ok.log10() };
    normalised(counted.into_iter().fold(start, |sum, (likelihoods, share)| sum.plus(likelihoods, share)))
}

/// What of the rules that fired counts, and how much of it: of each group the most telling whole, and the next by half. Of equals,
/// those that come first.
pub fn shares<'a>(fired: impl IntoIterator<Item = &'a Rule>) -> Vec<(&'a Rule, f64)> {
    let mut fired: Vec<&Rule> = fired.into_iter().collect();
    fired.sort_by(|a, b| {
        let spread = |rule: &Rule| rule.likelihoods.spread();
        a.group.cmp(&b.group).then(spread(b).total_cmp(&spread(a)))
    });
    let counts = |group: &[&'a Rule]| group.iter().copied().zip([1.0, SECOND]).collect::<Vec<_>>();
    fired.chunk_by(|a, b| a.group == b.group).flat_map(counts).collect()
}

fn normalised(log10: Likelihoods) -> Probabilities {
    let largest = log10.blocked.max(log10.down).max(log10.ok);
    let share = |column: f64| 10_f64.powf(column - largest);
    let (blocked, down, ok) = (share(log10.blocked), share(log10.down), share(log10.ok));
    let sum = blocked + down + ok;
    Probabilities { ok: ok / sum, down: down / sum, blocked: blocked / sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::table;

    fn fuse(findings: &[Finding]) -> Probabilities {
        super::fuse(table(), findings)
    }

    fn found(ids: &[&str]) -> Vec<Finding> {
        ids.iter().map(|id| Finding::new(id, Vec::new(), &[])).collect()
    }

    #[test]
    fn nothing_found_leaves_the_prior() {
        let p = fuse(&[]);
        assert!((p.blocked - table().prior.blocked).abs() < 1e-9 && (p.ok - table().prior.ok).abs() < 1e-9);
    }

    #[test]
    fn probabilities_sum_to_one_whatever_fires() {
        for rule in &table().rules {
            let p = fuse(&found(&[&rule.id, "tcp.timeout"]));
            assert!((p.ok + p.down + p.blocked - 1.0).abs() < 1e-9, "{}", rule.id);
        }
    }

    #[test]
    fn a_third_finding_of_a_group_adds_nothing() {
        let two = fuse(&found(&["dns.denied_proven", "dns.failure_disputed"]));
        let three = fuse(&found(&["dns.denied_proven", "dns.failure_disputed", "dns.failure_alone"]));
        assert_eq!(two, three);
    }

    #[test]
    fn a_silent_ordinary_site_is_as_likely_dead_as_dropped_and_a_great_service_is_not() {
        let ordinary = fuse(&found(&["tcp.timeout"]));
        assert!((ordinary.blocked - ordinary.down).abs() < 0.05);
        let great = fuse(&found(&["tcp.timeout", "target.rarely_down"]));
        assert!(great.blocked > table().threshold.likely_blocked);
    }
}
