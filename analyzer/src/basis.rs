//! What is said of many measurements rests on a floor, a ruleset, a context and fingerprints: named with each thing that is said.

use faultline_verdict::{Context, ControlState, FeedWord, Fingerprints, table};
use serde_json::{Map, Value, json};

/// All of it.
pub struct Basis<'a> {
    /// Independent submitters below which nothing is said.
    pub floor: u8,
    /// What all measurements say.
    pub context: &'a Context,
    snapshot: String,
    fingerprints: &'a Fingerprints,
}

impl<'a> Basis<'a> {
    /// Of a context that is complete.
    pub fn new(floor: u8, context: &'a Context, fingerprints: &'a Fingerprints) -> Self {
        Self { floor, context, snapshot: context.snapshot(), fingerprints }
    }

    /// Names it in an object of that format, with what feeds say beside.
    pub fn name(&self, object: &mut Map<String, Value>, schema: &str, feeds: &(ControlState, Vec<FeedWord>)) {
        object.insert("schema".into(), schema.into());
        object.insert("floor".into(), self.floor.into());
        object.insert("ruleset".into(), table().version.clone().into());
        object.insert("weights".into(), table().weights.clone().into());
        let references = json!({"context": self.snapshot, "fingerprints": self.fingerprints.snapshot()});
        object.insert("references".into(), references);
        let (state, words) = feeds;
        object.insert("feeds".into(), json!({"state": state, "words": words}));
    }

    /// Names it in a line.
    pub fn words(&self) -> String {
        let (rules, fingerprints) = (table(), self.fingerprints.snapshot());
        let (version, weights, context) = (&rules.version, &rules.weights, &self.snapshot);
        format!("ruleset {version}, weights {weights}, context {context}, fingerprints {fingerprints}")
    }
}
