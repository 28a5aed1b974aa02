//! Many files read side by side: each opened and checked once, and of what stands in several files one copy counted, the
//! one in the file that was named first.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use faultline_record::{Checked, Reader, RecordError, Sliced};

/// A file that is sound, and what of it is left to others.
#[derive(Debug)]
pub struct Source {
    /// For opening it.
    pub checked: Checked,
    /// Ids of measurements and checks that a file named earlier holds as well.
    pub without: HashSet<[u8; 16]>,
}

/// The sound ones among some files, in the order in which they were named, and what is wrong with each other one.
#[derive(Debug, Default)]
pub struct Sources {
    /// Sound ones.
    pub sound: Vec<Source>,
    /// One error for each other file.
    pub refused: Vec<RecordError>,
}

impl Sources {
    /// Opens and checks files, several at a time.
    pub fn open(paths: &[PathBuf]) -> Self {
        let mut sources = Self::default();
        let mut known = Known::new(paths.len() > 1);
        for outcome in side_by_side(paths, |path| open(path)) {
            match outcome.and_then(|reader| known.sort_out(&reader)) {
                Ok(source) => sources.sound.push(source),
                Err(error) => sources.refused.push(error),
            }
        }
        sources
    }
}

fn open(path: &PathBuf) -> Result<Reader, RecordError> {
    Reader::open(path)
}

/// How many threads work at a time.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Does work on each item, several at a time; results in the order of the items.
pub fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let some = || -> Vec<(usize, R)> {
        let taken = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        taken.map_while(|index| items.get(index).map(|item| (index, work(item)))).collect()
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (1..threads().min(items.len())).map(|_| scope.spawn(some)).collect();
        let mut done = some();
        for worker in workers {
            match worker.join() {
                Ok(some) => done.extend(some),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|&(index, _)| index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Ids met so far; 16 octets each and room, which is all that is kept of what was read.
struct Known {
    ids: HashSet<[u8; 16]>,
    several: bool,
}

impl Known {
    fn new(several: bool) -> Self {
        Self { ids: HashSet::new(), several }
    }

    /// What of a file was met before; a single file cannot repeat itself.
    fn sort_out(&mut self, reader: &Reader) -> Result<Source, RecordError> {
        let mut without = HashSet::new();
        if self.several {
            for rows in [Sliced::Measurements, Sliced::HealthChecks] {
                reader.each_id(rows, |id| {
                    if !self.ids.insert(id) {
                        without.insert(id);
                    }
                })?;
            }
        }
        Ok(Source { checked: reader.checked(), without })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_whoever_is_first() {
        let items: Vec<u64> = (0..100).collect();
        let slow_first = |item: &u64| {
            thread::sleep(std::time::Duration::from_micros(100 - item));
            *item
        };
        assert_eq!(side_by_side(&items, slow_first), items);
        assert!(side_by_side(&[] as &[u64], slow_first).is_empty());
    }
}
