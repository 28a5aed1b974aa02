//! The decision: state, causes and mechanisms from findings, probabilities and the gate.

use std::collections::{BTreeMap, BTreeSet};

use faultline_record::{Endpoint, Family, Measurement, NotRun, Outcome, Purpose, Step, Witness};

use crate::company::Company;
use crate::context::{Context, Entry, Place, Question, entries};
use crate::features::Features;
use crate::fingerprint::Fingerprints;
use crate::fuse::{fuse, is_beside};
use crate::gate::Gate;
use crate::health::HealthState;
use crate::quic;
use crate::rules::{Finding, Known, findings};
use crate::table::{Table, table};
use crate::verdict::{Cause, Evidence, Probabilities, State, Verdict};

/// Causes less likely than this are not listed.
const CAUSE_FLOOR: f64 = 0.01;

/// How likely a cause is that the probe's own checks found beside the measurement. Set by hand: they look for it, and may be
/// mistaken in whose fault it is.
const CHECKED: f64 = 0.9;

/// Judges one measurement by what it saw and by what its run knew of its own network. Pure: the same facts give the same
/// verdict, byte for byte. No fingerprints are used: see [`judge_with`].
pub fn judge(measurement: &Measurement, witness: &Witness) -> Verdict {
    judge_with(&Fingerprints::NONE, measurement, witness)
}

/// The same, with what these fingerprints say of answers and of pages in the clear.
pub fn judge_with(fingerprints: &Fingerprints, measurement: &Measurement, witness: &Witness) -> Verdict {
    Grounds::new(fingerprints).judge(measurement, witness)
}

/// What measurements are judged by: the evidence table, known pages and answers, and what other measurements say: of other
/// networks, and of the same run.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    fingerprints: &'a Fingerprints,
    table: &'static Table,
    context: Option<(&'a Context, Place<'a>)>,
    company: Option<&'a Company>,
    out: Option<Question>,
}

impl<'a> Grounds<'a> {
    /// The table that is compiled in, and no context: what one vantage point knows.
    pub fn new(fingerprints: &'a Fingerprints) -> Self {
        Self { fingerprints, table: table(), context: None, company: None, out: None }
    }

    /// Another table's figures. A finding that it does not know counts for nothing.
    #[must_use]
    pub fn with_table(self, table: &'static Table) -> Self {
        Self { table, ..self }
    }

    /// What other measurements say of one that was made and handed in there.
    #[must_use]
    pub fn in_context(self, context: &'a Context, place: Place<'a>) -> Self {
        Self { context: Some((context, place)), ..self }
    }

    /// The same context, of which one question is not asked.
    #[must_use]
    pub fn without(self, question: Question) -> Self {
        Self { out: Some(question), ..self }
    }

    /// The same without the context of other measurements; those of its run still count.
    #[must_use]
    pub fn out_of_context(self) -> Self {
        Self { context: None, ..self }
    }

    /// What other measurements of its run say.
    #[must_use]
    pub fn among(self, company: &'a Company) -> Self {
        Self { company: Some(company), ..self }
    }

    /// Judges one measurement. Pure: the same facts and grounds give the same verdict, byte for byte.
    pub fn judge(&self, measurement: &Measurement, witness: &Witness) -> Verdict {
        judge_on(self, measurement, witness)
    }

    /// Everything that the context was asked about a measurement, with what it said, how old that is, and by whom; and what its helper
    /// says. Nothing where there is no context.
    pub fn entries(&self, measurement: &Measurement, witness: &Witness) -> Vec<Entry> {
        let Some((context, place)) = self.context else { return Vec::new() };
        let features = features(self, measurement, &Gate::of(measurement, witness), None);
        entries(context, &features, place, &findings(&features))
    }

    fn references(&self) -> BTreeMap<&'static str, String> {
        let fingerprints = Some(("fingerprints", self.fingerprints.snapshot().to_owned()));
        let context = self.context.map(|(context, _)| ("context", context.snapshot()));
        fingerprints.into_iter().filter(|(_, name)| !name.is_empty()).chain(context).collect()
    }

    /// The finding with the figures of this table.
    fn weighed(&self, finding: Finding) -> Option<Finding> {
        if std::ptr::eq(self.table, table()) {
            return Some(finding);
        }
        Some(Finding { rule: self.table.find(&finding.rule.id)?, ..finding })
    }
}

fn judge_on(grounds: &Grounds<'_>, measurement: &Measurement, witness: &Witness) -> Verdict {
    let gate = Gate::of(measurement, witness);
    // Parts of a measurement are judged by what the vantage saw of them alone: other networks do not tell them apart.
    let alone = Grounds { context: None, ..*grounds };
    let judge_family = |family| judge_family(&alone, measurement, &gate, family);
    let whole = self::judge_family(grounds, measurement, &gate, None);
    // Only where other networks said nothing of the whole is one family's view, if nothing is left out, the whole's.
    let is_of_context = |found: &Evidence| found.rule.starts_with("context.");
    let tells = std::ptr::eq(grounds.table, table()) && !whole.evidence.iter().any(is_of_context);
    let is_alone = grounds.context.is_none() || tells;
    let is_whole = |family| is_alone && measurement.observations.iter().all(|row| is_of_family(row, family));
    let state_over = |family| if is_whole(family) { whole.state } else { judge_family(Some(family)).state };
    let tried = [Family::V4, Family::V6].into_iter().filter(|&family| connected_over(measurement, family));
    let families = tried.map(|family| (family.name(), state_over(family))).collect();
    let mut verdict = Verdict { families, ..whole };
    if let Some(over_quic) = quic::apart(measurement) {
        verdict.families.insert("quic", self::judge_family(&alone, &over_quic, &gate, None).state);
    }
    verdict
}

/// Whether a family's view keeps the row: looking at one family leaves out the connections of the other, and nothing else.
fn is_of_family(row: &faultline_record::Observation, family: Family) -> bool {
    row.step() == Step::Dns || row.address.is_none_or(|address| Family::of(address) == family)
}

fn connected_over(measurement: &Measurement, family: Family) -> bool {
    let is_connection = |row: &faultline_record::Observation| matches!(row.step(), Step::Tcp | Step::Quic | Step::Vpn);
    let tried = |row: &&faultline_record::Observation| is_connection(row) && row.outcome.not_run().is_none();
    let mut rows = measurement.observations.iter().filter(tried).filter(|row| row.purpose == Purpose::Main);
    rows.any(|row| row.address.is_some_and(|address| Family::of(address) == family))
}

fn judge_family(grounds: &Grounds<'_>, measurement: &Measurement, gate: &Gate, family: Option<Family>) -> Verdict {
    let table = grounds.table;
    let features = features(grounds, measurement, gate, family);
    let mut found = findings(&features);
    if let Some((context, place)) = grounds.context {
        context.fire(&features, place, grounds.out, &mut found);
    }
    let is_failed = !found.iter().any(|finding| finding.rule.group == "response");
    found.extend(grounds.company.and_then(|company| company.finding(measurement)).filter(|_| is_failed));
    let found: Vec<Finding> = found.into_iter().filter_map(|finding| grounds.weighed(finding)).collect();
    let (beside, about): (Vec<Finding>, Vec<Finding>) = found.iter().cloned().partition(is_beside);
    let p = fuse(table, &about);
    let stands_alone = found.iter().any(|finding| finding.rule.determinate && finding.rule.group == "response");
    let shut = closed(gate, &found).filter(|_| !stands_alone);
    let (state, cause) = match &shut {
        Some((cause, _)) => (State::Insufficient, *cause),
        None if !enough(measurement, &found) => (State::Insufficient, Cause::Unknown),
        None => with_beside(state_and_cause(table, &about, p), &beside),
    };
    Verdict {
        state,
        cause,
        causes: causes(table, (state, cause), &found, p, gate),
        mechanisms: mechanisms(table, (state, cause), &found, p),
        p: if state == State::Insufficient { Probabilities::UNKNOWN } else { p },
        families: BTreeMap::new(),
        ruleset: table.version.clone(),
        weights: table.weights.clone(),
        references: grounds.references(),
        evidence: evidence(measurement, gate, shut.as_ref(), &found),
    }
}

fn features<'m>(
    grounds: &Grounds<'m>,
    measurement: &'m Measurement,
    gate: &Gate,
    family: Option<Family>,
) -> Features<'m> {
    let mut features = Features::of(measurement, family);
    features.known = Known::of(&features, grounds.fingerprints);
    features.silent_operators = gate.silent_operators;
    if gate.state == Some(HealthState::Ipv6Broken) {
        features.connections.retain(|connection| connection.address.is_ipv4() || connection.verified());
    }
    features
}

/// Why failures do not count here, if they do not.
fn closed(gate: &Gate, found: &[Finding]) -> Option<(Cause, String)> {
    let about_dates = found.iter().any(|finding| finding.rule.id == "tls.expired_certificate");
    if gate.closed.is_none() && gate.state == Some(HealthState::ClockWrong) && about_dates {
        return Some((Cause::Instrument, HealthState::ClockWrong.sentence().to_owned()));
    }
    gate.closed.clone()
}

/// The evidence floor: something must have been found, and the measurement must not have been cut short before its
/// outcome was known.
fn enough(measurement: &Measurement, found: &[Finding]) -> bool {
    let works = found.iter().any(|finding| finding.rule.group == "response");
    if found.iter().any(|finding| matches!(finding.rule.id.as_str(), "vpn.unanswerable" | "vpn.no_credentials")) {
        return works;
    }
    let cut = |row: &faultline_record::Observation| {
        row.purpose == Purpose::Main
            && matches!(
                row.outcome,
                Outcome::NotRun(
                    NotRun::Interrupted
                        | NotRun::TargetDeadline
                        | NotRun::MaxTime
                        | NotRun::MaxData
                        | NotRun::NoNetwork
                        | NotRun::LocalLimit
                )
            )
    };
    works || (!found.is_empty() && !measurement.observations.iter().any(cut))
}

fn state_and_cause(table: &Table, found: &[Finding], p: Probabilities) -> (State, Cause) {
    let threshold = table.threshold;
    let fired = |id: &str| found.iter().any(|finding| finding.rule.id == id);
    let determinate = found.iter().any(|finding| finding.rule.determinate && finding.rule.likelihoods.weight() > 0.0);
    let works = found.iter().any(|finding| finding.rule.group == "response");
    match p {
        _ if fired("http.server_refuses") => (State::Ok, Cause::ServerSide),
        p if fired("control.same_refusal") && p.ok >= threshold.ok => (State::Ok, Cause::ServerSide),
        p if fired("context.same_refusal") && p.ok >= threshold.ok => (State::Ok, Cause::ServerSide),
        _ if fired("http.small_segments_pass") => (State::Impaired, Cause::Isp),
        p if works && p.ok >= threshold.ok => (State::Ok, Cause::None),
        p if determinate && p.blocked >= threshold.blocked => (State::Blocked, Cause::Interference),
        _ if fired("context.follows_software") => (State::Insufficient, Cause::Instrument),
        _ if fired("context.feeds_tell_outage") => (State::Impaired, Cause::Isp),
        p if p.blocked >= threshold.likely_blocked => (State::LikelyBlocked, Cause::Interference),
        p if p.down >= threshold.down => (State::Down, Cause::Target),
        _ if fired("context.network_fails") => (State::Impaired, Cause::Isp),
        _ => (State::Impaired, Cause::Unknown),
    }
}

/// The state with what stands beside it: what works by way of a proxy works, and is interfered with; what is slow by
/// somebody's doing neither works nor is blocked.
fn with_beside((state, cause): (State, Cause), beside: &[Finding]) -> (State, Cause) {
    let is_throttled = beside.iter().any(|finding| finding.rule.group == "throttle");
    match state {
        State::Blocked | State::LikelyBlocked | State::Insufficient => (state, cause),
        _ if is_throttled => (State::Impaired, Cause::Interference),
        State::Ok if !beside.is_empty() && cause == Cause::None => (state, Cause::Interference),
        _ => (state, cause),
    }
}

fn causes(
    table: &Table,
    (state, cause): (State, Cause),
    found: &[Finding],
    p: Probabilities,
    gate: &Gate,
) -> BTreeMap<Cause, f64> {
    let mut causes = BTreeMap::new();
    if state == State::Insufficient {
        if cause != Cause::Unknown {
            causes.insert(cause, 1.0);
        }
        return causes;
    }
    causes.insert(Cause::Interference, interference(table, state, found, p));
    causes.insert(Cause::Target, p.down);
    causes.insert(if matches!(cause, Cause::ServerSide | Cause::Isp) { cause } else { Cause::None }, p.ok);
    if state != State::Ok {
        for (other, probability) in at_once(table, found, gate) {
            causes.entry(other).and_modify(|known| *known = known.max(probability)).or_insert(probability);
        }
    }
    causes.retain(|_, probability| *probability >= CAUSE_FLOOR);
    causes
}

/// What is out of order beside whatever the state says: causes do not exclude each other (design, section 4). The target
/// itself, as far as the helper's word alone makes it likely; and what the probe's own checks found of its network and clock.
fn at_once(table: &Table, found: &[Finding], gate: &Gate) -> Vec<(Cause, f64)> {
    let by_helper: Vec<Finding> = found.iter().filter(|finding| finding.rule.group == "control").cloned().collect();
    let target = if by_helper.is_empty() { 0.0 } else { fuse(table, &by_helper).down };
    let own = match gate.state {
        Some(HealthState::ClockWrong) => Some((Cause::Instrument, CHECKED)),
        Some(HealthState::Ipv6Broken) => Some((Cause::Isp, CHECKED)),
        _ => None,
    };
    own.into_iter().chain([(Cause::Target, target)]).collect()
}

/// Interference can be proven beside a target that works all the same (an injector on the way to another resolver).
fn interference(table: &Table, state: State, found: &[Finding], p: Probabilities) -> f64 {
    let pointing = |finding: &&Finding| finding.rule.determinate && finding.mechanism.is_some();
    let counts = |finding: &&Finding| match state {
        State::Ok => true,
        _ => is_beside(finding),
    };
    let beside: Vec<Finding> = found.iter().filter(pointing).filter(counts).cloned().collect();
    if beside.is_empty() { p.blocked } else { fuse(table, &beside).blocked.max(p.blocked) }
}

/// The deepest nodes that the findings point at; none where interference is not what the verdict says.
fn mechanisms(table: &Table, (state, cause): (State, Cause), found: &[Finding], p: Probabilities) -> Vec<String> {
    let shown = match state {
        _ if cause == Cause::Interference => true,
        State::Blocked | State::LikelyBlocked => true,
        State::Ok => interference(table, state, found, p) > table.threshold.blocked,
        State::Impaired | State::Down | State::Insufficient => false,
    };
    let settled = |finding: &Finding| finding.rule.determinate && finding.mechanism.is_some();
    let strongest = found.iter().any(|finding| settled(finding) && !is_beside(finding));
    let counts = |finding: &Finding| match state {
        State::Impaired => is_beside(finding),
        State::Ok => settled(finding),
        _ => finding.rule.determinate || !strongest,
    };
    let pointing = found.iter().filter(|finding| counts(finding));
    let nodes: BTreeSet<&str> = pointing.filter_map(|finding| finding.mechanism.as_deref()).filter(|_| shown).collect();
    let is_prefix =
        |node: &str| nodes.iter().any(|other| other.strip_prefix(node).is_some_and(|rest| rest.starts_with('.')));
    nodes.iter().filter(|node| !is_prefix(node)).map(|&node| node.to_owned()).collect()
}

/// Everything that was found, strongest first, with the gate and with what was left out of the count.
fn evidence(
    measurement: &Measurement,
    gate: &Gate,
    shut: Option<&(Cause, String)>,
    found: &[Finding],
) -> Vec<Evidence> {
    let mut found: Vec<&Finding> = found.iter().collect();
    let strength = |finding: &Finding| {
        let likelihoods = finding.rule.likelihoods;
        (likelihoods.weight().abs(), likelihoods.spread())
    };
    found.sort_by(|a, b| {
        let ((weight_a, spread_a), (weight_b, spread_b)) = (strength(a), strength(b));
        weight_b.total_cmp(&weight_a).then(spread_b.total_cmp(&spread_a)).then_with(|| a.rule.id.cmp(&b.rule.id))
    });
    let mut rows: Vec<Evidence> = found.into_iter().map(Finding::evidence).collect();
    if shut.is_some() {
        // Discarded, and said so: kept for a reader, worth nothing.
        for row in &mut rows {
            row.weight = 0.0;
        }
    }
    rows.push(gate.evidence(shut.map(|(_, why)| why.as_str())));
    rows.extend(cut_short(measurement));
    rows.extend(nothing_to_judge(measurement));
    rows
}

/// An imported test that goes to nothing which rules know.
fn nothing_to_judge(measurement: &Measurement) -> Option<Evidence> {
    let Endpoint::Foreign(url) = &measurement.target.endpoint else { return None };
    let name = url.host_str().unwrap_or_default();
    let text =
        format!("nothing to judge: {name} is a test of another tool's that goes to no endpoint which rules know");
    Some(Evidence { rule: "measurement.nothing_to_judge".into(), weight: 0.0, observations: Vec::new(), text })
}

fn cut_short(measurement: &Measurement) -> Option<Evidence> {
    let reasons = measurement.observations.iter().filter(|row| row.purpose == Purpose::Main);
    let reason = reasons.filter_map(|row| row.outcome.not_run()).find(|reason| {
        matches!(
            reason,
            NotRun::Interrupted | NotRun::TargetDeadline | NotRun::MaxTime | NotRun::MaxData | NotRun::NoNetwork
        )
    })?;
    let text = format!("part of the measurement was not run ({reason}); what was not run is no evidence");
    Some(Evidence { rule: "measurement.cut_short".into(), weight: 0.0, observations: Vec::new(), text })
}
