//! Fingerprints: block pages and forged answers that somebody met before and put down to somebody.
//!
//! They are data, in OONI's words and columns, so that its lists can be read as they are. What a match is worth is decided
//! here: one settles the matter only where the pattern is a country's or a provider's own and the vantage stands in that
//! country; a known false positive speaks against a block; everything else merely resembles one. An address that blocks in
//! one country is somebody's printer in another.

mod pattern;
mod read;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use faultline_record::{DnsRecord, Http, hex, sha256};

use pattern::Pattern;
pub use pattern::{Compile, Matches, no_regexps};
pub use read::FingerprintProblem;

/// Whose pattern it is: OONI's words (ooni/blocking-fingerprints, `scope`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `nat`: a country's.
    National,
    /// `isp`: an access provider's.
    Isp,
    /// `prod`: a product's, whoever runs it.
    Product,
    /// `inst`: an institution's: a school, a company.
    Institution,
    /// `vbw`: words that block pages use, and others.
    VagueWord,
    /// `injb`: as OONI has it; one row, not explained.
    Injb,
    /// `prov`: as OONI has it; one row, not explained.
    Prov,
    /// `fp`: a known false positive: a page that is met where nobody blocks.
    FalsePositive,
}

impl Scope {
    /// The scope of that name, short or long.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "nat" | "national" => Self::National,
            "isp" => Self::Isp,
            "prod" | "product" => Self::Product,
            "inst" | "institution" => Self::Institution,
            "vbw" => Self::VagueWord,
            "injb" => Self::Injb,
            "prov" => Self::Prov,
            "fp" => Self::FalsePositive,
            _ => return None,
        })
    }
}

/// What a match says of a measurement made in some country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    /// Another country's, a product's, vague words: looks like a block.
    Resembles,
    /// A country's or provider's own, where the vantage is.
    Settles,
    /// Met where nobody blocks.
    Benign,
}

/// Where a pattern is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// The addresses and aliases of an answer to a question.
    Dns,
    /// The body of a response.
    Body,
    /// The values of that header, by its lower-case name.
    Header(String),
}

impl Location {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "dns" => Some(Self::Dns),
            "body" => Some(Self::Body),
            _ => {
                let header = name.strip_prefix("header.").filter(|header| !header.is_empty())?;
                Some(Self::Header(header.to_ascii_lowercase()))
            }
        }
    }
}

/// What is wrong with a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// No name.
    #[error("the name is empty")]
    Unnamed,
    /// Not a word of [`Scope`].
    #[error("unknown scope {0:?}")]
    Scope(String),
    /// Not a word of [`Location`].
    #[error("unknown location {0:?}: dns, body or header.<name>")]
    Location(String),
    /// None of the four.
    #[error("unknown pattern type {0:?}: full, prefix, contains or regexp")]
    PatternType(String),
    /// It would match everything.
    #[error("the pattern is empty")]
    EmptyPattern,
    /// Not to be compiled; in the compiler's words.
    #[error("the regular expression cannot be used: {0}")]
    Regexp(String),
    /// Not two letters.
    #[error("{0:?} is not a country code of two letters")]
    Country(String),
}

/// One fingerprint as it is written down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row<'a> {
    /// Stable name, for sentences.
    pub name: &'a str,
    /// [`Scope`], in its short or long word.
    pub scope: &'a str,
    /// [`Location`]: `dns`, `body`, `header.<name>`.
    pub location_found: &'a str,
    /// `full`, `prefix`, `contains`, `regexp`.
    pub pattern_type: &'a str,
    /// The pattern itself; blanks count.
    pub pattern: &'a str,
    /// ISO 3166-1 alpha-2 codes with commas between them; `ZZ` stands for anywhere, which is nowhere in particular.
    pub expected_countries: &'a str,
}

/// A pattern, and whose it is.
#[derive(Debug)]
pub struct Fingerprint {
    name: String,
    scope: Scope,
    location: Location,
    pattern: Pattern,
    countries: BTreeSet<String>,
}

impl Fingerprint {
    /// A fingerprint from its row.
    ///
    /// # Errors
    /// What is wrong with the row, the first thing.
    pub fn new(row: &Row<'_>, compile: Compile) -> Result<Self, FingerprintError> {
        if row.name.is_empty() {
            return Err(FingerprintError::Unnamed);
        }
        let unknown_location = || FingerprintError::Location(row.location_found.to_owned());
        Ok(Self {
            name: row.name.to_owned(),
            scope: Scope::from_name(row.scope).ok_or_else(|| FingerprintError::Scope(row.scope.to_owned()))?,
            location: Location::from_name(row.location_found).ok_or_else(unknown_location)?,
            pattern: Pattern::new(row.pattern_type, row.pattern, compile)?,
            countries: countries(row.expected_countries)?,
        })
    }

    /// Its stable name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is expected, for a sentence.
    pub fn expected_in(&self) -> String {
        if self.countries.is_empty() {
            return "no country in particular".to_owned();
        }
        self.countries.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// What a match says in that country; nothing is settled where the country is not known.
    pub fn meaning(&self, country: Option<&str>) -> Meaning {
        let is_at_home = country.is_some_and(|country| self.countries.contains(country));
        match self.scope {
            Scope::FalsePositive => Meaning::Benign,
            Scope::National | Scope::Isp if is_at_home => Meaning::Settles,
            _ => Meaning::Resembles,
        }
    }

    fn is_of_page(&self, http: &Http) -> bool {
        match &self.location {
            Location::Dns => false,
            Location::Body => http.body.as_deref().is_some_and(|body| self.pattern.matches(body)),
            Location::Header(name) => {
                let mut values = http.headers.iter().filter(|(key, _)| key == name);
                values.any(|(_, value)| self.pattern.matches(value.as_bytes()))
            }
        }
    }

    fn is_of_answer(&self, record: &DnsRecord) -> bool {
        self.location == Location::Dns
            && match record {
                DnsRecord::Address(address) => self.pattern.is_address(*address),
                DnsRecord::Cname(name) => {
                    self.pattern.matches(name.trim_end_matches('.').to_ascii_lowercase().as_bytes())
                }
                DnsRecord::Empty => false,
            }
    }
}

fn countries(text: &str) -> Result<BTreeSet<String>, FingerprintError> {
    let codes = text.split(',').map(str::trim).filter(|code| !code.is_empty());
    let code = |code: &str| {
        let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        if is_code { Ok(code.to_ascii_uppercase()) } else { Err(FingerprintError::Country(code.to_owned())) }
    };
    let mut found = codes.map(code).collect::<Result<BTreeSet<_>, _>>()?;
    found.remove("ZZ");
    Ok(found)
}

/// The fingerprints that a measurement is held against.
#[derive(Debug, Default)]
pub struct Fingerprints {
    rows: Vec<Fingerprint>,
    snapshot: String,
}

impl Fingerprints {
    /// None at all.
    pub const NONE: Self = Self { rows: Vec::new(), snapshot: String::new() };

    /// Those of `test-lists/fingerprints.csv`, which the probe and the analyzer carry in themselves.
    pub fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<Fingerprints> = LazyLock::new(Fingerprints::from_test_lists);
        &BUILT_IN
    }

    /// The same, to add others to.
    ///
    /// # Panics
    /// If the file is malformed: a defect of ours that every test catches.
    #[allow(clippy::expect_used)] // compiled in; no user's input
    pub fn from_test_lists() -> Self {
        let bytes = include_bytes!("../../../../test-lists/fingerprints.csv");
        Self::read("fingerprints.csv", bytes, no_regexps).expect("fingerprints.csv is well-formed")
    }

    /// One more.
    pub fn push(&mut self, fingerprint: Fingerprint) {
        self.rows.push(fingerprint);
    }

    /// All of another collection as well.
    pub fn extend(&mut self, others: Self) {
        self.rows.extend(others.rows);
        self.snapshot = named_by((self.snapshot.clone() + &others.snapshot).as_bytes());
    }

    /// Names the files that they were read from, by their bytes and in their order; empty where there were none.
    pub fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What is known of a response: of several matches the one that says most.
    pub fn of_page(&self, http: &Http, country: Option<&str>) -> Option<(&Fingerprint, Meaning)> {
        self.strongest(country, |fingerprint| fingerprint.is_of_page(http))
    }

    /// What is known of a record of an answer.
    pub fn of_answer(&self, record: &DnsRecord, country: Option<&str>) -> Option<(&Fingerprint, Meaning)> {
        self.strongest(country, |fingerprint| fingerprint.is_of_answer(record))
    }

    fn strongest(
        &self,
        country: Option<&str>,
        is_match: impl Fn(&Fingerprint) -> bool,
    ) -> Option<(&Fingerprint, Meaning)> {
        let matching = self.rows.iter().filter(|fingerprint| is_match(fingerprint));
        // The first of equals: `max_by_key` would give the last.
        matching
            .map(|fingerprint| (fingerprint, fingerprint.meaning(country)))
            .rev()
            .max_by_key(|(_, meaning)| *meaning)
    }
}

/// The first half of a SHA-256, in hexadecimal digits.
fn named_by(bytes: &[u8]) -> String {
    hex(&sha256(bytes)[..16])
}

#[cfg(test)]
mod tests;
