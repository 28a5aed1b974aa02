//! Verdicts from files: every one computed anew from the facts, each measurement counted once over all files.

mod abreast;

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;

use faultline_record::{Filter, MeasurementId, Pattern, Reader, RecordError, RunId, Witnessed};
use faultline_verdict::{Company, Fingerprints, Grounds, Verdict, judge_with};

use crate::files::Stop;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// The reading of all files: of the measurements it keeps their ids and nothing else.
pub struct Judged<'a> {
    fingerprints: Fingerprints,
    filter: Filter,
    target: Option<Pattern>,
    seen: HashSet<MeasurementId>,
    with_repeats: bool,
    again: u64,
    progress: Progress,
    interrupt: &'a Interrupt,
}

impl<'a> Judged<'a> {
    /// Measurements that pass the filter, of targets that match, held against these fingerprints.
    pub fn new(fingerprints: Fingerprints, filter: Filter, target: Option<Pattern>, interrupt: &'a Interrupt) -> Self {
        Self {
            fingerprints,
            filter,
            target,
            seen: HashSet::new(),
            with_repeats: false,
            again: 0,
            progress: Progress::beside_results(),
            interrupt,
        }
    }

    /// Judges what a file has that no earlier one had, and hands it over one by one.
    pub fn read(
        &mut self,
        reader: &Reader,
        mut visit: impl FnMut(&Witnessed, Verdict) -> io::Result<()>,
    ) -> Result<Option<Stop>, RecordError> {
        self.read_on(reader, |grounds, witnessed| {
            visit(witnessed, grounds.judge(&witnessed.measurement, &witnessed.witness))
        })
    }

    /// The same, to be judged by the visitor on these grounds.
    pub fn read_on(
        &mut self,
        reader: &Reader,
        mut visit: impl FnMut(Grounds<'_>, &Witnessed) -> io::Result<()>,
    ) -> Result<Option<Stop>, RecordError> {
        let company = company(reader, &self.fingerprints, self.filter.run)?;
        let fingerprints = std::mem::take(&mut self.fingerprints);
        let end = self.read_by(reader, |witnessed| visit(Grounds::new(&fingerprints).among(&company), witnessed));
        self.fingerprints = fingerprints;
        end
    }

    /// The same; what has an id that was met is handed over all the same, for a visitor who tells by more than that.
    #[must_use]
    pub fn with_repeats(self) -> Self {
        Self { with_repeats: true, ..self }
    }

    /// What verdicts are held against.
    pub fn fingerprints(&self) -> &Fingerprints {
        &self.fingerprints
    }

    /// Hands over one by one what a file has that no earlier one had, without a verdict.
    pub fn read_by(
        &mut self,
        reader: &Reader,
        mut visit: impl FnMut(&Witnessed) -> io::Result<()>,
    ) -> Result<Option<Stop>, RecordError> {
        self.progress.begin(reader.file(), reader.count(&self.filter)?);
        let filter = self.filter;
        reader.for_each(&filter, |witnessed| {
            self.progress.step();
            if self.interrupt.came() {
                return ControlFlow::Break(Stop::Interrupted);
            }
            if !self.is_wanted(&witnessed) {
                return ControlFlow::Continue(());
            }
            visit(&witnessed).map_or_else(|error| ControlFlow::Break(Stop::Output(error)), ControlFlow::Continue)
        })
    }

    fn is_wanted(&mut self, witnessed: &Witnessed) -> bool {
        let measurement = &witnessed.measurement;
        if self.target.as_ref().is_some_and(|glob| !glob.matches(&measurement.target)) {
            return false;
        }
        let is_new = self.seen.insert(measurement.id);
        self.again += u64::from(!is_new);
        is_new || self.with_repeats
    }

    /// Ends the reading: how many measurements were met again.
    pub fn again(self) -> u64 {
        self.again
    }
}

/// What the measurements of a run (or of each run of a file) say of each other; nothing where none went to a tunnel.
pub fn company(reader: &Reader, fingerprints: &Fingerprints, run: Option<RunId>) -> Result<Company, RecordError> {
    let mut company = Company::default();
    if reader.has_tunnels()? {
        reader.for_each(&Filter { run, ..Filter::default() }, |witnessed| {
            let measurement = &witnessed.measurement;
            company.note(measurement, &judge_with(fingerprints, measurement, &witnessed.witness));
            ControlFlow::<()>::Continue(())
        })?;
    }
    Ok(company)
}
