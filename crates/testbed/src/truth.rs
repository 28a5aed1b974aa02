//! The truth of a scenario, and the comparison of what the probe said with it.
//!
//! The vocabulary is written down here a second time, on purpose: a verdict in words that the contract does not have
//! must not pass because both sides share a mistake.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is measured in a scenario, and what is true.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// The probe's exit code, where no `run` says otherwise.
    #[serde(default)]
    pub exit_code: i32,
    /// The state of the network where the probe is, where no `run` says otherwise.
    #[serde(default)]
    pub local_health: Health,
    /// What is different at some vantages or in some phases.
    #[serde(default)]
    pub run: Vec<RunTruth>,
    /// One entry an input; of several for the same input, the first that fits the vantage and the phase holds.
    pub measure: Vec<Expectation>,
}

/// What is true of some runs of the probe.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunTruth {
    /// At these vantages; everywhere if none is named.
    #[serde(default)]
    pub vantages: Vec<String>,
    /// In these phases; always if none is named.
    #[serde(default)]
    pub phases: Vec<String>,
    /// The probe's exit code.
    #[serde(default)]
    pub exit_code: i32,
    /// The state of the network where the probe is.
    #[serde(default)]
    pub local_health: Health,
}

/// What is true of one input.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The input, as it is given to the probe.
    pub input: String,
    /// At these vantages; everywhere if none is named.
    #[serde(default)]
    pub vantages: Vec<String>,
    /// In these phases; always if none is named.
    #[serde(default)]
    pub phases: Vec<String>,
    /// The state that is true, then others that are right to say where the evidence cannot decide.
    pub state: Vec<State>,
    /// The cause that is true, then others that are right to say where the vantage point cannot tell them apart.
    pub cause: Vec<Cause>,
    /// The mechanism that has to be found, or one below it. None: none has to be, and none may but those of `mechanisms`.
    #[serde(default)]
    pub mechanism: Option<String>,
    /// All causes that hold, if there are more than the first of `cause`.
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// All mechanisms at work, if there are more than `mechanism` (or none can be found from here).
    #[serde(default)]
    pub mechanisms: Vec<String>,
    /// Where the trouble is.
    #[serde(default)]
    pub locus: Option<Locus>,
    /// How far the exchange with a tunnel's server has to have got, in the words of the probe's rows (`first_answer`,
    /// `handshake`, `server_identity`, `data`).
    #[serde(default)]
    pub proof: Option<String>,
    /// All this is true only if the censor of this name acted on the run; otherwise the target is `ok`.
    #[serde(default)]
    pub if_acted: Option<String>,
}

/// Where on the way the trouble is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Locus {
    /// The client's own machine or home.
    Local,
    /// The ISP's network.
    Isp,
    /// The ISP's resolver.
    Resolver,
    /// Between the ISP and the rest of the world.
    Border,
    /// The target or its provider.
    Target,
}

/// The `state` of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the design's table of verdicts documents them")]
pub enum State {
    Ok,
    Blocked,
    LikelyBlocked,
    Impaired,
    Down,
    Insufficient,
}

/// The `cause` of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the design's table of verdicts documents them")]
pub enum Cause {
    None,
    Interference,
    Target,
    ServerSide,
    LocalNetwork,
    CaptivePortal,
    Isp,
    Shutdown,
    Instrument,
    Unknown,
}

/// The `local_health.state` of a measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the design's command line documents them")]
pub enum Health {
    #[default]
    Ok,
    NoNetwork,
    NoInternet,
    DnsDown,
    CaptivePortal,
    Ipv6Broken,
    ClockWrong,
}

/// One way in which the probe's words differ from the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The input, or the part of the run that it is about.
    pub about: String,
    /// What should have been said.
    pub truth: String,
    /// What was said.
    pub said: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: truth {}, said {}", self.about, self.truth, self.said)
    }
}

/// Whether a list of names, empty for "any", has this one.
fn holds(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|known| known == name)
}

impl Truth {
    /// Every list of vantages with its list of phases, for checking.
    pub fn scopes(&self) -> impl Iterator<Item = (&[String], &[String])> {
        let runs = self.run.iter().map(|run| (&run.vantages[..], &run.phases[..]));
        runs.chain(self.measure.iter().map(|measure| (&measure.vantages[..], &measure.phases[..])))
    }

    /// What is true of the run at this vantage in this phase.
    #[must_use]
    pub fn at(&self, vantage: &str, phase: &str) -> Self {
        let fits = |vantages: &[String], phases: &[String]| holds(vantages, vantage) && holds(phases, phase);
        let run = self.run.iter().find(|run| fits(&run.vantages, &run.phases));
        let mut measure: Vec<Expectation> = Vec::new();
        for expectation in self.measure.iter().filter(|entry| fits(&entry.vantages, &entry.phases)) {
            if !measure.iter().any(|known| known.input == expectation.input) {
                measure.push(expectation.clone());
            }
        }
        Self {
            exit_code: run.map_or(self.exit_code, |run| run.exit_code),
            local_health: run.map_or(self.local_health, |run| run.local_health),
            run: Vec::new(),
            measure,
        }
    }

    /// The truth of a run in which the censors that act by chance did so or not, as `acted` says of each by name: a target
    /// that was left alone is `ok`.
    #[must_use]
    pub fn given(mut self, acted: impl Fn(&str) -> bool) -> Self {
        for expectation in &mut self.measure {
            if expectation.if_acted.as_deref().is_some_and(|censor| !acted(censor)) {
                expectation.spare();
            }
        }
        self
    }

    /// Compares a whole run: its exit code and the lines that it printed.
    pub fn compare(&self, exit_code: Option<i32>, stdout: &str) -> Vec<Difference> {
        let mut differences = Vec::new();
        if exit_code != Some(self.exit_code) {
            differences.push(difference("exit code", self.exit_code, exit_code));
        }
        let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect();
        if lines.len() != self.measure.len() {
            differences.push(difference("number of lines", self.measure.len(), lines.len()));
        }
        for expectation in &self.measure {
            match lines.iter().find(|line| line["input"] == expectation.input.as_str()) {
                Some(line) => differences.extend(self.compare_line(expectation, line)),
                None => differences.push(difference(&expectation.input, "a measurement", "nothing")),
            }
        }
        differences
    }

    fn compare_line(&self, expectation: &Expectation, line: &Value) -> Vec<Difference> {
        let verdict = &line["verdict"];
        let state = State::deserialize(&verdict["state"]).ok();
        let cause = Cause::deserialize(&verdict["cause"]).ok();
        let health = Health::deserialize(&line["local_health"]["state"]).ok();
        let about = |part: &str| format!("{} {part}", expectation.input);
        let mut differences = Vec::new();
        if line["schema"] != "faultline/measurement/1" {
            differences.push(difference(&about("schema"), "faultline/measurement/1", &line["schema"]));
        }
        if !state.is_some_and(|state| expectation.state.contains(&state)) {
            differences.push(difference(&about("state"), &expectation.state, &verdict["state"]));
        }
        if !cause.is_some_and(|cause| expectation.cause.contains(&cause)) {
            differences.push(difference(&about("cause"), &expectation.cause, &verdict["cause"]));
        }
        if health != Some(self.local_health) {
            differences.push(difference(&about("health"), self.local_health, &line["local_health"]["state"]));
        }
        if !expectation.allows_mechanisms(&verdict["mechanisms"]) {
            differences.push(difference(&about("mechanisms"), &expectation.mechanism, &verdict["mechanisms"]));
        }
        let proofs = proofs(line);
        if expectation.proof.as_ref().is_some_and(|proof| !proofs.contains(&proof.as_str())) {
            differences.push(difference(&about("proof"), &expectation.proof, proofs));
        }
        differences
    }
}

impl Expectation {
    fn spare(&mut self) {
        (self.state, self.cause) = (vec![State::Ok], vec![Cause::None]);
        (self.mechanism, self.locus) = (None, None);
        self.causes.clear();
        self.mechanisms.clear();
    }

    fn allows_mechanisms(&self, said: &Value) -> bool {
        let Some(said) = said.as_array() else { return false };
        match &self.mechanism {
            None => said.iter().filter_map(Value::as_str).all(|found| self.is_at_work(found)),
            Some(wanted) => said.iter().filter_map(Value::as_str).any(|found| is_below(found, wanted)),
        }
    }
}

impl Expectation {
    /// Whether a mechanism is one of those at work, however deeply it is named.
    fn is_at_work(&self, found: &str) -> bool {
        self.mechanisms.iter().any(|known| is_below(found, known) || is_below(known, found))
    }
}

/// What the measurement proper proved of a tunnel's server.
fn proofs(line: &Value) -> Vec<&str> {
    let rows = line["observations"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter(|row| row["purpose"] == "main").filter_map(|row| row["proof"].as_str()).collect()
}

/// Whether `node` of the tree of mechanisms is `ancestor` or below it.
fn is_below(node: &str, ancestor: &str) -> bool {
    node.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn difference(about: &str, truth: impl fmt::Debug, said: impl fmt::Debug) -> Difference {
    Difference { about: about.into(), truth: format!("{truth:?}"), said: format!("{said:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn truth() -> Truth {
        let text = "[[measure]]\ninput = 'https://x.com/'\nstate = ['blocked']\ncause = ['interference']\n\
                    mechanism = 'tls.reset'\n";
        toml::from_str(text).unwrap()
    }

    fn said(state: &str, cause: &str, mechanisms: &[&str]) -> Value {
        json!({"schema": "faultline/measurement/1", "input": "https://x.com/", "local_health": {"state": "ok"},
               "verdict": {"state": state, "cause": cause, "mechanisms": mechanisms}})
    }

    fn differences(line: &Value) -> Vec<String> {
        truth().compare(Some(0), &line.to_string()).iter().map(|d| d.about.clone()).collect()
    }

    #[test]
    fn the_truth_and_a_deeper_mechanism_agree() {
        assert!(differences(&said("blocked", "interference", &["tls.reset"])).is_empty());
        assert!(differences(&said("blocked", "interference", &["tls.reset.sni"])).is_empty());
    }

    #[test]
    fn each_wrong_word_is_named() {
        let about = |part: &str| vec![format!("https://x.com/ {part}")];
        assert_eq!(differences(&said("down", "interference", &["tls.reset"])), about("state"));
        assert_eq!(differences(&said("blocked", "target", &["tls.reset"])), about("cause"));
        assert_eq!(differences(&said("blocked", "interference", &["tls.resets"])), about("mechanisms"));
        assert_eq!(differences(&said("blocked", "interference", &[])), about("mechanisms"));
        assert_eq!(differences(&said("BLOCKED", "interference", &["tls.reset"])), about("state"));
    }

    #[test]
    fn how_far_a_tunnel_got_is_compared_where_it_is_said() {
        let mut truth = truth();
        truth.measure[0].proof = Some("handshake".into());
        let mut line = said("blocked", "interference", &["tls.reset"]);
        assert_eq!(truth.compare(Some(0), &line.to_string())[0].about, "https://x.com/ proof");
        line["observations"] = json!([{"purpose": "main", "proof": "handshake"}]);
        assert!(truth.compare(Some(0), &line.to_string()).is_empty());
    }

    #[test]
    fn a_mechanism_where_there_is_none_is_a_difference() {
        let mut truth = truth();
        truth.measure[0].mechanism = None;
        let line = said("blocked", "interference", &["tls.reset"]).to_string();
        assert_eq!(truth.compare(Some(0), &line).len(), 1);
    }

    #[test]
    fn silence_and_junk_and_a_wrong_exit_code_are_differences() {
        assert_eq!(truth().compare(Some(0), "").len(), 2);
        assert_eq!(truth().compare(Some(0), "not json").len(), 1);
        let line = said("blocked", "interference", &["tls.reset"]).to_string();
        assert_eq!(truth().compare(Some(1), &line).len(), 1);
        assert_eq!(truth().compare(None, &line).len(), 1);
    }
}
