//! New measurements checked by one thread while another takes them: nothing of them stays unless all of them are sound.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::sql::{self, Group};
use super::{Attempt, Input, Progress, Trouble};
use crate::error::RecordError;
use crate::reader::Checked;

/// How many measurements are taken, and how many are checked, between two reports of progress.
const STRIDE: usize = 500;

impl Input<'_> {
    /// Takes the group's new measurements with all that hangs on them, while each is parsed: a value outside the vocabulary must not
    /// get in. What was taken of an input that is refused, or that is broken off, goes with the transaction.
    pub(super) fn take_measurements(
        &self,
        group: &Group,
        progress: &mut impl FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Attempt<ControlFlow<()>> {
        let fresh = self.ids("SELECT id FROM temp.fresh ORDER BY id")?;
        let (told, checked) = channel();
        let check =
            Check { file: self.reader.checked(), fresh: fresh.iter().copied().collect(), over: AtomicBool::new(false) };
        thread::scope(|scope| {
            let (check, telling) = (&check, told);
            let checking = scope.spawn(move || check.carry_out(&telling));
            let mut report = Report { input: self, of: fresh.len() as u64, done: 0, progress };
            let taken = self.take_all(group, &fresh, &mut report, &checked, &check.over);
            if !matches!(taken, Ok(ControlFlow::Continue(()))) {
                check.over.store(true, Ordering::Relaxed);
            }
            let found = match checking.join() {
                Ok(found) => found,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            // What the check has to say is more precise than what a constraint of the schema says.
            found.map_err(Trouble::Input)?;
            taken
        })
    }

    fn take_all(
        &self,
        group: &Group,
        fresh: &[[u8; 16]],
        report: &mut Report<'_, '_, impl FnMut(Progress<'_>) -> ControlFlow<()>>,
        checked: &Receiver<u64>,
        over: &AtomicBool,
    ) -> Attempt<ControlFlow<()>> {
        let take: Vec<String> = sql::take_between(group).collect();
        if report.tell().is_break() {
            return Ok(ControlFlow::Break(()));
        }
        for stretch in fresh.chunks(STRIDE) {
            if over.load(Ordering::Relaxed) {
                return Ok(ControlFlow::Continue(()));
            }
            let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { continue };
            for statement in &take {
                let taken = self.connection.prepare_cached(statement).and_then(|mut one| one.execute([first, last]));
                taken.map_err(|error| self.sorted(error))?;
            }
            report.done = checked.try_iter().last().unwrap_or(report.done);
            if report.tell().is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        for done in checked {
            report.done = done;
            if report.tell().is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// What is told of the check.
struct Report<'r, 'i, P> {
    input: &'r Input<'i>,
    done: u64,
    of: u64,
    progress: &'r mut P,
}

impl<P: FnMut(Progress<'_>) -> ControlFlow<()>> Report<'_, '_, P> {
    fn tell(&mut self) -> ControlFlow<()> {
        let Self { input, done, of, progress } = self;
        progress(Progress::Checking { file: input.reader.file(), done: *done, of: *of })
    }
}

/// The parsing of measurements, over a connection of its own.
struct Check {
    file: Checked,
    fresh: HashSet<[u8; 16]>,
    /// Whether there is no need to go on: something was found, or nobody wants to know any more.
    over: AtomicBool,
}

impl Check {
    /// Tells how many were checked as they are; after the last of them nobody tells any more.
    fn carry_out(&self, told: &Sender<u64>) -> Result<(), RecordError> {
        let checked = self.check(told);
        self.over.fetch_or(checked.is_err(), Ordering::Relaxed);
        checked
    }

    fn check(&self, told: &Sender<u64>) -> Result<(), RecordError> {
        let mut done = 0;
        self.file.open()?.each_of(&self.fresh, |_| {
            done += 1;
            if done % STRIDE as u64 == 0 {
                // Who does not listen any more has broken off.
                let _ = told.send(done);
            }
            if self.over.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }
}
