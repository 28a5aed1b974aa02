//! Reading twice: first the context of all measurements, then each measurement in its light.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;

use faultline_record::{Filter, MeasurementId, Reader, RecordError, Run, RunId, SeriesSummary, Timestamp, Witnessed};
use faultline_verdict::{Context, Fingerprints, Grounds, Place, Software, Submitter, Teller, Verdict, judge_with};

use crate::basis::Basis;
use crate::chains::Chains;
use crate::cli::{ContextArgs, Submitters, TogetherArgs};
use crate::exit::AnalyzerError;
use crate::files::{Files, Stop};
use crate::fingerprints;
use crate::interrupt::Interrupt;
use crate::judged::Judged;
use crate::same::{Content, Met, content};

/// The readings.
const FIRST: u8 = 1;
const SECOND: u8 = 2;

/// What the second reading is done by, beside the fingerprints of its [`Judged`].
#[derive(Debug)]
pub struct InContext {
    context: Context,
    sources: Sources,
    met: Met,
    /// What is known by more than its id.
    contested: HashSet<MeasurementId>,
}

impl InContext {
    /// The first reading: of all files, whole.
    ///
    /// # Errors
    /// Certificates, or databases of one's own feeds, that cannot be read.
    pub fn read(
        files: &mut Files,
        judged: &Judged<'_>,
        options: &ContextArgs,
        interrupt: &Interrupt,
    ) -> Result<Result<Self, Stop>, AnalyzerError> {
        let chains = Chains::new(&options.ca_file)?;
        let mut sources = Sources { by: options.submitters, ..Sources::default() };
        let mut context = own_feeds(options)?;
        let fingerprints = judged.fingerprints();
        let mut met = Met::default();
        let mut all = Judged::new(Fingerprints::NONE, Filter::default(), None, interrupt).with_repeats();
        let end = files.each(|reader| {
            sources.open(reader)?;
            take_feeds(reader, &mut context, Teller { submitter: sources.file, is_vouched: false })?;
            let make = |witnessed: Witnessed| {
                let alone = judge_with(fingerprints, &witnessed.measurement, &witnessed.witness);
                (content(&witnessed), alone, sources.place(&witnessed), witnessed.measurement)
            };
            all.each_abreast(reader, make, |(content, alone, place, measurement)| {
                if met.counts(measurement.id, Some(content), place.submitter, FIRST) {
                    context.add(&measurement, &alone, place, &|chain, name, at| chains.prove(chain, name, at));
                }
                Ok(())
            })
        });
        Ok(end.map(|()| Self { context, sources, contested: met.contested(), met }))
    }

    /// The second reading, of what `judged` wants, to be judged by the visitor on these grounds.
    ///
    /// # Errors
    /// Why it ended before the last file.
    pub fn each(
        &mut self,
        files: &mut Files,
        judged: &mut Judged<'_>,
        mut visit: impl FnMut(Grounds<'_>, &Witnessed, Place<'_>, &Context) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let Self { context, sources, met, contested } = self;
        files.each(|reader| {
            sources.open(reader)?;
            judged.read_on(reader, |grounds, witnessed| {
                let place = sources.place(witnessed);
                let (id, content) = (witnessed.measurement.id, told_apart(contested, witnessed));
                if !met.counts(id, content, place.submitter, SECOND) {
                    return Ok(());
                }
                visit(grounds.in_context(context, place), witnessed, place, context)
            })
        })
    }

    /// The same with all cores: something is made of each measurement and its verdict by whichever core is free, and handed over
    /// in the order of the files.
    ///
    /// # Errors
    /// Why it ended before the last file.
    pub fn judge_abreast<T: Send>(
        &mut self,
        files: &mut Files,
        judged: &mut Judged<'_>,
        make: impl Fn(Witnessed, Verdict) -> T + Sync,
        mut visit: impl FnMut(T, Place<'_>, &Context) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let Self { context, sources, met, contested } = self;
        files.each(|reader| {
            sources.open(reader)?;
            let make = |grounds: Grounds<'_>, witnessed: Witnessed| {
                let (id, content) = (witnessed.measurement.id, told_apart(contested, &witnessed));
                let place = sources.place(&witnessed);
                let verdict = grounds.in_context(context, place).judge(&witnessed.measurement, &witnessed.witness);
                (id, content, (witnessed.measurement.run, place.began), make(witnessed, verdict))
            };
            judged.read_abreast(reader, make, |(id, content, (run, began), made)| {
                let place = sources.place_of(run, began);
                let is_new = met.counts(id, content, place.submitter, SECOND);
                if is_new { visit(made, place, context) } else { Ok(()) }
            })
        })
    }
}

/// Files that were read twice, whole.
pub struct All<'a> {
    /// The files.
    pub files: Files,
    grounds: InContext,
    judged: Judged<'a>,
}

impl<'a> All<'a> {
    /// Both readings: each verdict is shown in the light of all others.
    ///
    /// # Errors
    /// As those of [`InContext::read`], and fingerprints or folders that cannot be read.
    pub fn read(
        files: &[PathBuf],
        together: &TogetherArgs,
        interrupt: &'a Interrupt,
        mut visit: impl FnMut(&Witnessed, &Verdict, Place<'_>, &Context),
    ) -> Result<Result<Self, Stop>, AnalyzerError> {
        let fingerprints = fingerprints::read(&together.fingerprints)?;
        let mut files = Files::of(files)?;
        let mut judged = Judged::new(fingerprints, Filter::default(), None, interrupt).with_repeats();
        let grounds = InContext::read(&mut files, &judged, &together.context, interrupt)?;
        Ok(grounds.and_then(|mut grounds| {
            let make = |witnessed: Witnessed, verdict: Verdict| (witnessed, verdict);
            grounds.judge_abreast(&mut files, &mut judged, make, |(witnessed, verdict), place, context| {
                visit(&witnessed, &verdict, place, context);
                Ok(())
            })?;
            Ok(Self { files, grounds, judged })
        }))
    }

    /// What is said of them rests on this.
    pub fn basis(&self, together: &TogetherArgs) -> Basis<'_> {
        Basis::new(together.floor, &self.grounds.context, self.judged.fingerprints())
    }
}

/// A context of nothing but the feeds that whoever runs this imported himself.
fn own_feeds(options: &ContextArgs) -> Result<Context, AnalyzerError> {
    let mut context = Context::new();
    let mut files = Files::new(options.feeds.clone());
    let teller = Teller { submitter: Submitter(0), is_vouched: true };
    // Nothing in this visit can stop it: a file that fails is named and missed.
    let _ = files.each(|reader| take_feeds(reader, &mut context, teller).map(|()| None));
    if files.sound() < options.feeds.len() {
        let why = "feeds of --feeds could not be read, and nothing is judged without them";
        return Err(AnalyzerError::Nothing(why.into()));
    }
    Ok(context)
}

fn take_feeds(reader: &Reader, context: &mut Context, teller: Teller) -> Result<(), RecordError> {
    for one in reader.announcements()? {
        context.add_announcement(&one, teller);
    }
    for SeriesSummary { id, series, first, last, .. } in reader.feed_series()? {
        let (Some(first), Some(last)) = (first, last) else { continue };
        let after = Timestamp::from_millisecond(last.as_millisecond().saturating_add(1));
        context.add_series(&series, &reader.feed_points(&id, first, after)?, teller);
    }
    Ok(())
}

/// Its content, where its id alone does not tell.
fn told_apart(contested: &HashSet<MeasurementId>, witnessed: &Witnessed) -> Option<Content> {
    contested.contains(&witnessed.measurement.id).then(|| content(witnessed))
}

/// Who handed in what, and what made it.
#[derive(Debug, Default)]
struct Sources {
    by: Submitters,
    files: HashMap<PathBuf, Submitter>,
    merged: HashMap<[u8; 32], Submitter>,
    runs: HashMap<RunId, Submitter>,
    count: u32,
    file: Submitter,
    software: HashMap<RunId, Software>,
    unknown: Software,
}

impl Sources {
    /// The measurements that follow are of this file.
    fn open(&mut self, reader: &Reader) -> Result<(), RecordError> {
        let Self { files, merged, runs, count, .. } = self;
        let mut next = || {
            *count += 1;
            Submitter(*count)
        };
        self.file = *files.entry(reader.file().to_owned()).or_insert_with(&mut next);
        for run in reader.runs()? {
            self.software.entry(run.id).or_insert_with(|| software(&run));
            if self.by == Submitters::Run {
                runs.entry(run.id).or_insert_with(&mut next);
            }
        }
        let intakes = if self.by == Submitters::Ledger { reader.intakes()? } else { Vec::new() };
        for intake in intakes {
            // The same file merged twice is one submitter's all the same.
            let submitter = *merged.entry(intake.sha256).or_insert_with(&mut next);
            for (run, _) in intake.runs {
                runs.entry(run).or_insert(submitter);
            }
        }
        Ok(())
    }

    fn place(&self, witnessed: &Witnessed) -> Place<'_> {
        self.place_of(witnessed.measurement.run, witnessed.began())
    }

    /// Where a measurement of that run and time comes from.
    fn place_of(&self, run: RunId, began: Timestamp) -> Place<'_> {
        Place {
            submitter: self.runs.get(&run).copied().unwrap_or(self.file),
            software: self.software.get(&run).unwrap_or(&self.unknown),
            began,
        }
    }
}

fn software(run: &Run) -> Software {
    Software { version: format!("{} {}", run.software_name, run.software_version), platform: run.platform.clone() }
}
