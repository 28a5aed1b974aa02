//! Which targets of the lists are measured: the categories chosen, the patterns given, each endpoint once.

use std::collections::{BTreeMap, HashSet};

use faultline_record::{Pattern, Target};

use super::category::CategoryChoice;
use super::source::LoadedList;

/// What was chosen, and what was left out since its category is off.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The targets, in the lists' order, each endpoint once.
    pub targets: Vec<Target>,
    /// Rows left out, by category that is off.
    pub left_out: BTreeMap<String, u32>,
}

impl Selection {
    /// How many rows were left out.
    pub fn left_out_rows(&self) -> u32 {
        self.left_out.values().sum()
    }
}

/// Chooses from the lists.
pub fn select(lists: Vec<LoadedList>, categories: &CategoryChoice, only: &[Pattern]) -> Selection {
    let mut selection = Selection::default();
    let mut seen = HashSet::new();
    for target in lists.into_iter().flat_map(|list| list.targets) {
        if !only.is_empty() && !only.iter().any(|pattern| pattern.matches(&target)) {
            continue;
        }
        let category = target.category.as_deref();
        let admitted = categories.admits(category);
        if !admitted && !categories.leaves_out(category) {
            continue;
        }
        if !seen.insert(target.endpoint.clone()) {
            continue;
        }
        if admitted {
            selection.targets.push(target);
        } else {
            *selection.left_out.entry(target.category.unwrap_or_default()).or_default() += 1;
        }
    }
    selection
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::{Catalog, Categories, ListSource, load_all};

    fn choose(codes: &[&str], only: &[&str]) -> Selection {
        let lists = load_all(&ListSource::EMBEDDED, &Catalog::embedded().unwrap()).unwrap();
        let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
        let only: Vec<Pattern> = only.iter().map(|text| Pattern::new(text)).collect();
        select(lists, &Categories::embedded().unwrap().choose(&codes).unwrap(), &only)
    }

    #[test]
    fn what_endangers_is_left_out_and_counted_by_category() {
        let selection = choose(&[], &[]);
        assert!(selection.left_out.contains_key("REL") && !selection.left_out.contains_key("NEWS"));
        assert!(selection.targets.iter().all(|target| target.category.as_deref() != Some("REL")));
        assert!(selection.left_out_rows() >= 20, "{:?}", selection.left_out);
    }

    #[test]
    fn naming_a_category_measures_it() {
        let selection = choose(&["REL"], &[]);
        assert!(!selection.targets.is_empty());
        assert!(selection.targets.iter().all(|target| target.category.as_deref() == Some("REL")));
    }

    #[test]
    fn each_endpoint_is_measured_once_and_services_name_it() {
        let doubled = [ListSource::EMBEDDED.to_vec(), ListSource::EMBEDDED.to_vec()].concat();
        let lists = load_all(&doubled, &Catalog::embedded().unwrap()).unwrap();
        let all = select(lists, &Categories::embedded().unwrap().choose(&[]).unwrap(), &[]);
        assert_eq!(all.targets.len(), choose(&[], &[]).targets.len());
        assert_eq!(all.left_out, choose(&[], &[]).left_out);
    }

    #[test]
    fn a_pattern_narrows_the_choice() {
        let selection = choose(&[], &["whatsapp/*"]);
        assert!(selection.targets.len() >= 8);
        assert!(selection.targets.iter().all(|target| target.name.starts_with("whatsapp/")));
    }
}
