//! Text for a person: wrapped to the terminal's width, with hanging indents.

use std::io::{self, Write};

use comfy_table::Table;
use faultline_verdict::Withheld;

/// Width where there is no terminal, so that the same input gives the same bytes.
const WIDTH: usize = 100;

/// Below this a wrapped text is no easier to read.
const NARROWEST: usize = 40;

/// A sheet of text.
#[derive(Debug)]
pub struct Page<W> {
    out: W,
    width: usize,
    withheld: Withheld,
}

impl<W: Write> Page<W> {
    /// As wide as the terminal on standard output.
    pub fn new(out: W) -> Self {
        Self::of_width(out, Table::new().width().map_or(WIDTH, usize::from))
    }

    fn of_width(out: W, width: usize) -> Self {
        Self { out, width: width.max(NARROWEST), withheld: Withheld::default() }
    }

    /// The same sheet, on which these are not told.
    pub fn without(self, withheld: Withheld) -> Self {
        Self { withheld, ..self }
    }

    /// A headline, after an empty line.
    pub fn headline(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out)?;
        self.say(0, text)
    }

    /// A text; lines after its first are indented by two more.
    pub fn say(&mut self, indent: usize, text: &str) -> io::Result<()> {
        let text = self.withheld.text(text);
        let mut line = " ".repeat(indent);
        let mut is_empty = true;
        for word in text.split_whitespace() {
            if !is_empty && line.chars().count() + 1 + word.chars().count() > self.width {
                writeln!(self.out, "{line}")?;
                line = " ".repeat(indent + 2);
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line += word;
            is_empty = false;
        }
        writeln!(self.out, "{}", line.trim_end())
    }

    /// Makes sure that everything is out.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_wrapped_with_a_hanging_indent_and_no_word_is_lost() {
        let mut out = Vec::new();
        let text = "word ".repeat(30) + &"x".repeat(60);
        Page::of_width(&mut out, 10).say(2, &text).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "  word word word word word word word");
        assert_eq!(lines[1], "    word word word word word word word");
        assert_eq!(lines.last().copied(), Some(format!("    {}", "x".repeat(60)).as_str()));
        assert!(lines[..lines.len() - 1].iter().all(|line| line.len() <= NARROWEST));
        assert_eq!(text.split_whitespace().count(), 31);
    }
}
