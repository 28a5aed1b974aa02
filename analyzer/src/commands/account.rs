//! The account of one verdict, in words: verdict, findings with their rows, the vantage, what was not run, where it all
//! comes from, what would settle it.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

use faultline_record::{Endpoint, HealthCheck, Measurement, Observation, Origin, Run, RunSummary, Witnessed, hex};
use faultline_verdict::words::{self, clean};
use faultline_verdict::{
    Company, Evidence, State, Verdict, local_health, state_words, summary_sentence, table, tunnel_words,
};

use crate::page::Page;
use crate::print::{clock_words, percent};
use crate::settle::advice;

use super::light::Light;

/// A measurement and where it was found.
pub struct Found {
    /// The measurement, bodies included, with its witness.
    pub witnessed: Witnessed,
    /// The file it was read from.
    pub file: PathBuf,
    /// Other files that hold it, and whether they hold the same.
    pub also: Vec<(PathBuf, bool)>,
    /// The run it belongs to.
    pub run: Option<Run>,
    /// How that run ended, if it came to an end.
    pub end: Option<RunSummary>,
    /// Where it comes from, if another tool made it.
    pub origin: Option<Origin>,
    /// What the others of its run say of it.
    pub company: Company,
}

/// What an explanation is made from.
pub struct Account<'a> {
    found: &'a Found,
    measurement: &'a Measurement,
    verdict: &'a Verdict,
    /// What others say, and the verdict without them, where they were asked.
    others: Option<(&'a Light, &'a Verdict)>,
}

impl<'a> Account<'a> {
    /// Of that measurement and its verdict.
    pub fn new(found: &'a Found, verdict: &'a Verdict) -> Self {
        Self { found, measurement: &found.witnessed.measurement, verdict, others: None }
    }

    /// The same, with what others say and the verdict without them.
    pub fn among(self, others: Option<(&'a Light, &'a Verdict)>) -> Self {
        Self { others, ..self }
    }

    /// Prints all of it.
    pub fn print<W: Write>(&self, mut page: Page<W>) -> io::Result<()> {
        self.head(&mut page)?;
        self.findings(&mut page)?;
        self.others.map_or(Ok(()), |(light, alone)| light.print(&mut page, alone))?;
        self.other_rows(&mut page)?;
        self.vantage(&mut page)?;
        self.not_run(&mut page)?;
        self.provenance(&mut page)?;
        self.what_would_settle_it(&mut page)?;
        page.finish()
    }

    fn head<W: Write>(&self, page: &mut Page<W>) -> io::Result<()> {
        let (measurement, verdict) = (self.measurement, self.verdict);
        let target = &measurement.target;
        page.say(0, &clean(&format!("{} ({})", target.name, target.input)))?;
        if let Endpoint::Vpn { protocol, .. } = target.endpoint {
            page.say(0, &tunnel_words(protocol))?;
        }
        let from = words::network(&measurement.network);
        let took = words::span(measurement.duration_ms);
        let witnessed = &self.found.witnessed;
        page.say(0, &format!("measured {} from {from}, in {took}", witnessed.began()))?;
        if let Some(ahead_ms) = witnessed.witness.clock_ahead_ms() {
            let clock = clock_words(ahead_ms);
            page.say(2, &format!("(its clock was {clock}; recorded as {})", measurement.started_at))?;
        }
        let sure = match percent(verdict) {
            sure if sure.is_empty() => sure,
            sure => format!(", {sure} sure"),
        };
        page.headline(&format!("Verdict: {}{sure}", state(verdict.state)))?;
        page.say(2, &clean(&summary_sentence(verdict)))?;
        page.say(2, &format!("cause: {}", verdict.cause.name().replace('_', " ")))?;
        if !verdict.mechanisms.is_empty() {
            page.say(2, &clean(&format!("mechanism: {}", verdict.mechanisms.join(", "))))?;
        }
        for (family, state) in &verdict.families {
            page.say(2, &format!("over {family}: {}", self::state(*state)))?;
        }
        let p = verdict.p;
        let (ok, down, blocked) = (p.ok, p.down, p.blocked);
        page.say(2, &format!("probabilities: reachable {ok:.3}, down {down:.3}, blocked {blocked:.3}"))
    }

    fn findings<W: Write>(&self, page: &mut Page<W>) -> io::Result<()> {
        page.headline("Findings, strongest first")?;
        let legend = "(weight: log10 of how much likelier the finding is if somebody interferes than if nobody does; 0 \
                      says nothing)";
        page.say(2, legend)?;
        let mut numbered = (1..).zip(&self.verdict.evidence);
        numbered.try_for_each(|(number, evidence)| self.finding(page, number, evidence))
    }

    fn finding<W: Write>(&self, page: &mut Page<W>, number: usize, evidence: &Evidence) -> io::Result<()> {
        let rule = table().rules.iter().find(|rule| rule.id == evidence.rule);
        let settles = if rule.is_some_and(|rule| rule.determinate) { ", settles the matter" } else { "" };
        page.say(2, &format!("{number}. {}, weight {:+.2}{settles}", evidence.rule, evidence.weight + 0.0))?;
        page.say(5, &clean(&evidence.text))?;
        for seq in evidence.observations.iter().collect::<BTreeSet<_>>() {
            page.say(5, &self.row(*seq))?;
        }
        let origin = rule.map_or("the gate, which weighs nothing", |rule| rule.origin.as_str());
        page.say(5, &format!("weight from: {origin}"))
    }

    fn row(&self, seq: u32) -> String {
        let found = self.measurement.observations.iter().find(|row| row.seq == seq);
        found.map_or_else(|| format!("row {seq}: not in the file"), words::row)
    }

    /// What was seen and no finding rests on: nothing is hidden.
    fn other_rows<W: Write>(&self, page: &mut Page<W>) -> io::Result<()> {
        let told: BTreeSet<u32> =
            self.verdict.evidence.iter().flat_map(|evidence| evidence.observations.clone()).collect();
        let seen = self.measurement.observations.iter().filter(|row| row.outcome.not_run().is_none());
        tell(page, "Seen besides, no finding rests on it", seen.filter(|row| !told.contains(&row.seq)))
    }

    fn not_run<W: Write>(&self, page: &mut Page<W>) -> io::Result<()> {
        let seen = self.measurement.observations.iter().filter(|row| row.outcome.not_run().is_some());
        tell(page, "Not run, and so no evidence", seen)
    }

    fn vantage<W: Write>(&self, page: &mut Page<W>) -> io::Result<()> {
        let witness = &self.found.witnessed.witness;
        page.headline("The vantage itself")?;
        match &witness.before {
            Some(check) => {
                let gap = words::span(self.measurement.offset_ms - check.end_ms());
                self::check(page, &format!("{gap} before"), check)?;
            }
            None => page.say(2, "before: not checked")?,
        }
        for check in &witness.during {
            self::check(page, "meanwhile", check)?;
        }
        match &witness.after {
            Some(check) => {
                let gap = words::span(check.offset_ms - self.measurement.end_ms());
                self::check(page, &format!("{gap} after"), check)?;
            }
            None => page.say(2, "after: not checked")?,
        }
        if witness.overloaded {
            page.say(
                2,
                "control targets failed at the run's pace around this measurement: its own load may be the cause",
            )?;
        }
        Ok(())
    }

    fn provenance<W: Write>(&self, page: &mut Page<W>) -> io::Result<()> {
        page.headline("Where this comes from")?;
        page.say(2, &clean(&format!("file: {}", self.found.file.display())))?;
        for (file, same) in &self.found.also {
            let same = if *same { "the same" } else { "NOT the same under this id" };
            page.say(2, &clean(&format!("also in: {} ({same})", file.display())))?;
        }
        page.say(2, &format!("measurement: {}", self.measurement.id))?;
        if let Some(origin) = &self.found.origin {
            self::origin(page, origin)?;
        }
        page.say(2, &format!("run: {}", self.measurement.run))?;
        self.run(page)?;
        if self.found.origin.is_none() {
            let list = self.measurement.target.list.as_deref().unwrap_or("none, named on the command line");
            page.say(2, &clean(&format!("list: {list}")))?;
        }
        let Verdict { ruleset, weights, references, .. } = self.verdict;
        page.say(2, &format!("judged by: analyzer {}, ruleset {ruleset}", env!("CARGO_PKG_VERSION")))?;
        page.say(4, &format!("weights: {weights}"))?;
        references.iter().try_for_each(|(what, snapshot)| page.say(4, &format!("{what}: {snapshot}")))
    }

    fn run<W: Write>(&self, page: &mut Page<W>) -> io::Result<()> {
        let Some(run) = &self.found.run else { return page.say(4, "the file does not tell about this run") };
        let software = format!("software: {} {} on {}", run.software_name, run.software_version, run.platform);
        page.say(4, &clean(&software))?;
        if self.found.origin.is_some() {
            // A report of another tool's has neither lists nor a plan of ours.
            return page.say(4, &format!("began {}", run.started_at));
        }
        page.say(4, &clean(&format!("TLS client: {}", run.tls_fingerprint)))?;
        page.say(4, &format!("began {}; consent: {}", run.started_at, clean(&run.consent)))?;
        page.say(4, &format!("{} planned, {} left out by category", run.planned, run.left_out))?;
        let end = self.found.end.as_ref().map(|end| {
            let (why, took) = (end.end.name().replace('_', " "), words::span(end.duration_ms));
            format!("ended: {why}, after {took}; {} measured, {} not run", end.measured, end.not_run)
        });
        page.say(4, end.as_deref().unwrap_or("ended: not recorded; it was killed, or it is going on"))?;
        page.say(4, &format!("lists: SHA-256 {}", hex(&run.lists_sha256)))?;
        page.say(4, &format!("plan: SHA-256 {}", hex(&run.plan_sha256)))
    }

    fn what_would_settle_it<W: Write>(&self, page: &mut Page<W>) -> io::Result<()> {
        let advice = advice(self.measurement, self.verdict);
        if advice.is_empty() {
            return page.headline("Settled: for this network at this time, nothing more is needed");
        }
        page.headline("What would settle it")?;
        advice.iter().try_for_each(|sentence| page.say(2, sentence))
    }
}

/// What another tool called it.
fn origin<W: Write>(page: &mut Page<W>, origin: &Origin) -> io::Result<()> {
    let Origin { format, test_name, test_version, report, uid, sha256 } = origin;
    let version = test_version.as_deref().unwrap_or("of an unknown version");
    page.say(2, &clean(&format!("imported: {format} {test_name} {version}")))?;
    let known = [("report", report), ("measurement", uid)];
    known
        .iter()
        .filter_map(|(name, id)| Some((name, (*id).as_deref()?)))
        .try_for_each(|(name, id)| page.say(4, &clean(&format!("its {name}: {id}"))))?;
    page.say(4, &format!("its text: SHA-256 {}", hex(sha256)))
}

fn tell<'r, W: Write>(
    page: &mut Page<W>,
    headline: &str,
    rows: impl Iterator<Item = &'r Observation>,
) -> io::Result<()> {
    let mut rows = rows.peekable();
    if rows.peek().is_some() {
        page.headline(headline)?;
    }
    rows.try_for_each(|row| page.say(2, &words::row(row)))
}

/// The state in words, and its name in data where that differs.
pub fn state(state: State) -> String {
    let (words, name) = (state_words(state), state.name());
    if words == name { words.to_owned() } else { format!("{words} ({name})") }
}

/// A check of the vantage, signal by signal.
fn check<W: Write>(page: &mut Page<W>, when: &str, check: &HealthCheck) -> io::Result<()> {
    let health = local_health(check);
    let controls = format!("{} of {} controls answered", health.controls_ok, health.controls_tried);
    page.say(2, &format!("{when}: {} ({controls})", health.state.sentence()))?;
    check.signals.iter().try_for_each(|signal| page.say(4, &words::signal(signal)))
}
