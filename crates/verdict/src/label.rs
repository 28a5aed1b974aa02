//! Labels of providers, per country: what authorities have said of them, so that selective enforcement can be looked for.
//!
//! A label says what was announced, with source and date, and never what was measured: a provider is not `unregistered` since
//! it is blocked. What nobody announced is `unknown`.

use std::collections::BTreeMap;
use std::fmt;

use faultline_record::named;

named! {
    /// Whether an authority of the country knows a provider.
    pub enum Registration {
        /// It is registered.
        Registered = "registered",
        /// It holds a licence.
        Licensed = "licensed",
        /// It is said to be neither.
        Unregistered = "unregistered",
        /// Nobody said.
        Unknown = "unknown",
    }
}

/// The rows of `test-lists/vpn/registration-pk.csv`.
const PAKISTAN: &str = include_str!("../../../test-lists/vpn/registration-pk.csv");

/// The columns that a file must have; `notes` and others may stand beside them.
const COLUMNS: [&str; 5] = ["provider", "country", "label", "source", "date"];

/// Which provider has which label in which country.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registrations {
    rows: BTreeMap<(String, String), Registration>,
}

/// One thing wrong with a file of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelProblem {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for LabelProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

impl Registrations {
    /// Those of the test lists. A test says that they can be read.
    pub fn from_test_lists() -> Self {
        Self::read("registration-pk.csv", PAKISTAN.as_bytes()).unwrap_or_default()
    }

    /// Reads a file of labels: CSV with a header, UTF-8.
    ///
    /// # Errors
    /// Every row that cannot be used, with its line.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, Vec<LabelProblem>> {
        let problem = |line, reason: String| LabelProblem { file: file.to_owned(), line, reason };
        let of_csv = |error: &csv::Error| problem(error.position().map_or(1, csv::Position::line), error.to_string());
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
        let header = reader.headers().map_err(|error| vec![of_csv(&error)])?.clone();
        let columns = columns(&header).map_err(|reason| vec![problem(1, reason)])?;
        let (mut found, mut problems) = (Self::default(), Vec::new());
        for record in reader.records() {
            let read = record.map_err(|error| of_csv(&error)).and_then(|record| {
                let line = record.position().map_or(0, csv::Position::line);
                found.take(columns, &record).map_err(|reason| problem(line, reason))
            });
            problems.extend(read.err());
        }
        if problems.is_empty() { Ok(found) } else { Err(problems) }
    }

    fn take(&mut self, columns: [usize; COLUMNS.len()], record: &csv::StringRecord) -> Result<(), String> {
        let [provider, country, label, source, date] = columns.map(|column| record.get(column).unwrap_or_default());
        let is_code = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
        if provider.is_empty() || !is_code {
            return Err(format!("{provider:?} in {country:?}: a provider and two letters of a country were expected"));
        }
        if source.is_empty() || date.is_empty() {
            return Err("a label needs its source and its date".to_owned());
        }
        let label = Registration::from_name(label).ok_or_else(|| {
            let known: Vec<&str> = Registration::ALL.iter().map(|known| known.name()).collect();
            format!("unknown label {label:?}: known are {}", known.join(", "))
        })?;
        let key = (provider.to_owned(), country.to_ascii_uppercase());
        match self.rows.insert(key, label) {
            Some(other) if other != label => Err(format!("{provider} is {label} here and {other} before")),
            _ => Ok(()),
        }
    }

    /// Takes over what other files say; they win.
    pub fn extend(&mut self, other: Self) {
        self.rows.extend(other.rows);
    }

    /// The label of a provider, by its service's id, in a country. What is not known is `unknown`.
    pub fn of(&self, provider: &str, country: Option<&str>) -> Registration {
        let key = country.map(|country| (provider.to_owned(), country.to_owned()));
        key.and_then(|key| self.rows.get(&key).copied()).unwrap_or(Registration::Unknown)
    }
}

fn columns(header: &csv::StringRecord) -> Result<[usize; COLUMNS.len()], String> {
    let mut found = [0; COLUMNS.len()];
    for (place, name) in found.iter_mut().zip(COLUMNS) {
        let position = header.iter().position(|column| column.eq_ignore_ascii_case(name));
        *place =
            position.ok_or_else(|| format!("the column `{name}` is missing: the first line must name the columns"))?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "provider,country,label,source,date,notes\n";

    #[test]
    fn the_shipped_labels_can_be_read_and_each_provider_of_the_lists_has_one() {
        let shipped = Registrations::read("registration-pk.csv", PAKISTAN.as_bytes()).unwrap();
        assert_eq!(shipped.of("crest-vpn", Some("PK")), Registration::Licensed);
        assert_eq!(shipped.of("proton-vpn", Some("PK")), Registration::Unregistered);
        for (file, _) in crate::service::EMBEDDED_VPN {
            let key = (file.trim_end_matches(".toml").to_owned(), "PK".to_owned());
            assert!(shipped.rows.contains_key(&key), "{file} has no row");
        }
    }

    #[test]
    fn what_is_not_known_stays_unknown() {
        let shipped = Registrations::from_test_lists();
        for (provider, country) in
            [("mullvad", Some("PK")), ("nobody", Some("PK")), ("crest-vpn", Some("SE")), ("crest-vpn", None)]
        {
            assert_eq!(shipped.of(provider, country), Registration::Unknown, "{provider} {country:?}");
        }
    }

    #[test]
    fn a_row_without_source_or_with_a_word_of_its_own_is_named_with_its_line() {
        for (row, words) in [
            ("a,PK,licensed,,2026-01-01,", "t.csv:2: a label needs its source"),
            ("a,PK,illegal,s,d,", "t.csv:2: unknown label \"illegal\""),
            ("a,Pakistan,licensed,s,d,", "t.csv:2: \"a\" in \"Pakistan\""),
            ("a,PK,licensed,s,d,\na,pk,unregistered,s,d,", "t.csv:3: a is unregistered here and licensed before"),
        ] {
            let problems = Registrations::read("t.csv", format!("{HEADER}{row}\n").as_bytes()).unwrap_err();
            assert!(problems[0].to_string().starts_with(words), "{problems:?}");
        }
        assert!(
            Registrations::read("t.csv", b"provider,label\n").unwrap_err()[0].reason.contains("`country` is missing")
        );
    }
}
