//! Dialogues over a stream: what is sent first, what the octets that came mean, and what is sent next. The stream is
//! somebody else's, and so is the patience.

use alloc::vec::Vec;

/// What a server let know of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It takes part.
    Accepted,
    /// It takes part with those alone who log in.
    WantsLogin,
    /// It speaks the protocol, and does not take part.
    Refused,
}

/// What the octets that came so far mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// They are too few to tell.
    More,
    /// They begin as they should: so many are spent, and this is sent next.
    Next {
        /// Octets that have been read.
        spent: usize,
        /// What is sent.
        send: Vec<u8>,
    },
    /// The last that was waited for.
    End {
        /// What it was.
        answer: Answer,
        /// Octets that have been read.
        spent: usize,
        /// What is sent in farewell, which nobody waits to see answered; it may be nothing.
        farewell: Vec<u8>,
    },
    /// No server of this protocol says that.
    Other,
}

impl Turn {
    /// The end without a farewell.
    pub(crate) fn end(answer: Answer, spent: usize) -> Self {
        Self::End { answer, spent, farewell: Vec::new() }
    }
}

/// A client's side of a protocol, as far as nobody logs in.
pub trait Dialogue {
    /// What is sent first.
    fn opening(&self) -> Vec<u8>;

    /// What the octets mean that came since the last that were spent.
    fn hear(&mut self, heard: &[u8]) -> Turn;
}

/// The number of two octets at `at`.
pub(crate) fn word(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*octets.get(at)?, *octets.get(at + 1)?]))
}

/// The number of four octets at `at`.
pub(crate) fn long(octets: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(octets.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The message cut short is waited for, to the last octet; whole, it is something else than that.
    pub(crate) fn every_truncation_is_waited_for(talk: &mut dyn Dialogue, message: &[u8]) -> Turn {
        for cut in 0..message.len() {
            assert_eq!(talk.hear(&message[..cut]), Turn::More, "cut at {cut}");
        }
        let turn = talk.hear(message);
        assert_ne!(turn, Turn::More);
        turn
    }
}
