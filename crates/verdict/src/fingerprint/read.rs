//! Fingerprints from CSV, in the columns of ooni/blocking-fingerprints: found by name, in any order, others passed over.

use std::fmt;

use super::{Compile, Fingerprint, Fingerprints, Row, named_by};

/// The columns that a file must have.
const NEEDED: [&str; 5] = ["name", "scope", "location_found", "pattern_type", "pattern"];
/// One that it may have.
const COUNTRIES: &str = "expected_countries";

/// One thing wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FingerprintProblem {
    /// The file.
    pub file: String,
    /// The line on which the row begins, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for FingerprintProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

impl Fingerprints {
    /// Reads a whole file: UTF-8, with or without a byte order mark, quoted or not.
    ///
    /// # Errors
    /// Every row that cannot be used, with its line.
    pub fn read(file: &str, bytes: &[u8], compile: Compile) -> Result<Self, Vec<FingerprintProblem>> {
        let snapshot = named_by(bytes);
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let problem = |line, reason: String| FingerprintProblem { file: file.to_owned(), line, reason };
        let of_csv = |error: &csv::Error| problem(error.position().map_or(1, csv::Position::line), error.to_string());
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let header = reader.headers().map_err(|error| vec![of_csv(&error)])?.clone();
        let columns = Columns::find(&header).map_err(|reason| vec![problem(1, reason)])?;
        let (mut found, mut problems) = (Self { snapshot, ..Self::default() }, Vec::new());
        for record in reader.records() {
            let read = record.map_err(|error| of_csv(&error)).and_then(|record| {
                let line = record.position().map_or(0, |begin| line_of(bytes, begin));
                columns.fingerprint(&header, &record, compile).map_err(|reason| problem(line, reason))
            });
            match read {
                Ok(fingerprint) => found.push(fingerprint),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(found) } else { Err(problems) }
    }
}

/// The line of a row's first octet. The reader's position is where the row before it ended: in front of the rest of that line's
/// end, and of blank lines.
fn line_of(bytes: &[u8], begin: &csv::Position) -> u64 {
    let after = usize::try_from(begin.byte()).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let ends = after.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|&&byte| byte == b'\n');
    begin.line() + ends.count() as u64
}

struct Columns {
    needed: [usize; NEEDED.len()],
    countries: Option<usize>,
}

impl Columns {
    fn find(header: &csv::StringRecord) -> Result<Self, String> {
        let position = |name: &str| header.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
        let mut needed = [0; NEEDED.len()];
        for (place, name) in needed.iter_mut().zip(NEEDED) {
            *place = position(name)
                .ok_or_else(|| format!("the column `{name}` is missing: the first line must name the columns"))?;
        }
        Ok(Self { needed, countries: position(COUNTRIES) })
    }

    fn fingerprint(
        &self,
        header: &csv::StringRecord,
        record: &csv::StringRecord,
        compile: Compile,
    ) -> Result<Fingerprint, String> {
        if record.len() != header.len() {
            return Err(format!("{} columns where the first line has {}", record.len(), header.len()));
        }
        let text = |column: usize| record.get(column).unwrap_or_default();
        let [name, scope, location, kind, pattern] = self.needed.map(text);
        let row = Row {
            name: name.trim(),
            scope: scope.trim(),
            location_found: location.trim(),
            pattern_type: kind.trim(),
            pattern,
            expected_countries: self.countries.map(text).unwrap_or_default(),
        };
        Fingerprint::new(&row, compile).map_err(|error| error.to_string())
    }
}
