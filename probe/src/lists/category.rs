//! Category codes: what kind of site a row is, and whether that kind is measured unasked.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::embedded;

/// The embedded table of categories.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Categories {
    version: u32,
    category: Vec<Category>,
}

/// One code.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Citizen Lab's code.
    pub code: String,
    /// What it holds.
    pub description: String,
    /// Whether it is measured unasked.
    pub default: Switch,
    /// Who could be endangered, where it is off.
    pub reason: Option<String>,
    /// Who says so.
    pub source: String,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Measured unasked.
    On,
    /// Left out until the user names it.
    Off,
}

/// Stands for every category that is on, in `--category`.
pub const DEFAULT_WORD: &str = "default";

/// Which categories a run measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryChoice {
    named: BTreeSet<String>,
    with_default: bool,
    off: BTreeSet<String>,
}

impl Categories {
    /// The embedded table.
    pub fn embedded() -> Result<Self, toml::de::Error> {
        let table: Self = toml::from_str(embedded::CATEGORIES)?;
        debug_assert_eq!(table.version, 1);
        Ok(table)
    }

    /// The category of that code.
    pub fn find(&self, code: &str) -> Option<&Category> {
        self.category.iter().find(|category| category.code == code)
    }

    /// Codes that are off until named.
    pub fn off(&self) -> impl Iterator<Item = &str> {
        self.category.iter().filter(|category| category.default == Switch::Off).map(|category| category.code.as_str())
    }

    /// The choice that `--category` makes; an unknown code is the error.
    pub fn choose(&self, codes: &[String]) -> Result<CategoryChoice, String> {
        let mut named = BTreeSet::new();
        let mut with_default = codes.is_empty();
        for code in codes {
            if code.eq_ignore_ascii_case(DEFAULT_WORD) {
                with_default = true;
                continue;
            }
            let code = code.to_ascii_uppercase();
            if self.find(&code).is_none() {
                return Err(format!("unknown category {code:?}: known are {}", self.codes()));
            }
            named.insert(code);
        }
        Ok(CategoryChoice { named, with_default, off: self.off().map(str::to_owned).collect() })
    }

    fn codes(&self) -> String {
        let codes: Vec<&str> = self.category.iter().map(|category| category.code.as_str()).collect();
        codes.join(", ")
    }
}

impl CategoryChoice {
    /// Whether a row of that category is measured.
    pub fn admits(&self, category: Option<&str>) -> bool {
        match category {
            Some(code) if self.named.contains(code) => true,
            Some(code) => self.with_default && !self.off.contains(code),
            None => self.with_default,
        }
    }

    /// Whether the code is off and was not named: what the run says it left out.
    pub fn leaves_out(&self, category: Option<&str>) -> bool {
        category.is_some_and(|code| self.off.contains(code) && !self.named.contains(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(codes: &[&str]) -> CategoryChoice {
        let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
        Categories::embedded().unwrap().choose(&codes).unwrap()
    }

    #[test]
    fn an_endangering_category_is_left_out_until_it_is_named() {
        assert!(choice(&[]).admits(Some("NEWS")));
        assert!(!choice(&[]).admits(Some("REL")));
        assert!(choice(&[]).leaves_out(Some("REL")));
        assert!(choice(&["rel"]).admits(Some("REL")));
        assert!(!choice(&["REL"]).leaves_out(Some("REL")));
    }

    #[test]
    fn named_categories_are_the_only_ones_unless_default_is_named_too() {
        assert!(!choice(&["REL"]).admits(Some("NEWS")));
        assert!(!choice(&["REL"]).leaves_out(Some("NEWS")));
        assert!(choice(&["REL", "default"]).admits(Some("NEWS")));
        assert!(!choice(&["REL", "default"]).admits(Some("PORN")));
    }

    #[test]
    fn an_unknown_category_is_named_in_the_error() {
        let error = Categories::embedded().unwrap().choose(&["NOPE".into()]).unwrap_err();
        assert!(error.contains("\"NOPE\""), "{error}");
    }

    #[test]
    fn every_category_that_is_off_says_why() {
        for category in Categories::embedded().unwrap().category {
            assert!(category.default == Switch::On || category.reason.is_some(), "{}", category.code);
            assert!(!category.description.is_empty() && !category.source.is_empty(), "{}", category.code);
        }
    }
}
