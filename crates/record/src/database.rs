//! The probe's own file, read and written.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::error::RecordError;
use crate::insert;
use crate::model::{HealthCheck, Measurement, PaceMark, Run, RunId, RunSummary};
use crate::schema::{self, APPLICATION_ID, MIGRATIONS, Migration};
use crate::uri::uri;

/// How long a statement waits for another process before the file counts as locked.
const BUSY: Duration = Duration::from_secs(5);

/// How many prepared statements a connection keeps: more than there are here.
pub(crate) const STATEMENTS: usize = 32;

/// A file of records, open for writing.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    file: PathBuf,
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
            connection.pragma_update(None, "journal_mode", "WAL")?;
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
            let empty = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)";
            Ok((
                schema::application_id(connection)?,
                schema::user_version(connection)?,
                connection.query_row(empty, (), |row| row.get::<_, bool>(0))?,
            ))
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

    /// Stores a measurement whole, or nothing of it.
    pub fn insert_measurement(&mut self, measurement: &Measurement) -> Result<(), RecordError> {
        self.transaction(|connection| insert::measurement(connection, measurement))
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
    fn transaction(&mut self, write: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), RecordError> {
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

/// Settings of every connection that writes. NORMAL with WAL: a killed process loses nothing that was committed, a power
/// cut may lose the last transactions and never leaves half of one.
fn prepare(connection: &mut Connection, busy: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(busy)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)
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
        (Some(ErrorCode::CannotOpen), Err(source)) => RecordError::from_io(file, source),
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
