//! The fingerprints that verdicts are held against: our own facts, and the files that the command line names.

use std::path::PathBuf;

use faultline_verdict::{Fingerprints, Matches};
use regex::RegexBuilder;

use crate::exit::AnalyzerError;

/// The most that one compiled expression may take, octets: a pattern of somebody else's must not fill the memory.
const EXPRESSION_BYTES: usize = 1 << 20;
/// Rows of a bad file that are named; the rest are counted.
const SHOWN: usize = 20;

/// Our own and those of these files.
///
/// # Errors
/// A file that cannot be read, or rows that cannot be used, with file and line.
pub fn read(files: &[PathBuf]) -> Result<Fingerprints, AnalyzerError> {
    all(&load(files)?)
}

/// Fingerprints with the texts that they come from: expressions do not travel, their texts do.
#[cfg(feature = "engine")]
pub struct Known {
    /// Our own, and those of the texts.
    pub all: Fingerprints,
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "only what is sent elsewhere is looked at"))]
    texts: Vec<(String, Vec<u8>)>,
}

#[cfg(feature = "engine")]
impl Known {
    /// Our own and those of these files.
    ///
    /// # Errors
    /// A file that cannot be read, or rows that cannot be used, with file and line.
    pub fn read(files: &[PathBuf]) -> Result<Self, AnalyzerError> {
        Self::of(load(files)?)
    }

    /// Our own and those of these texts, each with its file's name.
    ///
    /// # Errors
    /// Rows that cannot be used, with file and line.
    pub fn of(texts: Vec<(String, Vec<u8>)>) -> Result<Self, AnalyzerError> {
        Ok(Self { all: all(&texts)?, texts })
    }

    /// The texts.
    #[cfg(feature = "cluster")]
    pub fn texts(&self) -> &[(String, Vec<u8>)] {
        &self.texts
    }
}

#[cfg(feature = "engine")]
impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("snapshot", &self.all.snapshot()).finish_non_exhaustive()
    }
}

/// The texts of these files, each with its file's name.
fn load(files: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, AnalyzerError> {
    let text = |file: &PathBuf| {
        let shown = file.display().to_string();
        match std::fs::read(file) {
            Ok(text) => Ok((shown, text)),
            Err(error) => Err(AnalyzerError::Usage(format!("failed to read the fingerprints in {shown}: {error}"))),
        }
    };
    files.iter().map(text).collect()
}

fn all(texts: &[(String, Vec<u8>)]) -> Result<Fingerprints, AnalyzerError> {
    let mut all = Fingerprints::from_test_lists();
    for (name, text) in texts {
        all.extend(one(name, text)?);
    }
    Ok(all)
}

fn one(name: &str, text: &[u8]) -> Result<Fingerprints, AnalyzerError> {
    Fingerprints::read(name, text, compile).map_err(|problems| {
        let mut lines: Vec<String> = problems.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = problems.len().saturating_sub(SHOWN);
        lines.extend((more > 0).then(|| format!("... and {more} more")));
        AnalyzerError::Usage(lines.join("\n"))
    })
}

/// As OONI's patterns are meant: RE2, where a dot matches a newline.
fn compile(pattern: &str) -> Result<Matches, String> {
    let mut builder = RegexBuilder::new(pattern);
    let built = builder.dot_matches_new_line(true).size_limit(EXPRESSION_BYTES).build();
    let expression = built.map_err(|error| last_line(&error.to_string()))?;
    Ok(Box::new(move |text| expression.is_match(text)))
}

/// What the compiler says last: before it stands the expression with marks under it.
fn last_line(error: &str) -> String {
    let line = error.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_of_an_expression_matches_a_newline_and_one_that_is_too_large_is_refused() {
        let matches = compile("<title>.*blocked</title>").unwrap();
        assert!(matches("x<title>\nblocked</title>") && !matches("<title>open</title>"));
        assert!(compile("(unclosed").is_err());
        assert!(compile(r"(\w{100}){1000}").err().is_some_and(|error| error.contains("size limit")));
    }
}
