//! What is wrong with a list: every bad row with its file, line and reason, all at once.

use std::fmt;

/// Problems that are printed; the rest are counted.
const SHOWN: usize = 20;

/// One thing wrong with one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListProblem {
    /// The file, or the embedded list's name.
    pub file: String,
    /// The line it is on, from 1; `None` when the file as a whole is at fault.
    pub line: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

impl ListProblem {
    /// A problem on a line.
    pub fn at(file: &str, line: u64, reason: impl Into<String>) -> Self {
        Self { file: file.into(), line: Some(line), reason: reason.into() }
    }

    /// A problem of the whole file.
    pub fn of_file(file: &str, reason: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, reason: reason.into() }
    }
}

impl fmt::Display for ListProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.reason),
            None => write!(f, "{}: {}", self.file, self.reason),
        }
    }
}

/// All that is wrong with the lists of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListErrors(pub Vec<ListProblem>);

impl fmt::Display for ListErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.0.iter().take(SHOWN).map(ToString::to_string).collect();
        f.write_str(&shown.join("\n"))?;
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n... and {more} more"),
        }
    }
}

impl std::error::Error for ListErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twenty_problems_are_named_and_the_rest_counted() {
        let problems = (1..=23).map(|line| ListProblem::at("a.csv", line, "bad")).collect();
        let text = ListErrors(problems).to_string();
        assert_eq!(text.lines().count(), 21);
        assert!(text.starts_with("a.csv:1: bad\n"));
        assert!(text.ends_with("... and 3 more"));
    }
}
