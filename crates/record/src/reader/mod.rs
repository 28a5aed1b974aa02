//! Reading files of records, anyone's, in a stream.

pub mod flat;
mod open;
mod rows;
mod scope;
mod whole;
mod witness;

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use rusqlite::{CachedStatement, Params, Row, Statement, Transaction};

use crate::clock::{self, WrongClock};
use crate::error::RecordError;
use crate::model::{
    HealthCheck, HealthCheckId, Measurement, MeasurementId, Origin, PaceMark, Run, RunId, RunSummary, Witnessed,
};
use crate::schema::MIGRATIONS;
use crate::tables;

pub use open::Checked;
pub(crate) use open::dangling;
use open::{References, Source};
use scope::Conditions;
pub use scope::{Scope, Slice, Sliced};
use whole::{Shared, Whole};
use witness::RunHealth;

/// Which measurements to read, and how much of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this run only.
    pub run: Option<RunId>,
    /// This one only.
    pub id: Option<MeasurementId>,
    /// Load all HTTP bodies; without, `body` is `None` and the lengths tell, but for what verdicts look into: responses in the
    /// clear, and all of a measurement that holds a page against a copy of it (purpose `https_copy`).
    pub with_bodies: bool,
}

/// A file of records, open for reading. The file may come from anyone: it is checked before it is read, and never
/// changed. What a running or killed run has left in the WAL is read as well; an empty -wal and a -shm may stay beside it.
#[derive(Debug)]
pub struct Reader {
    source: Source,
    shared: RefCell<Shared>,
}

impl Reader {
    /// Opens and checks a file.
    pub fn open(file: &Path) -> Result<Self, RecordError> {
        Source::open(file, MIGRATIONS, References::LookedUp).map(Self::of)
    }

    /// The same, but for references: whoever reads the file follows them.
    pub(crate) fn open_to_follow(file: &Path) -> Result<Self, RecordError> {
        Source::open(file, MIGRATIONS, References::Followed).map(Self::of)
    }

    fn of(source: Source) -> Self {
        Self { source, shared: RefCell::default() }
    }

    /// What it takes to open the file again, in another thread say, without checking it once more.
    pub fn checked(&self) -> Checked {
        self.source.checked()
    }

    /// The file's path, as it was given.
    pub fn file(&self) -> &Path {
        &self.source.file
    }

    /// Where the file, or the copy that is read in its stead, can be opened once more.
    pub(crate) fn uri(&self) -> &str {
        &self.source.uri
    }

    /// All runs, oldest id first.
    pub fn runs(&self) -> Result<Vec<Run>, RecordError> {
        self.list(&SELECTS.runs, (), rows::run)
    }

    /// One run.
    pub fn run(&self, run: RunId) -> Result<Option<Run>, RecordError> {
        self.list(&SELECTS.run, [run.as_bytes()], rows::run).map(|mut found| found.pop())
    }

    /// How a run ended; `None` if it was killed, is still going on, or is not here.
    pub fn run_end(&self, run: RunId) -> Result<Option<RunSummary>, RecordError> {
        self.list(&SELECTS.run_end, [run.as_bytes()], rows::run_end).map(|mut found| found.pop())
    }

    /// Where a measurement comes from that another tool made; `None` for a probe's own.
    pub fn origin(&self, id: MeasurementId) -> Result<Option<Origin>, RecordError> {
        self.list(&SELECTS.origin, [id.as_bytes()], rows::origin).map(|mut found| found.pop())
    }

    /// The stretches of a run in which its pacing canary failed.
    pub fn pace_marks(&self, run: RunId) -> Result<Vec<PaceMark>, RecordError> {
        self.list(&SELECTS.pace_marks, [run.as_bytes()], rows::pace_mark)
    }

    /// Whether a run's clock was wrong, and by how much, by all that was said in it.
    pub fn wrong_clock(&self, run: RunId) -> Result<Option<WrongClock>, RecordError> {
        self.source.sqlite(|connection| clock::of_run(connection, "main", run))
    }

    /// All checks of a run, canaries included, by their start.
    pub fn health_checks(&self, run: RunId) -> Result<Vec<HealthCheck>, RecordError> {
        let mut checks = Vec::new();
        self.each_check(run, |check| {
            checks.push(HealthCheck { signals: self.signals(check.id)?, ..check });
            Ok(())
        })?;
        Ok(checks)
    }

    /// Whether any measurement went to a tunnel.
    pub fn has_tunnels(&self) -> Result<bool, RecordError> {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM targets t WHERE {})", flat::is_tunnel());
        let found = self.list(&sql, (), |_, row| {
            row.get::<_, bool>(0).map_err(|error| RecordError::from_sqlite(self.file(), error))
        })?;
        Ok(found.first().copied().unwrap_or(false))
    }

    /// How many measurements a filter finds.
    pub fn count(&self, filter: &Filter) -> Result<u64, RecordError> {
        let found = self.list(&SELECTS.counts[which(filter)], key_of(filter), |_, row| {
            row.get::<_, i64>(0).map_err(|error| RecordError::from_sqlite(self.file(), error))
        })?;
        Ok(found.first().map_or(0, |&count| u64::try_from(count).unwrap_or(0)))
    }

    /// One measurement with its bodies and its witness.
    pub fn measurement(&self, id: MeasurementId) -> Result<Option<Witnessed>, RecordError> {
        self.for_each(&Filter { id: Some(id), with_bodies: true, ..Filter::default() }, ControlFlow::Break)
    }

    /// Hands over measurements one by one, by run and then by start, until there are no more or the visitor breaks off;
    /// gives back what it broke off with. All are of one moment of the file, and one at a time is in memory.
    pub fn for_each<B>(
        &self,
        filter: &Filter,
        visit: impl FnMut(Witnessed) -> ControlFlow<B>,
    ) -> Result<Option<B>, RecordError> {
        self.each_measurement(filter, self.witnessed(visit))
    }

    /// The same for one slice and what a scope takes of it, but for ids in `without`.
    pub fn for_each_in<B>(
        &self,
        scope: &Scope,
        slice: &Slice,
        without: &HashSet<[u8; 16]>,
        visit: impl FnMut(Witnessed) -> ControlFlow<B>,
    ) -> Result<Option<B>, RecordError> {
        let conditions = Conditions::of(scope, slice);
        let select = format!("{} {} {} {ORDER}", SELECTS.heads, scope.joins(), conditions.clause());
        let of = Chosen { select: &select, with_bodies: false, without };
        self.each_chosen(&of, rusqlite::params_from_iter(conditions.values), self.witnessed(visit))
    }

    /// Pairs measurements with the checks around them; those of one run come one after the other.
    fn witnessed<B>(
        &self,
        mut visit: impl FnMut(Witnessed) -> ControlFlow<B>,
    ) -> impl FnMut(Measurement) -> Result<ControlFlow<B>, RecordError> {
        let mut health: Option<RunHealth<'_>> = None;
        move |measurement| {
            let known = health.take().filter(|known| known.run == measurement.run);
            let mut known = known.map_or_else(|| RunHealth::load(self, measurement.run), Ok)?;
            let witness = known.witness(&measurement)?;
            health = Some(known);
            Ok(visit(Witnessed { measurement, witness }))
        }
    }

    /// The same without witnesses.
    fn each_measurement<B>(
        &self,
        filter: &Filter,
        visit: impl FnMut(Measurement) -> Result<ControlFlow<B>, RecordError>,
    ) -> Result<Option<B>, RecordError> {
        let select = &SELECTS.measurements[which(filter)];
        let of = Chosen { select, with_bodies: filter.with_bodies, without: &HashSet::new() };
        self.each_chosen(&of, key_of(filter), visit)
    }

    /// Hands over the measurements of these ids as they stand in the file, without witnesses and with few bodies. Whatever hangs on
    /// them, and whatever they refer to but for their runs, is looked up.
    pub(crate) fn each_of(
        &self,
        ids: &HashSet<[u8; 16]>,
        mut visit: impl FnMut(Measurement) -> ControlFlow<()>,
    ) -> Result<(), RecordError> {
        let _one_moment = self.one_moment()?;
        let mut whole = Whole::of(self, false)?.following();
        self.each(&SELECTS.heads, (), |row| {
            if !ids.contains(&row.get::<_, [u8; 16]>(0).unwrap_or_default()) {
                return Ok(true);
            }
            let mut measurement = whole.head(row)?;
            whole.load(&mut measurement)?;
            Ok(visit(measurement).is_continue())
        })
    }

    /// Whether the file is as it was when it was checked.
    pub(crate) fn is_unchanged(&self) -> Result<bool, RecordError> {
        self.source.is_unchanged()
    }

    fn each_chosen<B>(
        &self,
        chosen: &Chosen<'_>,
        key: impl Params,
        mut visit: impl FnMut(Measurement) -> Result<ControlFlow<B>, RecordError>,
    ) -> Result<Option<B>, RecordError> {
        let _one_moment = self.one_moment()?;
        let mut whole = Whole::of(self, chosen.with_bodies)?;
        let mut end = None;
        self.each(chosen.select, key, |row| {
            let mut measurement = whole.head(row)?;
            if chosen.without.contains(measurement.id.as_bytes()) {
                return Ok(true);
            }
            whole.load(&mut measurement)?;
            Ok(match visit(measurement)? {
                ControlFlow::Continue(()) => true,
                ControlFlow::Break(value) => {
                    end = Some(value);
                    false
                }
            })
        })?;
        Ok(end)
    }

    /// Holds the file at one moment for as long as it lives; within another such moment, that one goes on.
    pub(crate) fn one_moment(&self) -> Result<Option<Transaction<'_>>, RecordError> {
        let connection = &self.source.connection;
        let begun = connection.is_autocommit().then(|| connection.unchecked_transaction()).transpose();
        begun.map_err(|error| RecordError::from_sqlite(self.file(), error))
    }

    fn body(&self, key: &[u8]) -> Result<Arc<[u8]>, RecordError> {
        self.one(&SELECTS.body, key, |file, row| {
            row.get::<_, Arc<[u8]>>(1).map_err(|error| RecordError::from_sqlite(file, error))
        })
    }

    /// Checks of a run by their start, without signals.
    fn each_check(
        &self,
        run: RunId,
        mut visit: impl FnMut(HealthCheck) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        self.each(&SELECTS.health_checks, [run.as_bytes()], |row| {
            visit(rows::health_check(self.file(), row)?)?;
            Ok(true)
        })
    }

    pub(crate) fn health_check(&self, id: HealthCheckId) -> Result<HealthCheck, RecordError> {
        let check = self.one(&SELECTS.health_check, id.as_bytes(), rows::health_check)?;
        Ok(HealthCheck { signals: self.signals(id)?, ..check })
    }

    fn signals(&self, check: HealthCheckId) -> Result<Vec<crate::model::HealthSignal>, RecordError> {
        self.list(&SELECTS.health_signals, [check.as_bytes()], rows::health_signal)
    }

    /// A row that another row refers to.
    fn one<T>(
        &self,
        select: &str,
        key: &[u8],
        read: impl Fn(&Path, &Row<'_>) -> Result<T, RecordError>,
    ) -> Result<T, RecordError> {
        self.list(select, [key], read)?.pop().ok_or_else(|| self.refers_to_nothing())
    }

    fn refers_to_nothing(&self) -> RecordError {
        RecordError::Corrupt { file: self.file().into(), detail: "a row refers to nothing".into() }
    }

    pub(crate) fn list<T>(
        &self,
        select: &str,
        key: impl Params,
        read: impl Fn(&Path, &Row<'_>) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        let mut found = Vec::new();
        self.each(select, key, |row| {
            found.push(read(self.file(), row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// Every row of a statement, until the visitor gives `false`.
    pub(crate) fn each(
        &self,
        select: &str,
        key: impl Params,
        visit: impl FnMut(&Row<'_>) -> Result<bool, RecordError>,
    ) -> Result<(), RecordError> {
        each_row(self.file(), &mut *self.prepared(select)?, key, visit)
    }

    fn prepared(&self, select: &str) -> Result<CachedStatement<'_>, RecordError> {
        let statement = self.source.connection.prepare_cached(select);
        statement.map_err(|error| RecordError::from_sqlite(self.file(), error))
    }
}

/// Every row of a prepared statement, until the visitor gives `false`.
fn each_row(
    file: &Path,
    statement: &mut Statement<'_>,
    key: impl Params,
    mut visit: impl FnMut(&Row<'_>) -> Result<bool, RecordError>,
) -> Result<(), RecordError> {
    let sqlite = |error| RecordError::from_sqlite(file, error);
    let mut rows = statement.query(key).map_err(sqlite)?;
    while let Some(row) = rows.next().map_err(sqlite)? {
        if !visit(row)? {
            break;
        }
    }
    Ok(())
}

/// Which measurements a statement finds, and how much of them is read.
struct Chosen<'c> {
    select: &'c str,
    with_bodies: bool,
    without: &'c HashSet<[u8; 16]>,
}

/// The order of the stream, which an index has.
const ORDER: &str = "ORDER BY m.run, m.offset_ms, m.id";

fn key_of(filter: &Filter) -> (Option<[u8; 16]>, Option<[u8; 16]>) {
    (filter.run.map(|run| *run.as_bytes()), filter.id.map(|id| *id.as_bytes()))
}

/// Which of the statements in [`CHOICES`] a filter wants.
fn which(filter: &Filter) -> usize {
    usize::from(filter.run.is_some()) + 2 * usize::from(filter.id.is_some())
}

/// One condition for each kind of filter, so that each finds its index; both parameters are always there.
const CHOICES: [&str; 4] =
    ["?1 IS NULL AND ?2 IS NULL", "m.run = ?1 AND ?2 IS NULL", "m.id = ?2 AND ?1 IS NULL", "m.id = ?2 AND m.run = ?1"];

struct Selects {
    runs: String,
    run: String,
    run_end: String,
    origin: String,
    pace_marks: String,
    counts: [String; 4],
    heads: String,
    target: String,
    network: String,
    measurements: [String; 4],
    observations: String,
    dns_answers: String,
    tls_chains: String,
    certificate: String,
    body: String,
    has_body: String,
    health_checks: String,
    health_check: String,
    health_signals: String,
}

static SELECTS: LazyLock<Selects> = LazyLock::new(|| {
    let of = |table: &tables::Table, rest: &str| format!("SELECT {} FROM {} t {rest}", table.select("t"), table.name);
    let heads = format!("SELECT {} FROM measurements m", tables::MEASUREMENTS.select("m"));
    Selects {
        runs: of(&tables::RUNS, "ORDER BY t.id"),
        run: of(&tables::RUNS, "WHERE t.id = ?1"),
        run_end: of(&tables::RUN_ENDS, "WHERE t.run = ?1"),
        origin: of(&tables::ORIGINS, "WHERE t.measurement = ?1"),
        pace_marks: of(&tables::PACE_MARKS, "WHERE t.run = ?1 ORDER BY t.from_ms, t.to_ms, t.rate"),
        counts: CHOICES.map(|chosen| format!("SELECT count(*) FROM measurements m WHERE {chosen}")),
        measurements: CHOICES.map(|chosen| format!("{heads} WHERE {chosen} {ORDER}")),
        heads,
        target: of(&tables::TARGETS, "WHERE t.id = ?1"),
        network: of(&tables::NETWORKS, "WHERE t.id = ?1"),
        observations: of(&tables::OBSERVATIONS, "WHERE t.measurement = ?1 ORDER BY t.seq"),
        dns_answers: of(&tables::DNS_ANSWERS, "WHERE t.measurement = ?1 ORDER BY t.seq, t.position"),
        tls_chains: of(&tables::TLS_CHAINS, "WHERE t.measurement = ?1 ORDER BY t.seq, t.position"),
        certificate: of(&tables::CERTIFICATES, "WHERE t.sha256 = ?1"),
        body: of(&tables::BODIES, "WHERE t.sha256 = ?1"),
        has_body: "SELECT 1 FROM bodies t WHERE t.sha256 = ?1".to_owned(),
        health_checks: of(&tables::HEALTH_CHECKS, "WHERE t.run = ?1 ORDER BY t.offset_ms, t.id"),
        health_check: of(&tables::HEALTH_CHECKS, "WHERE t.id = ?1"),
        health_signals: of(&tables::HEALTH_SIGNALS, "WHERE t.health_check = ?1 ORDER BY t.position"),
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_statement_of_the_stream_sorts_or_scans_what_an_index_could_find() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        crate::schema::migrate(&mut connection, MIGRATIONS).unwrap();
        let children = [&SELECTS.observations, &SELECTS.dns_answers, &SELECTS.tls_chains, &SELECTS.health_signals];
        let keyed = children.into_iter().chain(&SELECTS.measurements[1..]).map(|select| (select, false));
        for (select, may_scan) in keyed.chain([(&SELECTS.measurements[0], true), (&SELECTS.health_checks, false)]) {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {select}")).unwrap();
            let nothing = vec![None::<i64>; statement.parameter_count()];
            let rows = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3)).unwrap();
            let plan = rows.map(Result::unwrap).collect::<Vec<_>>().join("; ");
            assert!(!plan.contains("TEMP B-TREE"), "{select}: {plan}");
            assert!(may_scan || !plan.contains("SCAN"), "{select}: {plan}");
        }
    }
}
