//! Packets under way: a heap by arrival time, and the buffers that are used again and again.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::line::Arrivals;
use super::path::LinkId;

/// Largest packet that is carried: what the hosts' links allow.
pub const MTU: usize = 1500;

/// Packets that may be under way at once; at 20,000 a second this is six seconds of traffic.
const CAPACITY: usize = 131_072;

/// Where a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// On its way to the core, from the host of this link.
    ToCore(LinkId),
    /// Held up at the core, before it enters this link: others may pass it.
    Held(LinkId),
    /// On its way to the host of this link.
    ToHost(LinkId),
}

/// One packet in a buffer that fits any.
#[derive(Debug)]
pub struct Frame {
    buffer: Box<[u8]>,
    length: usize,
}

impl Frame {
    /// The packet.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// The packet, to be changed in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.length]
    }
}

#[derive(Debug)]
struct Entry {
    due: Instant,
    number: u64,
    stage: Stage,
    frame: Frame,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest first out of a heap that gives the greatest; equal times keep their order.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

fn new_buffer() -> Box<[u8]> {
    vec![0; MTU].into_boxed_slice()
}

/// The packets under way.
#[derive(Debug, Default)]
pub struct Queue {
    heap: BinaryHeap<Entry>,
    spare: Vec<Box<[u8]>>,
    count: u64,
}

impl Queue {
    /// Fills a buffer with `read`, which gives the length; on an error the buffer goes back.
    pub fn read<E>(&mut self, read: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<Frame, E> {
        let mut buffer = self.spare.pop().unwrap_or_else(new_buffer);
        match read(&mut buffer[..]) {
            Ok(length) => Ok(Frame { buffer, length: length.min(MTU) }),
            Err(error) => {
                self.spare.push(buffer);
                Err(error)
            }
        }
    }

    /// A frame with a copy of `bytes`; what is longer than any packet may be is cut.
    pub fn copy(&mut self, bytes: &[u8]) -> Frame {
        let mut buffer = self.spare.pop().unwrap_or_else(new_buffer);
        let length = bytes.len().min(MTU);
        buffer[..length].copy_from_slice(&bytes[..length]);
        Frame { buffer, length }
    }

    /// Sends a frame on its way. Says whether there was room; without room it is lost, as in any router.
    pub fn push(&mut self, due: Instant, stage: Stage, frame: Frame) -> bool {
        if self.heap.len() >= CAPACITY {
            self.recycle(frame);
            return false;
        }
        self.count += 1;
        self.heap.push(Entry { due, number: self.count, stage, frame });
        true
    }

    /// Sends a frame on its way that arrives at these times, which may be none. Says whether there was room.
    pub fn push_all(&mut self, arrivals: Arrivals, stage: Stage, frame: Frame) -> bool {
        let [Some(first), second] = arrivals else {
            self.recycle(frame);
            return true;
        };
        let double = second.map(|at| (at, self.copy(frame.bytes())));
        let fits = self.push(first, stage, frame);
        double.is_none_or(|(at, copy)| self.push(at, stage, copy)) && fits
    }

    /// The next frame that has arrived by `now`, with the time at which it was due.
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, Stage, Frame)> {
        if self.heap.peek()?.due > now {
            return None;
        }
        self.heap.pop().map(|entry| (entry.due, entry.stage, entry.frame))
    }

    /// When the next frame arrives.
    pub fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.due)
    }

    /// Takes a buffer back.
    pub fn recycle(&mut self, frame: Frame) {
        self.spare.push(frame.buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const STAGE: Stage = Stage::ToCore(LinkId(0));

    #[test]
    fn frames_leave_by_time_and_in_order_at_the_same_time() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        let later = start + Duration::from_millis(5);
        for (due, byte) in [(later, 3), (start, 1), (later, 4), (start, 2)] {
            let frame = queue.copy(&[byte]);
            assert!(queue.push(due, STAGE, frame));
        }
        let order: Vec<u8> = std::iter::from_fn(|| queue.pop(later)).map(|(_, _, frame)| frame.bytes()[0]).collect();
        assert_eq!(order, [1, 2, 3, 4]);
    }

    #[test]
    fn a_frame_does_not_leave_before_its_time() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        let frame = queue.copy(&[1]);
        queue.push(start + Duration::from_millis(5), STAGE, frame);
        assert!(queue.pop(start).is_none());
        assert_eq!(queue.next_due(), Some(start + Duration::from_millis(5)));
    }

    #[test]
    fn buffers_are_used_again() {
        let mut queue = Queue::default();
        let frame = queue.copy(&[1]);
        queue.recycle(frame);
        assert!(queue.read(|_| Err::<usize, ()>(())).is_err());
        assert_eq!(queue.spare.len(), 1);
    }
}
