//! The probe's own file, read and written.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::error::RecordError;
use crate::insert;
use crate::ledger;
use crate::model::{HealthCheck, Measurement, Origin, PaceMark, RawText, Run, RunId, RunSummary};
use crate::schema::{self, APPLICATION_ID, MIGRATIONS, Migration};
use crate::tables::{HEALTH_CHECKS, MEASUREMENTS, RUNS};
use crate::uri::uri;

/// How long a statement waits for another process before the file counts as locked.
const BUSY: Duration = Duration::from_secs(5);

/// How long to wait between two looks at a lock that SQLite itself does not wait for.
const BUSY_STEP: Duration = Duration::from_millis(10);

/// How many prepared statements a connection keeps: more than there are here.
pub(crate) const STATEMENTS: usize = 32;

/// A file of records, open for writing.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    file: PathBuf,
}

/// What an importer made of one measurement of another tool's.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The run it belongs to.
    pub run: Run,
    /// What answered in it, whatever target it was of; `None` if nothing did.
    pub check: Option<HealthCheck>,
    /// One for each target that was measured.
    pub measurements: Vec<Measurement>,
    /// Where it comes from.
    pub origin: Origin,
    /// Its text, if that is to be kept.
    pub raw: Option<RawText>,
}

/// What was added to a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Measurements.
    pub measurements: u64,
    /// How many of which run.
    pub runs: BTreeMap<RunId, u64>,
}

/// Held by the one run that may write to a file. The kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl Database {
    /// Opens a file of ours, bringing an older format up to date, or makes a new one with mode 0600.
    pub fn open_or_create(file: &Path) -> Result<Self, RecordError> {
        Self::open_with(file, MIGRATIONS, BUSY)
    }

    fn open_with(file: &Path, migrations: &[Migration], busy: Duration) -> Result<Self, RecordError> {
        create_private(file)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri(file, "mode=rw"), flags);
        let connection = connection.map_err(|error| cannot_open(file, error))?;
        let mut database = Self { connection, file: file.to_path_buf() };
        database.sqlite(|connection| prepare(connection, busy))?;
        database.check_whose(migrations)?;
        database.sqlite(|connection| {
            write_ahead(connection, busy)?;
            schema::migrate(connection, migrations)
        })?;
        if database.sqlite(|connection| connection.is_readonly("main"))? {
            return Err(RecordError::ReadOnly { file: file.to_path_buf() });
        }
        Ok(database)
    }

    /// Refuses a file of another program or of a newer version before anything in it is touched.
    fn check_whose(&mut self, migrations: &[Migration]) -> Result<(), RecordError> {
        let (id, version, empty) = self.sqlite(|connection| {
            // One snapshot for all three: another process may be making the file at this moment.
            let snapshot = connection.transaction()?;
            let empty = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)";
            let empty = snapshot.query_row(empty, (), |row| row.get::<_, bool>(0))?;
            Ok((schema::application_id(&snapshot)?, schema::user_version(&snapshot)?, empty))
        })?;
        if (id, version) == (0, 0) && empty {
            return Ok(());
        }
        check_claims(&self.file, id, version, migrations)
    }

    /// The file's path, as it was given.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Takes the file for one run. A second run gets [`RecordError::AlreadyRunning`] at once.
    pub fn lock_for_run(&self) -> Result<RunLock, RecordError> {
        let io = |error| RecordError::from_io(&self.file, error);
        let mut name = OsString::from(self.file.canonicalize().map_err(io)?);
        name.push(".lock");
        let lock = private(OpenOptions::new().write(true).create(true).truncate(false)).open(name).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(RunLock { _file: lock }),
            Err(TryLockError::WouldBlock) => Err(RecordError::AlreadyRunning { file: self.file.clone() }),
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }

    /// Stores the beginning of a run.
    pub fn insert_run(&mut self, run: &Run) -> Result<(), RecordError> {
        self.transaction(|connection| insert::run(connection, run, schema::newest(MIGRATIONS)))
    }

    /// Stores a run that has ended, with all that is in it, in one transaction.
    pub fn insert_run_whole(
        &mut self,
        run: &Run,
        checks: &[HealthCheck],
        measurements: &[Measurement],
        end: &RunSummary,
    ) -> Result<(), RecordError> {
        self.transaction(|connection| {
            insert::run(connection, run, schema::newest(MIGRATIONS))?;
            checks.iter().try_for_each(|check| insert::health_check(connection, check))?;
            measurements.iter().try_for_each(|measurement| insert::measurement(connection, measurement))?;
            insert::run_end(connection, run.id, end)
        })
    }

    /// Stores a measurement whole, or nothing of it.
    pub fn insert_measurement(&mut self, measurement: &Measurement) -> Result<(), RecordError> {
        self.transaction(|connection| insert::measurement(connection, measurement))
    }

    /// Stores imports in one transaction, leaving what is there already as it is; gives back what was new.
    pub fn insert_imports(&mut self, imports: &[Import]) -> Result<Added, RecordError> {
        let mut added = Added::default();
        self.transaction(|connection| {
            added = Added::default();
            imports.iter().try_for_each(|import| insert_import(connection, import, &mut added))
        })?;
        Ok(added)
    }

    /// Stores a check of the vantage.
    pub fn insert_health(&mut self, check: &HealthCheck) -> Result<(), RecordError> {
        self.transaction(|connection| insert::health_check(connection, check))
    }

    /// Stores a mark on a stretch of a run; the same mark twice is one.
    pub fn insert_pace_mark(&mut self, run: RunId, mark: &PaceMark) -> Result<(), RecordError> {
        self.transaction(|connection| insert::pace_mark(connection, run, mark))
    }

    /// Stores how a run ended.
    pub fn finish_run(&mut self, run: RunId, summary: &RunSummary) -> Result<(), RecordError> {
        self.transaction(|connection| insert::run_end(connection, run, summary))
    }

    /// One transaction: all of it or none.
    /// Makes room in memory for one who adds much at once: a merge, an import.
    pub fn expect_much(&mut self) -> Result<(), RecordError> {
        self.sqlite(|connection| {
            connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
            connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)
        })
    }

    pub(crate) fn transaction(
        &mut self,
        write: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), RecordError> {
        self.sqlite(|connection| {
            let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
            write(&transaction)?;
            transaction.commit()
        })
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(crate) fn sqlite<T>(
        &mut self,
        call: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, RecordError> {
        call(&mut self.connection).map_err(|error| RecordError::from_sqlite(&self.file, error))
    }
}

fn insert_import(connection: &Connection, import: &Import, added: &mut Added) -> rusqlite::Result<()> {
    if !insert::has(connection, &RUNS, import.run.id.as_bytes())? {
        insert::run(connection, &import.run, schema::newest(MIGRATIONS))?;
    }
    if let Some(check) = &import.check
        && !insert::has(connection, &HEALTH_CHECKS, check.id.as_bytes())?
    {
        insert::health_check(connection, check)?;
    }
    for measurement in &import.measurements {
        if !insert::has(connection, &MEASUREMENTS, measurement.id.as_bytes())? {
            insert::measurement(connection, measurement)?;
            insert::origin(connection, measurement.id, &import.origin)?;
            added.measurements += 1;
            *added.runs.entry(measurement.run).or_default() += 1;
        }
    }
    import.raw.as_ref().map_or(Ok(()), |raw| ledger::keep(connection, raw))
}

/// Refuses what the header says is not ours, or newer than we are.
pub(crate) fn check_claims(file: &Path, id: i32, version: i64, migrations: &[Migration]) -> Result<(), RecordError> {
    let file = file.to_path_buf();
    if id != APPLICATION_ID {
        return Err(RecordError::Foreign { file, found: format!("application id 0x{id:08x}") });
    }
    let known = schema::newest(migrations);
    match version {
        1.. if version <= known => Ok(()),
        1.. => Err(RecordError::Newer { file, version, known }),
        _ => Err(RecordError::Foreign { file, found: format!("format {version}") }),
    }
}

/// How much of a file is kept in memory while much is added, KiB: it goes to few pages, but its keys to many.
const CACHE_KIB: i64 = 64 << 10;
/// How long the write-ahead log may become then before it is copied into the file, pages: pages of keys are written again and again.
const LOG_PAGES: i64 = 1 << 14;

/// Settings of every connection that writes. NORMAL with WAL: a killed process loses nothing that was committed, a power
/// cut may lose the last transactions and never leaves half of one.
fn prepare(connection: &mut Connection, busy: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(busy)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// Switches to write-ahead logging. SQLite does not call its busy handler for this switch (two who switch at once would
/// wait for each other), so that the waiting is done here.
fn write_ahead(connection: &Connection, busy: Duration) -> rusqlite::Result<()> {
    let deadline = Instant::now() + busy;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_busy(&error) && Instant::now() < deadline => std::thread::sleep(BUSY_STEP),
            ended => return ended,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Makes the file if there is none, readable by its owner only; SQLite gives its -wal and -shm the same mode.
fn create_private(file: &Path) -> Result<(), RecordError> {
    refuse_what_is_no_file(file)?;
    let made = match private(OpenOptions::new().write(true).create_new(true)).open(file) {
        Ok(made) => made,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(RecordError::NoFolder { file: file.to_path_buf() });
        }
        Err(error) => return Err(RecordError::from_io(file, error)),
    };
    make_private(&made).map_err(|error| RecordError::from_io(file, error))
}

/// A pipe would wait for ever, a directory gives SQLite's least helpful error.
pub(crate) fn refuse_what_is_no_file(file: &Path) -> Result<(), RecordError> {
    let what = match std::fs::metadata(file) {
        Ok(found) if found.is_file() => return Ok(()),
        Ok(found) if found.is_dir() => "a directory",
        Ok(_) => "a pipe or a device",
        Err(_) => return Ok(()),
    };
    Err(RecordError::NotAFile { file: file.to_path_buf(), what })
}

/// SQLite says "unable to open" and no more; the operating system knows why.
pub(crate) fn cannot_open(file: &Path, error: rusqlite::Error) -> RecordError {
    match (error.sqlite_error_code(), File::open(file)) {
        (Some(ErrorCode::CannotOpen), Err(source)) => RecordError::Io { file: file.to_path_buf(), source },
        _ => RecordError::from_sqlite(file, error),
    }
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Sets the mode again: a umask takes bits away at creation.
#[cfg(unix)]
fn make_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn make_private(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Measurement, MeasurementId, Network, Target, Timestamp};
    use crate::reader::{Filter, Reader};
    use crate::{Availability, Endpoint, Entry, Writer};

    fn run() -> Run {
        let words = String::new;
        Run {
            id: RunId::from_bytes([1; 16]),
            started_at: Timestamp::from_millisecond(0),
            software_name: words(),
            software_version: words(),
            platform: words(),
            lists_sha256: [0; 32],
            plan_sha256: [0; 32],
            consent: words(),
            planned: 0,
            left_out: 0,
            tls_fingerprint: words(),
        }
    }

    /// A measurement of some ten kilobytes.
    fn large(number: u8) -> Measurement {
        Measurement {
            id: MeasurementId::from_bytes([number; 16]),
            run: run().id,
            target: Target {
                input: number.to_string().repeat(10_000),
                name: String::new(),
                endpoint: Endpoint::parse("https://example.org/").unwrap(),
                category: None,
                list: None,
                availability: Availability::Unknown,
                private_ca: false,
            },
            started_at: Timestamp::from_millisecond(0),
            offset_ms: 0.0,
            duration_ms: 0.0,
            network: Network::default(),
            observations: Vec::new(),
        }
    }

    /// A database whose file may not grow by more than some 20 pages: SQLite then says what it says of a full disk.
    fn nearly_full(file: &Path) -> Database {
        let mut database = Database::open_or_create(file).unwrap();
        database.insert_run(&run()).unwrap();
        let pages: i64 = database.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        database.connection.pragma_update_and_check(None, "max_page_count", pages + 20, |_| Ok(())).unwrap();
        database
    }

    #[test]
    fn on_a_full_disk_what_was_stored_stays_and_what_was_not_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.sqlite");
        let writer = Writer::start(nearly_full(&file), 100);
        let entries: Vec<_> = (1..=40).map(|number| Entry::Measurement(large(number))).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for entry in entries.clone() {
                let _ = writer.write(entry).await;
            }
        });
        let report = writer.finish();
        assert!(matches!(report.error, Some(RecordError::Full { .. })), "{:?}", report.error);
        let stored = usize::try_from(Reader::open(&file).unwrap().count(&Filter::default()).unwrap()).unwrap();
        assert!(stored > 0 && report.unsaved.len() == 40 - stored);
        assert_eq!(report.unsaved, entries[stored..]);
    }

    #[test]
    fn an_older_format_is_brought_up_to_date_and_keeps_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.sqlite");
        Database::open_or_create(&file).unwrap().insert_run(&run()).unwrap();
        let next = Migration { sql: "ALTER TABLE runs ADD COLUMN more TEXT", summary: "" };
        let one_more = [MIGRATIONS, &[next]].concat();
        let mut database = Database::open_with(&file, &one_more, BUSY).unwrap();
        let more: Option<String> =
            database.sqlite(|c| c.query_row("SELECT more FROM runs", (), |row| row.get(0))).unwrap();
        assert_eq!(more, None);
        let newer = Database::open_or_create(&file);
        assert!(matches!(newer, Err(RecordError::Newer { version, known, .. }) if version == known + 1));
    }

    #[test]
    fn all_who_set_up_the_same_new_file_at_once_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.sqlite");
        // There and empty: the threads of one process share its locks, which a second handle to the file would break.
        std::fs::write(&file, "").unwrap();
        std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| Database::open_or_create(&file).map(drop))).collect();
            for maker in makers {
                maker.join().unwrap().unwrap();
            }
        });
        assert_eq!(Reader::open(&file).unwrap().runs().unwrap(), []);
    }
}
