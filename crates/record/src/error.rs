//! What can go wrong with a file of records. Every text names the file and, where there is one, the way out.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a file could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is no such file.
    #[error("{file}: there is no such file", file = .file.display())]
    NotFound {
        /// The file.
        file: PathBuf,
    },
    /// The folder that should hold the file is missing.
    #[error("{file}: its folder does not exist; create it or name another file", file = .file.display())]
    NoFolder {
        /// The file.
        file: PathBuf,
    },
    /// A directory, a pipe or a device where a file was expected.
    #[error("{file}: this is {what}, not a file; name a file", file = .file.display())]
    NotAFile {
        /// The path.
        file: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// Not an SQLite database, or one of another program.
    #[error("{file}: this is not a Faultline database ({found}); name another file", file = .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What was found instead.
        found: String,
    },
    /// Written by a newer version.
    #[error(
        "{file}: format {version} is newer than format {known}, the newest that this version knows; update Faultline",
        file = .file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// The file's `user_version`.
        version: i64,
        /// Our own.
        known: i64,
    },
    /// Its tables are not those of the format it claims.
    #[error("{file}: {object} is not part of format {version}; the file was altered and is not read", file = .file.display())]
    Altered {
        /// The file.
        file: PathBuf,
        /// The table, index, view or trigger that is missing, strange or changed.
        object: String,
        /// The format claimed.
        version: i64,
    },
    /// Damaged.
    #[error("{file}: the database is damaged ({detail}); restore a copy, or name another file", file = .file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// Another process holds it.
    #[error("{file}: the database is locked by another process; try again when it is done", file = .file.display())]
    Locked {
        /// The file.
        file: PathBuf,
    },
    /// A run is already writing to it.
    #[error("{file}: another run is writing to this database; wait for its end or name another file", file = .file.display())]
    AlreadyRunning {
        /// The file.
        file: PathBuf,
    },
    /// It can be read and not written.
    #[error("{file}: the file or its folder cannot be written; change its permissions or name another file", file = .file.display())]
    ReadOnly {
        /// The file.
        file: PathBuf,
    },
    /// It, or what SQLite keeps beside it, cannot be opened.
    #[error(
        "{file}: the file or the -wal and -shm beside it cannot be opened; check the folder's permissions and the limit on \
         open files",
        file = .file.display()
    )]
    CannotOpen {
        /// The file.
        file: PathBuf,
    },
    /// There is no space left.
    #[error("{file}: the disk (or the file's size limit) is full; make room and run again", file = .file.display())]
    Full {
        /// The file.
        file: PathBuf,
    },
    /// A stored value is outside the vocabulary or its range.
    #[error(
        "{file}: table {table}, row {id}, column {column}: {value} is no value that this version knows; the file was \
         altered, or a newer Faultline wrote it",
        file = .file.display()
    )]
    BadRow {
        /// The file.
        file: PathBuf,
        /// The table.
        table: &'static str,
        /// The row's key.
        id: String,
        /// The column.
        column: &'static str,
        /// The value, escaped and shortened.
        value: String,
    },
    /// A merge into one of its own inputs.
    #[error("{file}: the output is also an input; name another output", file = .file.display())]
    OutputIsInput {
        /// The file.
        file: PathBuf,
    },
    /// The operating system refused.
    #[error("{file}: {source}", file = .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Its word.
        source: io::Error,
    },
    /// SQLite refused, for a reason without a variant of its own.
    #[error("{file}: {source}", file = .file.display())]
    Sqlite {
        /// The file.
        file: PathBuf,
        /// Its word.
        source: rusqlite::Error,
    },
}

impl RecordError {
    /// Sorts an error of SQLite about `file`.
    pub(crate) fn from_sqlite(file: &Path, source: rusqlite::Error) -> Self {
        let file = file.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign { file, found: "not SQLite at all".into() },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { file, detail: source.to_string() },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { file },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { file },
            Some(ErrorCode::CannotOpen) => Self::CannotOpen { file },
            Some(ErrorCode::DiskFull) => Self::Full { file },
            _ => Self::Sqlite { file, source },
        }
    }

    /// Sorts an error of the operating system about `file`.
    pub(crate) fn from_io(file: &Path, source: io::Error) -> Self {
        let file = file.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { file },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { file }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { file },
            _ => Self::Io { file, source },
        }
    }
}
