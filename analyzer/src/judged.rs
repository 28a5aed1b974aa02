//! Verdicts from files: every one computed anew from the facts, each measurement counted once over all files.

mod abreast;

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;

use faultline_record::{Filter, MeasurementId, Pattern, Reader, RecordError, Witnessed};
use faultline_verdict::{Fingerprints, Verdict, judge_with};

use crate::files::Stop;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// The reading of all files: of the measurements it keeps their ids and nothing else.
pub struct Judged<'a> {
    fingerprints: Fingerprints,
    filter: Filter,
    target: Option<Pattern>,
    seen: HashSet<MeasurementId>,
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
            let verdict = judge_with(&self.fingerprints, &witnessed.measurement, &witnessed.witness);
            visit(&witnessed, verdict)
                .map_or_else(|error| ControlFlow::Break(Stop::Output(error)), ControlFlow::Continue)
        })
    }

    fn is_wanted(&mut self, witnessed: &Witnessed) -> bool {
        let measurement = &witnessed.measurement;
        if self.target.as_ref().is_some_and(|glob| !glob.matches(&measurement.target)) {
            return false;
        }
        let is_new = self.seen.insert(measurement.id);
        self.again += u64::from(!is_new);
        is_new
    }

    /// Ends the reading: how many measurements were met again.
    pub fn again(self) -> u64 {
        self.again
    }
}
