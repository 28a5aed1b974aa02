//! Work that several threads share, with results in an order that does not depend on who is first.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

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

/// Does work on each item, several at a time, and visits the results in the order of the items; of the work that is ahead of
/// the visitor two results a thread are kept at most. The visitor may break off.
pub fn in_order<T: Sync, R: Send, B>(
    items: &[T],
    work: impl Fn(&mut dyn Iterator<Item = &T>, &mut dyn FnMut(R) -> bool) + Sync,
    mut visit: impl FnMut(R) -> ControlFlow<B>,
) -> Option<B> {
    let count = threads().clamp(1, items.len().max(1));
    thread::scope(|scope| {
        let work = &work;
        let results: Vec<_> = (0..count)
            .map(|first| {
                let (queue, results) = sync_channel(1);
                scope.spawn(move || {
                    let mut mine = items.iter().skip(first).step_by(count);
                    work(&mut mine, &mut |result| queue.send(result).is_ok());
                });
                results
            })
            .collect();
        for number in 0..items.len() {
            // A thread that ends before its last result has panicked: its panic goes on at the end of the scope.
            let result = results[number % count].recv().ok()?;
            if let ControlFlow::Break(end) = visit(result) {
                return Some(end);
            }
        }
        None
    })
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

    #[test]
    fn results_are_visited_in_order_and_a_visitor_that_breaks_off_ends_the_work() {
        let items: Vec<u64> = (0..50).collect();
        let work = |mine: &mut dyn Iterator<Item = &u64>, give: &mut dyn FnMut(u64) -> bool| {
            for item in mine {
                thread::sleep(std::time::Duration::from_micros(50 - item));
                if !give(item * 2) {
                    return;
                }
            }
        };
        let mut seen = Vec::new();
        let end = in_order(&items, work, |result| {
            seen.push(result);
            if result == 60 { ControlFlow::Break("enough") } else { ControlFlow::Continue(()) }
        });
        assert_eq!(end, Some("enough"));
        assert_eq!(seen, (0..=30).map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(in_order(&[] as &[u64], work, |_| ControlFlow::<()>::Continue(())), None);
    }
}
