//! The slices of a file judged by several threads at a time. What comes of them comes in the file's order, whoever was first.

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;

use faultline_record::{Checked, MeasurementId, Pattern, Reader, RecordError, Scope, Slice, Sliced, Witnessed};
use faultline_verdict::{Company, Fingerprints, Grounds, Verdict};

use super::{Judged, company};
use crate::files::Stop;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::threads::in_order;

/// Measurements of a slice: what is judged ahead of the visitor stays within some megabytes.
const SLICE: usize = 512;

impl Judged<'_> {
    /// Judges what a file has that no earlier one had, with all cores, and hands it over one by one in the file's order.
    pub fn read_abreast(
        &mut self,
        reader: &Reader,
        mut visit: impl FnMut(&Witnessed, Verdict) -> io::Result<()>,
    ) -> Result<Option<Stop>, RecordError> {
        let company = company(reader, &self.fingerprints, self.filter.run)?;
        self.progress.begin(reader.file(), reader.count(&self.filter)?);
        let slices = reader.slices(Sliced::Measurements, SLICE)?;
        let work = Work {
            file: reader.checked(),
            scope: Scope { run: self.filter.run, ..Scope::default() },
            fingerprints: &self.fingerprints,
            company: &company,
            target: self.target.as_ref(),
            interrupt: self.interrupt,
        };
        let mut once =
            Once { seen: &mut self.seen, again: &mut self.again, progress: &self.progress, interrupt: self.interrupt };
        let carry_out = |slices: &mut dyn Iterator<Item = &Slice>, give: &mut dyn FnMut(Part) -> bool| {
            work.carry_out(slices, give);
        };
        in_order(&slices, carry_out, |part| once.take(part, &mut visit)).transpose()
    }
}

/// Whose turn it is: each measurement goes to the visitor once.
struct Once<'o> {
    seen: &'o mut HashSet<MeasurementId>,
    again: &'o mut u64,
    progress: &'o Progress,
    interrupt: &'o Interrupt,
}

impl Once<'_> {
    /// Hands over a slice; breaks off with a signal, with an output that cannot be written, or with what is wrong with the file.
    fn take(
        &mut self,
        part: Part,
        visit: &mut impl FnMut(&Witnessed, Verdict) -> io::Result<()>,
    ) -> ControlFlow<Result<Stop, RecordError>> {
        self.progress.steps(part.passed);
        for (witnessed, verdict) in part.judged {
            if self.interrupt.came() {
                break;
            }
            if !self.seen.insert(witnessed.measurement.id) {
                *self.again += 1;
            } else if let Err(error) = visit(&witnessed, verdict) {
                return ControlFlow::Break(Ok(Stop::Output(error)));
            }
        }
        match part.error {
            _ if self.interrupt.came() => ControlFlow::Break(Ok(Stop::Interrupted)),
            Some(error) => ControlFlow::Break(Err(error)),
            None => ControlFlow::Continue(()),
        }
    }
}

/// What came of a slice, as far as it could be read.
#[derive(Default)]
struct Part {
    judged: Vec<(Witnessed, Verdict)>,
    /// Measurements read, those of other targets included.
    passed: u64,
    error: Option<RecordError>,
}

/// What each thread does.
struct Work<'w> {
    file: Checked,
    scope: Scope,
    fingerprints: &'w Fingerprints,
    company: &'w Company,
    target: Option<&'w Pattern>,
    interrupt: &'w Interrupt,
}

impl Work<'_> {
    /// One result a slice, over one connection; after an error no more.
    fn carry_out(&self, slices: &mut dyn Iterator<Item = &Slice>, give: &mut dyn FnMut(Part) -> bool) {
        let reader = match self.file.open() {
            Ok(reader) => reader,
            Err(error) => {
                give(Part { error: Some(error), ..Part::default() });
                return;
            }
        };
        for slice in slices {
            let part = self.judge(&reader, slice);
            let failed = part.error.is_some();
            if !give(part) || failed {
                return;
            }
        }
    }

    /// A slice; after a signal only the beginning of it, since nobody will want the rest.
    fn judge(&self, reader: &Reader, slice: &Slice) -> Part {
        let mut part = Part { judged: Vec::with_capacity(SLICE), ..Part::default() };
        let read = reader.for_each_in(&self.scope, slice, &HashSet::new(), |witnessed| {
            part.passed += 1;
            if self.target.is_none_or(|glob| glob.matches(&witnessed.measurement.target)) {
                let grounds = Grounds::new(self.fingerprints).among(self.company);
                let verdict = grounds.judge(&witnessed.measurement, &witnessed.witness);
                part.judged.push((witnessed, verdict));
            }
            if self.interrupt.came() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        Part { error: read.err(), ..part }
    }
}
