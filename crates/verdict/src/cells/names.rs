//! Names and other words of files, each stored once; and what an endpoint is called.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use faultline_record::Target;

use crate::context::Submitter;
use crate::withheld::Withheld;

/// Words that are met again and again.
#[derive(Debug, Default)]
pub struct Words(HashSet<Arc<str>>);

impl Words {
    /// The word, stored once.
    pub fn keep(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let word: Arc<str> = Arc::from(text);
        self.0.insert(Arc::clone(&word));
        word
    }
}

/// What submitters call endpoints, without what must not be told of tunnels.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<Arc<str>, BTreeMap<Arc<str>, BTreeSet<Submitter>>>);

impl Names {
    /// A submitter calls an endpoint as the target is called.
    pub fn add(&mut self, words: &mut Words, endpoint: &Arc<str>, target: &Target, submitter: Submitter) {
        let name = words.keep(&Withheld::of_target(target).text(&target.name).to_lowercase());
        self.0.entry(Arc::clone(endpoint)).or_default().entry(name).or_default().insert(submitter);
    }

    /// What most submitters call it, the first by name of equals.
    pub fn of(&self, endpoint: &str) -> String {
        let names = self.0.get(endpoint).into_iter().flatten();
        let most = names.rev().max_by_key(|(_, submitters)| submitters.len());
        most.map_or_else(String::new, |(name, _)| name.to_string())
    }
}
