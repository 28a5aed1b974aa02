//! Patterns for targets: how a user names many of them at once.

use std::convert::Infallible;
use std::str::FromStr;

use super::target::Target;

/// A pattern for a whole name or URL: `*` stands for any text, `?` for one character; case does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<char>);

impl Pattern {
    /// A pattern of that text.
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase().chars().collect())
    }

    /// Whether the target's name, input or endpoint matches.
    pub fn matches(&self, target: &Target) -> bool {
        [&target.name, &target.input, &target.endpoint.to_string()].into_iter().any(|text| self.fits(text))
    }

    fn fits(&self, text: &str) -> bool {
        // `ends[i]`: the first `i` characters of the pattern can stand for the text read so far.
        let mut ends: Vec<bool> = (0..=self.0.len()).map(|i| self.0[..i].iter().all(|&c| c == '*')).collect();
        for read in text.chars().flat_map(char::to_lowercase) {
            let mut next = vec![false; ends.len()];
            for (i, &wanted) in self.0.iter().enumerate() {
                next[i + 1] = match wanted {
                    '*' => next[i] || ends[i + 1],
                    '?' => ends[i],
                    wanted => ends[i] && wanted == read,
                };
            }
            ends = next;
        }
        ends.last() == Some(&true)
    }
}

impl FromStr for Pattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).fits(text)
    }

    #[test]
    fn a_star_stands_for_any_text_and_a_question_mark_for_one_character() {
        for (pattern, text) in [
            ("x/web", "x/web"),
            ("X/*", "x/web"),
            ("*", ""),
            ("*.com*", "https://x.com/"),
            ("a*b*c", "aXbYbc"),
            ("whatsapp/????", "whatsapp/chat"),
            ("straße*", "STRASSE".replace("SS", "ß").as_str()),
        ] {
            assert!(fits(pattern, text), "{pattern} should fit {text}");
        }
        for (pattern, text) in [("x", "x/web"), ("", "x"), ("*x", "x/web"), ("a*b", "a"), ("?", ""), ("??", "x")] {
            assert!(!fits(pattern, text), "{pattern} should not fit {text}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_few() {
        assert!(!fits(&"*a".repeat(50), &"a".repeat(49)));
    }
}
