//! Labels: what is true of one measurement, beside its id, for whoever scores verdicts.

use serde::Serialize;
use serde_json::Value;

use crate::scenario::Split;
use crate::truth::{Cause, Expectation, Locus, State, Truth};

/// Names and versions the format.
pub const SCHEMA: &str = "faultline/label/1";

/// Where a measurement was made.
#[derive(Debug, Clone, Serialize)]
pub struct Origin {
    /// The scenario.
    pub scenario: String,
    /// Its family.
    pub family: String,
    /// Whether weights may be fitted on the family.
    pub split: Split,
    /// The seed of the world.
    pub seed: u64,
    /// Where the probe was.
    pub vantage: String,
    /// When.
    pub phase: String,
}

/// What is true of one measurement; one line of `labels.jsonl`.
#[derive(Debug, Clone, Serialize)]
pub struct Label {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The measurement's id.
    pub measurement: String,
    /// Where it was made.
    #[serde(flatten)]
    pub origin: Origin,
    /// What was measured.
    pub input: String,
    /// The state that is true.
    pub state: State,
    /// The states that are right to say.
    pub accept: Vec<State>,
    /// The cause that is true.
    pub cause: Cause,
    /// The causes that are right to say.
    pub accept_causes: Vec<Cause>,
    /// Every cause that holds.
    pub causes: Vec<Cause>,
    /// Every mechanism at work.
    pub mechanisms: Vec<String>,
    /// Where the trouble is.
    pub locus: Option<Locus>,
}

/// Labels the lines that a probe printed with the truth of its run.
pub fn of(truth: &Truth, origin: &Origin, stdout: &str) -> Vec<Label> {
    let lines = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter_map(|line| {
            let (id, input) = (line["id"].as_str()?, line["input"].as_str()?);
            let expectation = truth.measure.iter().find(|expectation| expectation.input == input)?;
            Some(label(expectation, origin.clone(), id))
        })
        .collect()
}

fn label(truth: &Expectation, origin: Origin, id: &str) -> Label {
    let first = |states: &[State]| states.first().copied().unwrap_or(State::Ok);
    let cause = truth.cause.first().copied().unwrap_or(Cause::None);
    let or_first = |causes: &[Cause]| if causes.is_empty() { vec![cause] } else { causes.to_vec() };
    let mechanisms = match &truth.mechanism {
        Some(mechanism) if truth.mechanisms.is_empty() => vec![mechanism.clone()],
        _ => truth.mechanisms.clone(),
    };
    Label {
        schema: SCHEMA,
        measurement: id.into(),
        origin,
        input: truth.input.clone(),
        state: first(&truth.state),
        accept: truth.state.clone(),
        cause,
        accept_causes: truth.cause.clone(),
        causes: or_first(&truth.causes),
        mechanisms,
        locus: truth.locus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn origin() -> Origin {
        Origin {
            scenario: "s".into(),
            family: "f".into(),
            split: Split::Test,
            seed: 7,
            vantage: "home".into(),
            phase: "now".into(),
        }
    }

    fn truth() -> Truth {
        let text = "[[measure]]\ninput = 'https://x.com/'\nstate = ['blocked', 'likely_blocked']\n\
                    cause = ['interference']\nmechanism = 'tls.reset'\nlocus = 'border'\nif_acted = 'censor'\n";
        toml::from_str(text).unwrap()
    }

    fn labels(acted: bool) -> Vec<Value> {
        let stdout = json!({"id": "m1", "input": "https://x.com/"}).to_string() + "\nnoise\n";
        let truth = truth().given(|_| acted);
        let labels = of(&truth, &origin(), &stdout);
        labels.iter().map(|label| serde_json::to_value(label).unwrap()).collect()
    }

    #[test]
    fn a_label_has_the_words_of_the_contract() {
        let wanted = json!({
            "schema": "faultline/label/1", "measurement": "m1", "scenario": "s", "family": "f", "split": "test",
            "seed": 7, "vantage": "home", "phase": "now", "input": "https://x.com/", "state": "blocked",
            "accept": ["blocked", "likely_blocked"], "cause": "interference", "accept_causes": ["interference"],
            "causes": ["interference"], "mechanisms": ["tls.reset"], "locus": "border"
        });
        assert_eq!(labels(true), [wanted]);
    }

    #[test]
    fn what_a_censor_left_alone_is_ok() {
        let label = &labels(false)[0];
        assert_eq!((&label["state"], &label["mechanisms"]), (&json!("ok"), &json!([])));
        assert_eq!(label["accept"], json!(["ok"]));
    }

    #[test]
    fn an_input_that_the_truth_does_not_know_has_no_label() {
        let stdout = json!({"id": "m1", "input": "https://example.org/"}).to_string();
        assert!(of(&truth(), &origin(), &stdout).is_empty());
    }
}
