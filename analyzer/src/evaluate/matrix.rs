//! Confusion matrices: what is true against what was said, in counts.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// Counts of pairs of names, over a fixed list of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    names: Vec<&'static str>,
    counts: Vec<u64>,
}

impl Matrix {
    /// Counts pairs of a true and a said name; a name that is not in the list is not counted.
    pub fn of(names: Vec<&'static str>, pairs: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let mut matrix = Self { counts: vec![0; names.len() * names.len()], names };
        for (truth, said) in pairs {
            if let Some(cell) = matrix.cell(truth, said) {
                matrix.counts[cell] += 1;
            }
        }
        matrix
    }

    fn cell(&self, truth: &str, said: &str) -> Option<usize> {
        let place = |name: &str| self.names.iter().position(|known| *known == name);
        Some(place(truth)? * self.names.len() + place(said)?)
    }

    /// How often that was said where this is true.
    pub fn count(&self, truth: &str, said: &str) -> u64 {
        self.cell(truth, said).map_or(0, |cell| self.counts[cell])
    }

    /// Names that are true somewhere, each with its number.
    pub fn truths(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.names
            .iter()
            .map(|truth| (*truth, self.said_of(truth).map(|(_, count)| count).sum()))
            .filter(|(_, n)| *n > 0)
    }

    /// Names that were said somewhere.
    pub fn saids(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().copied().filter(|said| self.names.iter().any(|truth| self.count(truth, said) > 0))
    }

    /// What was said where this is true, and how often.
    fn said_of<'a>(&'a self, truth: &'a str) -> impl Iterator<Item = (&'static str, u64)> + 'a {
        self.names.iter().map(|said| (*said, self.count(truth, said))).filter(|(_, count)| *count > 0)
    }
}

impl Serialize for Matrix {
    /// `{truth: {said: count}}`, without zeros.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = |truth| Value::Object(self.said_of(truth).map(|(said, count)| (said.into(), count.into())).collect());
        self.truths().map(|(truth, _)| (truth.into(), row(truth))).collect::<Map<_, _>>().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted_where_they_meet() {
        let pairs = [("ok", "ok"), ("ok", "down"), ("blocked", "down"), ("ok", "ok")];
        let matrix = Matrix::of(vec!["blocked", "down", "ok"], pairs);
        assert_eq!((matrix.count("ok", "ok"), matrix.count("ok", "down"), matrix.count("down", "ok")), (2, 1, 0));
        assert_eq!(matrix.truths().collect::<Vec<_>>(), [("blocked", 1), ("ok", 3)]);
        assert_eq!(matrix.saids().collect::<Vec<_>>(), ["down", "ok"]);
        let json = serde_json::to_value(&matrix).unwrap();
        assert_eq!(json, serde_json::json!({"blocked": {"down": 1}, "ok": {"down": 1, "ok": 2}}));
    }
}
