//! Cuts a stream into JSON objects: one a line, spread over lines, one after the other, or in a list. At most one is in memory.
//!
//! No parser: it counts brackets and knows strings, so that a broken object costs itself and not what follows. Two things end a broken
//! one: a line that ends within a string (JSON has no such strings), and a line that is a whole measurement by itself.

use std::io::{self, BufRead};
use std::ops::ControlFlow;

use memchr::{memchr, memchr_iter, memchr3, memmem};

/// The largest object that is read, bytes. OONI's largest real ones are some MB.
pub const LIMIT: usize = 64 << 20;

/// What every measurement has.
const MARK: &[u8] = b"\"test_keys\"";

/// What is found, with the line on which it begins.
pub enum Found<'v> {
    /// An object.
    Object(u64, &'v [u8]),
    /// Something else, and what is wrong with it.
    Bad(u64, String),
}

/// Hands over everything that is found, until there is no more or the visitor breaks off.
pub fn each(
    input: &mut dyn BufRead,
    limit: usize,
    visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let mut cutter = Cutter::new(limit);
    loop {
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let _ = cutter.end(visit);
                return Err(error);
            }
        };
        if chunk.is_empty() {
            return Ok(cutter.end(visit));
        }
        let length = chunk.len();
        let flow = cutter.chunk(chunk, visit);
        input.consume(length);
        if flow.is_break() {
            return Ok(flow);
        }
    }
}

/// How far into an object the bytes have come.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

/// Why a scan stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// There are no more bytes.
    More,
    /// The object ended with the last byte.
    End,
    /// A line ended with the last byte.
    Line,
    /// A line ended within a string.
    Broken,
}

impl Scan {
    /// Takes bytes until something is to be said; how many were taken.
    fn feed(&mut self, bytes: &[u8]) -> (usize, Stop) {
        let mut at = 0;
        while at < bytes.len() {
            if !self.in_string {
                if let Some(stop) = self.outside(bytes[at]) {
                    return (at + 1, stop);
                }
            } else if self.escaped && bytes[at] != b'\n' {
                self.escaped = false;
            } else {
                let Some(next) = memchr3(b'"', b'\\', b'\n', &bytes[at..]) else { return (bytes.len(), Stop::More) };
                at += next;
                match bytes[at] {
                    b'"' => self.in_string = false,
                    b'\\' => self.escaped = true,
                    _ => return (at + 1, Stop::Broken),
                }
            }
            at += 1;
        }
        (bytes.len(), Stop::More)
    }

    fn outside(&mut self, byte: u8) -> Option<Stop> {
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return (self.depth == 0).then_some(Stop::End);
            }
            b'\n' => return Some(Stop::Line),
            _ => {}
        }
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    Inside,
    /// What cannot be used, until the end of the line.
    Skipping,
}

/// A line within an object that may be an object by itself.
struct Own {
    from: usize,
    line: u64,
    scan: Scan,
}

struct Cutter {
    limit: usize,
    state: State,
    line: u64,
    from: u64,
    buffer: Vec<u8>,
    scan: Scan,
    at_line_start: bool,
    own: Option<Own>,
}

impl Cutter {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            state: State::Between,
            line: 1,
            from: 1,
            buffer: Vec::new(),
            scan: Scan::default(),
            at_line_start: false,
            own: None,
        }
    }

    fn chunk(&mut self, chunk: &[u8], visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let taken = match self.state {
                State::Between => self.between(rest, visit)?,
                State::Inside => self.inside(rest, visit)?,
                State::Skipping => self.skip(rest),
            };
            rest = &rest[taken..];
        }
        ControlFlow::Continue(())
    }

    fn between(&mut self, rest: &[u8], visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>) -> ControlFlow<(), usize> {
        let is_filler = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'[' | b']');
        let taken = rest.iter().position(|byte| !is_filler(byte)).unwrap_or(rest.len());
        self.line += memchr_iter(b'\n', &rest[..taken]).count() as u64;
        self.from = self.line;
        match rest.get(taken) {
            Some(b'{') => {
                self.state = State::Inside;
                self.scan = Scan::default();
                self.buffer.clear();
                (self.own, self.at_line_start) = (None, false);
            }
            Some(_) => {
                self.state = State::Skipping;
                visit(Found::Bad(self.line, "no JSON object begins here".into()))?;
            }
            None => {}
        }
        ControlFlow::Continue(taken)
    }

    fn inside(&mut self, rest: &[u8], visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>) -> ControlFlow<(), usize> {
        if std::mem::take(&mut self.at_line_start) && rest[0] == b'{' {
            self.own = Some(Own { from: self.buffer.len(), line: self.line, scan: Scan::default() });
        }
        let (taken, stop) = self.scan.feed(rest);
        if let Some(length) = self.own_end(&rest[..taken]) {
            return self.take_own(&rest[..length], visit);
        }
        if self.buffer.len() + taken > self.limit {
            self.too_long(visit)?;
            // The rest of the line is left out; a line's end is left to be seen.
            return ControlFlow::Continue(if matches!(stop, Stop::More | Stop::End) { taken } else { taken - 1 });
        }
        // An object that lies whole in the chunk is not copied.
        if stop == Stop::End && self.buffer.is_empty() {
            self.state = State::Between;
            visit(Found::Object(self.from, &rest[..taken]))?;
            return ControlFlow::Continue(taken);
        }
        self.buffer.extend_from_slice(&rest[..taken]);
        match stop {
            Stop::More => {}
            Stop::Line => {
                self.line += 1;
                (self.at_line_start, self.own) = (true, None);
            }
            Stop::Broken => {
                self.line += 1;
                self.state = State::Between;
                visit(Found::Bad(self.from, "it is cut short: a line ends within a string".into()))?;
            }
            Stop::End => {
                self.state = State::Between;
                visit(Found::Object(self.from, &self.buffer))?;
            }
        }
        ControlFlow::Continue(taken)
    }

    fn too_long(&mut self, visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        let text = format!("it is longer than {} MiB, the most that is read", self.limit >> 20);
        self.state = State::Skipping;
        self.buffer = Vec::new();
        visit(Found::Bad(self.from, text))
    }

    /// Where, within these bytes, the line's own object ends, if it is a measurement.
    fn own_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let own = self.own.as_mut()?;
        let (taken, stop) = own.scan.feed(bytes);
        if stop == Stop::More {
            return None;
        }
        let from = own.from;
        let is_measurement = || {
            let before = &self.buffer[from..];
            memmem::find(before, MARK).is_some() || memmem::find(&bytes[..taken], MARK).is_some()
        };
        let is_whole = stop == Stop::End && is_measurement();
        if !is_whole {
            self.own = None;
        }
        is_whole.then_some(taken)
    }

    fn take_own(
        &mut self,
        bytes: &[u8],
        visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<(), usize> {
        self.state = State::Between;
        visit(Found::Bad(self.from, "it is cut short: another measurement follows within it".into()))?;
        if let Some(own) = self.own.take() {
            self.buffer.extend_from_slice(bytes);
            visit(Found::Object(own.line, &self.buffer[own.from..]))?;
        }
        ControlFlow::Continue(bytes.len())
    }

    fn skip(&mut self, rest: &[u8]) -> usize {
        match memchr(b'\n', rest) {
            Some(end) => {
                self.state = State::Between;
                end
            }
            None => rest.len(),
        }
    }

    fn end(&mut self, visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        match self.state {
            State::Inside => visit(Found::Bad(self.from, "it is cut short: the input ends within it".into())),
            State::Between | State::Skipping => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Objects as text, and lines of what is bad, read in chunks of every size.
    fn cut(text: &str) -> Vec<(u64, Result<String, String>)> {
        let read = |size: usize| {
            let mut found = Vec::new();
            let mut input = io::BufReader::with_capacity(size, text.as_bytes());
            let flow = each(&mut input, 1 << 10, &mut |one| {
                found.push(match one {
                    Found::Object(line, bytes) => (line, Ok(String::from_utf8_lossy(bytes).into_owned())),
                    Found::Bad(line, text) => (line, Err(text)),
                });
                ControlFlow::Continue(())
            });
            assert!(flow.unwrap().is_continue());
            found
        };
        let whole = read(1 << 16);
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(read(size), whole, "{size}");
        }
        whole
    }

    fn good(text: &str) -> (u64, Result<String, String>) {
        (1, Ok(text.into()))
    }

    #[test]
    fn objects_are_found_however_they_are_laid_out() {
        for text in
            ["{\"a\":1}\n{\"b\":2}\n", "{\"a\":1}{\"b\":2}", "[{\"a\":1}, {\"b\":2}]", "\u{20}{\"a\":1}\r\n\n{\"b\":2}"]
        {
            let found: Vec<_> = cut(text).into_iter().map(|(_, object)| object.unwrap()).collect();
            assert_eq!(found, ["{\"a\":1}", "{\"b\":2}"], "{text:?}");
        }
        assert_eq!(cut("{\n  \"a\": [\n    {\"}\": \"\\\"{\"}\n  ]\n}\n").len(), 1);
        assert_eq!(cut("{\"a\": \"\\\\\"}"), [good("{\"a\": \"\\\\\"}")]);
        assert_eq!(cut(""), []);
    }

    #[test]
    fn a_line_that_ends_within_a_string_costs_itself_only() {
        let found = cut("{\"a\": \"x\n{\"b\": 2}\n");
        assert_eq!(found.len(), 2);
        assert!(found[0].0 == 1 && found[0].1.is_err());
        assert_eq!(found[1], (2, Ok("{\"b\": 2}".into())));
    }

    #[test]
    fn a_line_that_is_a_measurement_ends_what_was_cut_short_before_it() {
        let whole = "{\"test_keys\": {\"a\": 1}}";
        let found = cut(&format!("{{\"x\": {{\"y\": 1,\n{whole}\n{whole}"));
        assert!(found[0].0 == 1 && found[0].1.is_err());
        assert_eq!(found[1..], [(2, Ok(whole.into())), (3, Ok(whole.into()))]);
    }

    #[test]
    fn what_is_no_object_and_what_is_too_long_is_named_and_passed_over() {
        let long = format!("{{\"a\": \"{}\"}}\n{{\"b\": 2}}", "x".repeat(2_000));
        let found = cut(&format!("garbage {{\"no\": 1}}\n{long}"));
        let lines: Vec<(u64, bool)> = found.iter().map(|(line, one)| (*line, one.is_ok())).collect();
        assert_eq!(lines, [(1, false), (2, false), (3, true)]);
    }

    #[test]
    fn an_object_without_an_end_is_named() {
        let found = cut("{\"a\": 1}\n{\"b\": [1,\n2");
        assert_eq!(found.len(), 2);
        assert!(found[1].0 == 2 && found[1].1.is_err());
    }
}
