//! Opening a stranger's file: nothing in it is trusted, and it is never changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::TempDir;

use super::Reader;
use crate::database::{STATEMENTS, cannot_open, check_claims, refuse_what_is_no_file};
use crate::error::RecordError;
use crate::schema::{self, Migration};
use crate::uri::{beside, uri};

/// Bounds on what a file may ask of us (<https://sqlite.org/security.html>): the longest value is 64 MiB, where a body is
/// at most 256 KiB; the others leave a margin over what our own schema and statements need.
const LIMITS: [(Limit, i32); 10] = [
    (Limit::SQLITE_LIMIT_LENGTH, 64 << 20),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
    (Limit::SQLITE_LIMIT_COLUMN, 100),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 50),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 5),
    (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 8),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// How long to wait for a process that holds the file, as the end of a writer's run does for a moment.
const BUSY: Duration = Duration::from_secs(5);

/// When a file's references are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum References {
    /// All of them, when it is opened.
    LookedUp,
    /// By who follows them, row by row: a merge, which looks into each row that it takes.
    Followed,
}

/// A file that was checked and can be read.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) connection: Connection,
    /// The path as it was given: for words, not for opening.
    pub(crate) file: PathBuf,
    /// Where it is read from: the file itself, or a private copy.
    pub(crate) uri: String,
    /// What [`data_version`] was before it was checked.
    version: i64,
    /// Holds the private copy, if one was needed.
    private: Option<Arc<TempDir>>,
}

/// A file that was checked, for opening it again. What was checked is the file as it was then: rows are not trusted later
/// either.
#[derive(Clone, Debug)]
pub struct Checked {
    file: PathBuf,
    uri: String,
    private: Option<Arc<TempDir>>,
}

impl Checked {
    /// Opens the file.
    ///
    /// # Errors
    /// It cannot be opened any more.
    pub fn open(&self) -> Result<Reader, RecordError> {
        let source = Source::at(&self.file, self.uri.clone(), self.private.clone());
        source.map(Reader::of).map_err(|error| RecordError::from_sqlite(&self.file, error))
    }

    /// Whether it is a private copy that is read, which lies about for as long as this is kept.
    pub fn is_copy(&self) -> bool {
        self.private.is_some()
    }

    /// The file's path, as it was given.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl Source {
    /// Opens and checks a file; one of an older format is read from a private copy, brought up to date.
    pub(crate) fn open(file: &Path, migrations: &[Migration], references: References) -> Result<Self, RecordError> {
        refuse_what_is_no_file(file)?;
        fs::metadata(file).map_err(|error| RecordError::from_io(file, error))?;
        let mut source = Self::open_somehow(file)?;
        let version = source.check(migrations, references)?;
        if version < schema::newest(migrations) {
            source = source.brought_up_to_date(migrations)?;
        }
        Ok(source)
    }

    /// Plainly where that is possible. A file in WAL mode needs a -shm beside it; where that cannot be made, a file
    /// without a WAL is read as one that nobody changes, and a file with one from a copy of both.
    fn open_somehow(file: &Path) -> Result<Self, RecordError> {
        let plain = uri(file, "mode=ro");
        match Self::at(file, plain, None) {
            Err(error) if !stands_in_a_closed_folder(&error) => Err(RecordError::from_sqlite(file, error)),
            Err(_) if !has_wal(file) => Self::immutable(file),
            Err(_) => Self::copied(file),
            Ok(source) => Ok(source),
        }
    }

    fn immutable(file: &Path) -> Result<Self, RecordError> {
        Self::at(file, uri(file, "mode=ro&immutable=1"), None).map_err(|error| cannot_open(file, error))
    }

    /// Reads a copy of the file and its WAL, in a folder of our own.
    fn copied(file: &Path) -> Result<Self, RecordError> {
        let io = |error| RecordError::from_io(file, error);
        let folder = private_folder().map_err(io)?;
        let copy = folder.path().join("copy.sqlite");
        fs::copy(file, &copy).map_err(io)?;
        fs::copy(beside(file, "-wal"), beside(&copy, "-wal")).map_err(io)?;
        Self::at(file, uri(&copy, "mode=ro"), Some(folder.into())).map_err(|error| cannot_open(file, error))
    }

    fn at(file: &Path, uri: String, private: Option<Arc<TempDir>>) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&uri, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        distrust(&connection)?;
        LIMITS.iter().try_for_each(|&(limit, value)| connection.set_limit(limit, value).map(drop))?;
        // The first look at the file itself: errors of opening show here.
        schema::application_id(&connection)?;
        let version = data_version(&connection)?;
        Ok(Self { connection, file: file.to_path_buf(), uri, version, private })
    }

    /// Whose it is, whether its schema is ours letter by letter, and only then whether its pages and rows are sound.
    fn check(&self, migrations: &[Migration], references: References) -> Result<i64, RecordError> {
        let id = self.sqlite(schema::application_id)?;
        let version = self.sqlite(schema::user_version)?;
        check_claims(&self.file, id, version, migrations)?;
        let expected = schema::expected_objects(version, migrations);
        let expected = expected.map_err(|source| RecordError::Sqlite { file: self.file.clone(), source })?;
        let found = self.sqlite(schema::objects)?;
        if let Some((kind, name, ..)) = expected.symmetric_difference(&found).next() {
            let object = format!("{} {name:?}", kind.escape_debug());
            return Err(RecordError::Altered { file: self.file.clone(), object, version });
        }
        self.check_soundness()?;
        if references == References::LookedUp {
            self.check_references()?;
        }
        Ok(version)
    }

    /// `quick_check` covers pages, types and NOT NULL. SQLite does not even load the CHECKs
    /// of a file that it may not write, so ranges are the business of who reads the rows.
    fn check_soundness(&self) -> Result<(), RecordError> {
        let corrupt = |detail| RecordError::Corrupt { file: self.file.clone(), detail };
        let verdict: String = self.sqlite(|c| c.query_row("PRAGMA quick_check(1)", (), |row| row.get(0)))?;
        if verdict == "ok" { Ok(()) } else { Err(corrupt(verdict)) }
    }

    fn check_references(&self) -> Result<(), RecordError> {
        let dangling = self.sqlite(|connection| dangling(connection, "main"))?;
        let corrupt = |detail| RecordError::Corrupt { file: self.file.clone(), detail };
        dangling.map_or(Ok(()), |detail| Err(corrupt(detail)))
    }

    /// Whether no other connection has changed the file since it was checked.
    pub(super) fn is_unchanged(&self) -> Result<bool, RecordError> {
        Ok(self.sqlite(data_version)? == self.version)
    }

    fn brought_up_to_date(self, migrations: &[Migration]) -> Result<Self, RecordError> {
        let file = self.file.clone();
        let folder = private_folder().map_err(|error| RecordError::from_io(&file, error))?;
        let copy = folder.path().join("copy.sqlite");
        let migrated = || {
            let mut connection = Connection::open(&copy)?;
            distrust(&connection)?;
            Backup::new(&self.connection, &mut connection)?.run_to_completion(1024, Duration::ZERO, None)?;
            schema::migrate(&mut connection, migrations)
        };
        migrated().map_err(|error| RecordError::from_sqlite(&file, error))?;
        Self::at(&file, uri(&copy, "mode=ro"), Some(folder.into()))
            .map_err(|error| RecordError::from_sqlite(&file, error))
    }

    /// What it takes to open it again.
    pub(super) fn checked(&self) -> Checked {
        Checked { file: self.file.clone(), uri: self.uri.clone(), private: self.private.clone() }
    }

    pub(crate) fn sqlite<T>(&self, call: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, RecordError> {
        call(&self.connection).map_err(|error| RecordError::from_sqlite(&self.file, error))
    }
}

/// A row of a schema that refers to nothing, in words.
pub(crate) fn dangling(connection: &Connection, schema: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA {schema}.foreign_key_check"))?;
    let mut rows = statement.query(())?;
    let words =
        |child: String, parent: String| format!("a row of {child} refers to a row of {parent} that is not there");
    rows.next()?.map(|row| Ok(words(row.get(0)?, row.get(2)?))).transpose()
}

/// A number that is another one once another connection has changed the file.
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}

/// Turns off whatever lets a schema act, and the habit of planning a statement anew for each value bound to it.
fn distrust(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "mmap_size", 0)
}

/// Whether the error is the one of a read-only file in WAL mode whose -shm cannot be made.
fn stands_in_a_closed_folder(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

fn has_wal(file: &Path) -> bool {
    fs::metadata(beside(file, "-wal")).is_ok_and(|wal| wal.len() > 0)
}

/// A folder that only we can read, since results may be sensitive.
fn private_folder() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("faultline-").tempdir()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::schema::MIGRATIONS;

    fn tables(source: &Source) -> i64 {
        source
            .sqlite(|c| c.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", (), |r| r.get(0)))
            .unwrap()
    }

    /// Tables of the newest format.
    fn held() -> i64 {
        i64::try_from(crate::tables::ALL.len()).unwrap()
    }

    #[test]
    fn an_older_format_is_read_from_a_private_copy_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.sqlite");
        drop(Database::open_or_create(&file).unwrap());
        let before = fs::read(&file).unwrap();
        let next = Migration { sql: "CREATE TABLE more (a INTEGER) STRICT", summary: "" };
        let one_more = [MIGRATIONS, &[next]].concat();
        let source = Source::open(&file, &one_more, References::LookedUp).unwrap();
        assert_eq!(tables(&source), held() + 1);
        assert_eq!(source.sqlite(schema::user_version).unwrap(), schema::newest(&one_more));
        let copy = PathBuf::from(source.connection.path().unwrap());
        assert!(copy.exists() && copy != file);
        drop(source);
        assert!(!copy.exists());
        assert_eq!(fs::read(&file).unwrap(), before);
    }

    #[test]
    fn a_file_that_changed_since_it_was_checked_is_known_by_that() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.sqlite");
        drop(Database::open_or_create(&file).unwrap());
        let source = Source::open(&file, MIGRATIONS, References::LookedUp).unwrap();
        assert!(source.is_unchanged().unwrap());
        let other = Connection::open(&file).unwrap();
        other.pragma_update(None, "foreign_keys", false).unwrap();
        other.execute("INSERT INTO pace_marks VALUES (zeroblob(16), 0.0, 1.0, 1.0)", ()).unwrap();
        assert!(!source.is_unchanged().unwrap());
        let found = source.sqlite(|connection| dangling(connection, "main")).unwrap();
        assert_eq!(found.as_deref(), Some("a row of pace_marks refers to a row of runs that is not there"));
    }

    #[test]
    fn where_no_shm_can_be_made_the_file_is_read_as_one_that_nobody_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.sqlite");
        drop(Database::open_or_create(&file).unwrap());
        let source = Source::immutable(&file).unwrap();
        assert_eq!(tables(&source), held());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn where_no_shm_can_be_made_a_wal_is_read_from_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.sqlite");
        // Still open: what was written stands in the WAL only.
        let _database = Database::open_or_create(&file).unwrap();
        assert!(has_wal(&file));
        assert_eq!(tables(&Source::copied(&file).unwrap()), held());
        assert_eq!(Source::immutable(&file).map(|source| tables(&source)).ok(), Some(0));
    }
}
