//! The slices of a file worked on by several threads at a time. What comes of them comes in the file's order, whoever was first.

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;

use faultline_record::{Checked, MeasurementId, Pattern, Reader, RecordError, Scope, Slice, Sliced, Witnessed};
use faultline_verdict::Grounds;

use super::{Judged, company};
use crate::files::Stop;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::threads::in_order;

/// Measurements of a slice: what is made ahead of the visitor stays within some megabytes.
const SLICE: usize = 512;

impl Judged<'_> {
    /// Makes something on these grounds of what a file has that no earlier one had, with all cores, and hands it over one by one
    /// in the file's order.
    pub fn read_abreast<T: Send>(
        &mut self,
        reader: &Reader,
        make: impl Fn(Grounds<'_>, Witnessed) -> T + Sync,
        visit: impl FnMut(T) -> io::Result<()>,
    ) -> Result<Option<Stop>, RecordError> {
        let company = company(reader, &self.fingerprints, self.filter.run)?;
        let fingerprints = std::mem::take(&mut self.fingerprints);
        let end =
            self.each_abreast(reader, |witnessed| make(Grounds::new(&fingerprints).among(&company), witnessed), visit);
        self.fingerprints = fingerprints;
        end
    }

    /// The same without any grounds.
    pub fn each_abreast<T: Send>(
        &mut self,
        reader: &Reader,
        make: impl Fn(Witnessed) -> T + Sync,
        mut visit: impl FnMut(T) -> io::Result<()>,
    ) -> Result<Option<Stop>, RecordError> {
        self.progress.begin(reader.file(), reader.count(&self.filter)?);
        let slices = reader.slices(Sliced::Measurements, SLICE)?;
        let work = Work {
            file: reader.checked(),
            scope: Scope { run: self.filter.run, ..Scope::default() },
            target: self.target.as_ref(),
            interrupt: self.interrupt,
            make,
        };
        let mut once = Once {
            seen: &mut self.seen,
            with_repeats: self.with_repeats,
            again: &mut self.again,
            progress: &self.progress,
            interrupt: self.interrupt,
        };
        let carry_out = |slices: &mut dyn Iterator<Item = &Slice>, give: &mut dyn FnMut(Part<T>) -> bool| {
            work.carry_out(slices, give);
        };
        in_order(&slices, carry_out, |part| once.take(part, &mut visit)).transpose()
    }
}

/// Whose turn it is: each measurement goes to the visitor once.
struct Once<'o> {
    seen: &'o mut HashSet<MeasurementId>,
    with_repeats: bool,
    again: &'o mut u64,
    progress: &'o Progress,
    interrupt: &'o Interrupt,
}

impl Once<'_> {
    /// Hands over a slice; breaks off with a signal, with an output that cannot be written, or with what is wrong with the file.
    fn take<T>(
        &mut self,
        part: Part<T>,
        visit: &mut impl FnMut(T) -> io::Result<()>,
    ) -> ControlFlow<Result<Stop, RecordError>> {
        self.progress.steps(part.passed);
        for (id, made) in part.made {
            if self.interrupt.came() {
                break;
            }
            let is_new = self.seen.insert(id);
            *self.again += u64::from(!is_new);
            if (is_new || self.with_repeats)
                && let Err(error) = visit(made)
            {
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
struct Part<T> {
    made: Vec<(MeasurementId, T)>,
    /// Measurements read, those of other targets included.
    passed: u64,
    error: Option<RecordError>,
}

/// What each thread does.
struct Work<'w, M> {
    file: Checked,
    scope: Scope,
    target: Option<&'w Pattern>,
    interrupt: &'w Interrupt,
    make: M,
}

impl<T, M: Fn(Witnessed) -> T> Work<'_, M> {
    /// One result a slice, over one connection; after an error no more.
    fn carry_out(&self, slices: &mut dyn Iterator<Item = &Slice>, give: &mut dyn FnMut(Part<T>) -> bool) {
        let reader = match self.file.open() {
            Ok(reader) => reader,
            Err(error) => {
                give(Part { made: Vec::new(), passed: 0, error: Some(error) });
                return;
            }
        };
        for slice in slices {
            let part = self.carry_out_one(&reader, slice);
            let failed = part.error.is_some();
            if !give(part) || failed {
                return;
            }
        }
    }

    /// A slice; after a signal only the beginning of it, since nobody will want the rest.
    fn carry_out_one(&self, reader: &Reader, slice: &Slice) -> Part<T> {
        let (mut made, mut passed) = (Vec::with_capacity(SLICE), 0);
        let read = reader.for_each_in(&self.scope, slice, &HashSet::new(), |witnessed| {
            passed += 1;
            if self.target.is_none_or(|glob| glob.matches(&witnessed.measurement.target)) {
                made.push((witnessed.measurement.id, (self.make)(witnessed)));
            }
            if self.interrupt.came() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        Part { made, passed, error: read.err() }
    }
}
