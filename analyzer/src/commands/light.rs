//! One verdict in the light of all other measurements: what was asked of them, who answered, how old that is, and what the verdict
//! would be without it.

use std::io::{self, Write};

use faultline_record::{Filter, Measurement, Purpose, StepData};
use faultline_verdict::words::clean;
use faultline_verdict::{Entry, Fingerprints, Grounds, Verdict};
use serde_json::{Value, json};

use super::account::{Found, state};
use crate::cli::ContextArgs;
use crate::exit::AnalyzerError;
use crate::files::{Files, Stop};
use crate::in_context::InContext;
use crate::interrupt::Interrupt;
use crate::judged::Judged;
use crate::page::Page;

/// The verdict, and every entry of the context that was asked.
pub struct Light {
    /// The verdict in context.
    pub verdict: Verdict,
    entries: Vec<(Entry, Option<Verdict>)>,
}

impl Light {
    /// Reads all files, then the run of the measurement once more.
    ///
    /// # Errors
    /// Certificates or feeds that cannot be read; that no file holds the measurement any more.
    pub fn read(
        files: &mut Files,
        found: &Found,
        fingerprints: Fingerprints,
        options: &ContextArgs,
        interrupt: &Interrupt,
    ) -> Result<Result<Self, Stop>, AnalyzerError> {
        let wanted = &found.witnessed.measurement;
        let filter = Filter { run: Some(wanted.run), ..Filter::default() };
        let mut judged = Judged::new(fingerprints, filter, None, interrupt).with_repeats();
        let mut grounds = match InContext::read(files, &judged, options, interrupt)? {
            Ok(grounds) => grounds,
            Err(stop) => return Ok(Err(stop)),
        };
        let mut light = None;
        let end = grounds.each(files, &mut judged, |grounds, witnessed, _, _| {
            // Another of the same id may stand in another file: the one that is explained is meant.
            if light.is_none() && are_same(&witnessed.measurement, wanted) {
                light = Some(Self::of(&grounds, found));
            }
            Ok(())
        });
        let missing = || AnalyzerError::Nothing(format!("no file holds the measurement {} any more", wanted.id));
        match end {
            Err(stop) => Ok(Err(stop)),
            Ok(()) => light.ok_or_else(missing).map(Ok),
        }
    }

    fn of(grounds: &Grounds<'_>, found: &Found) -> Self {
        let (measurement, witness) = (&found.witnessed.measurement, &found.witnessed.witness);
        let verdict = grounds.judge(measurement, witness);
        let is_used =
            |entry: &Entry| verdict.evidence.iter().any(|evidence| Some(&evidence.rule) == entry.rule.as_ref());
        let without = |entry: &Entry| match entry.question {
            Some(question) => grounds.without(question).judge(measurement, witness),
            None => grounds.judge(&without_helper(measurement), witness),
        };
        let entries = grounds.entries(measurement, witness).into_iter().map(|entry| {
            let other = is_used(&entry).then(|| without(&entry));
            (entry, other)
        });
        let entries = entries.collect();
        Self { verdict, entries }
    }

    /// As one object, beside the verdict without any of it.
    pub fn json(&self, alone: &Verdict) -> Value {
        let brief = |verdict: &Verdict| json!({"state": verdict.state, "cause": verdict.cause, "mechanisms": verdict.mechanisms, "p": verdict.p});
        let entries = self.entries.iter().map(|(entry, other)| {
            let mut object = json!(entry);
            object["used"] = other.is_some().into();
            object["without_it"] = other.as_ref().map_or(Value::Null, brief);
            object
        });
        json!({"without_context": brief(alone), "entries": entries.collect::<Vec<_>>()})
    }

    /// In words.
    pub fn print<W: Write>(&self, page: &mut Page<W>, alone: &Verdict) -> io::Result<()> {
        page.headline("What others say")?;
        page.say(2, &format!("without any of them: {}", brief(alone)))?;
        if self.entries.is_empty() {
            return page.say(2, "nothing was asked of them: others are asked only where something failed");
        }
        self.entries.iter().try_for_each(|(entry, other)| self.one(page, entry, other.as_ref()))
    }

    fn one<W: Write>(&self, page: &mut Page<W>, entry: &Entry, other: Option<&Verdict>) -> io::Result<()> {
        let asked = entry.question.map_or("helper", |question| question.name()).replace('_', " ");
        let state = entry.state.map_or("beside", |state| state.name());
        page.say(2, &format!("{asked}: {state}"))?;
        page.say(5, &clean(&entry.text))?;
        if let Some(age) = entry.age_hours {
            let who =
                if entry.sources.is_empty() { "this vantage itself".to_owned() } else { entry.sources.join(", ") };
            page.say(5, &clean(&format!("source: {who}; age: {age} h at most")))?;
        }
        match (&entry.rule, other) {
            (Some(rule), Some(other)) if brief(other) == brief(&self.verdict) => {
                page.say(5, &format!("told ({rule}), and moved nothing"))
            }
            (Some(rule), Some(other)) => page.say(5, &format!("used ({rule}); without it: {}", brief(other))),
            (Some(rule), None) => page.say(5, &format!("not used ({rule}): another answer says more")),
            (None, _) => Ok(()),
        }
    }
}

fn brief(verdict: &Verdict) -> String {
    let p = verdict.p;
    let cause = verdict.cause.name().replace('_', " ");
    format!("{}, cause {cause}, blocked {:.3}, down {:.3}", state(verdict.state), p.blocked, p.down)
}

/// Whether they are one, but for bodies, which are not read with every measurement.
fn are_same(one: &Measurement, other: &Measurement) -> bool {
    let without_bodies = |measurement: &Measurement| {
        let mut bare = measurement.clone();
        for row in &mut bare.observations {
            if let StepData::Http(http) = &mut row.data {
                http.body = None;
            }
        }
        bare
    };
    one.id == other.id && without_bodies(one) == without_bodies(other)
}

/// The same measurement as if no helper had been asked.
fn without_helper(measurement: &Measurement) -> Measurement {
    let mut alone = measurement.clone();
    alone.observations.retain(|row| row.purpose != Purpose::Helper);
    alone
}
