//! What the context was asked about one measurement, question by question: for an account of a verdict, that leaves nothing out.

use faultline_record::Measurement;
use serde::Serialize;

use super::fire::{Question, of_question};
use super::{Context, ControlState, Place};
use crate::features::Features;
use crate::rules::Finding;

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// What was asked; `None` of what the measurement's own helper says, which is asked of nobody else.
    pub question: Option<Question>,
    /// `agrees`: it fails for others too, or here everything does; `disagrees`: it works elsewhere, or did before; `absent`: it says
    /// nothing. `None` of what is only told beside.
    pub state: Option<ControlState>,
    /// Who says so: networks, a helper, publishers of feeds.
    pub sources: Vec<String>,
    /// How old it is at most, hours; `None` where nothing was said.
    pub age_hours: Option<i64>,
    /// The rule that fired.
    pub rule: Option<String>,
    /// What it says, in words.
    pub text: String,
}

/// All of them, in the order of [`Question::ALL`], after the helper's word.
pub(crate) fn entries(context: &Context, features: &Features<'_>, place: Place<'_>, found: &[Finding]) -> Vec<Entry> {
    let answers = context.answers(features, place, found);
    let asked = answers.into_iter().map(|(question, finding)| match finding {
        Some(finding) => answered(question, &finding),
        None => unanswered(context, question, features.measurement, place),
    });
    helpers(found).into_iter().chain(asked).collect()
}

fn answered(question: Question, finding: &Finding) -> Entry {
    Entry {
        question: Some(question),
        state: of_question(&finding.rule.id),
        sources: finding.sources.clone(),
        age_hours: finding.age_hours,
        rule: Some(finding.rule.id.clone()),
        text: finding.text.clone(),
    }
}

/// A question that nobody answered, or too few.
fn unanswered(context: &Context, question: Question, measurement: &Measurement, place: Place<'_>) -> Entry {
    let few = (question == Question::Endpoint).then(|| context.few(measurement, place)).flatten();
    let (sources, age_hours, text) = few.unwrap_or_else(|| (Vec::new(), None, "nobody says anything of it".to_owned()));
    let state = (question != Question::Demand).then_some(ControlState::Absent);
    Entry { question: Some(question), state, sources, age_hours, rule: None, text }
}

/// What the helper says, which was asked in the same minute.
fn helpers(found: &[Finding]) -> Vec<Entry> {
    let own = found.iter().filter(|finding| finding.rule.group == "control");
    let entry = |finding: &Finding| {
        let likelihoods = finding.rule.likelihoods;
        let state = match likelihoods.weight() {
            weight if weight > 0.0 => ControlState::Disagrees,
            weight if weight < 0.0 => ControlState::Agrees,
            _ => ControlState::Absent,
        };
        let (rule, text) = (Some(finding.rule.id.clone()), finding.text.clone());
        Entry { question: None, state: Some(state), sources: vec!["a helper".into()], age_hours: Some(0), rule, text }
    };
    own.map(entry).collect()
}
