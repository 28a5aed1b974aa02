//! The format's versions: frozen migrations, applied in order, one transaction each, counted by `user_version`.
//!
//! A released migration is never edited and uses no type of today's code; a change is a new file at the end of the list.

mod document;

use std::collections::BTreeSet;

use rusqlite::{Connection, TransactionBehavior};

pub use document::data_format;

/// `application_id` of our files: "FLTL" in ASCII.
pub const APPLICATION_ID: i32 = 0x464C_544C;

/// One step of the format.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The statements.
    pub sql: &'static str,
    /// When it was released, and what it changed: the format's changelog.
    pub summary: &'static str,
}

/// Every migration, oldest first: the n-th leads to format n.
pub const MIGRATIONS: &[Migration] = &[
    Migration { sql: include_str!("0001.sql"), summary: "2026-11: the first format." },
    Migration {
        sql: include_str!("0002.sql"),
        summary: "2026-11: observations have a time to live, columns for tunnels, and when a response came; answers say whether they \
                  carried an OPT record and kept the case of the name; imports have an origin.",
    },
    Migration {
        sql: include_str!("0003.sql"),
        summary: "2026-11: feeds of others (series, values, announcements); the ledger of merges and imports; texts of imported \
                  measurements.",
    },
];

/// The newest format that this version writes.
pub fn newest(migrations: &[Migration]) -> i64 {
    i64::try_from(migrations.len()).unwrap_or(i64::MAX)
}

/// Brings a database to the newest format; each step is all or nothing. Concurrent callers wait for one another.
pub fn migrate(connection: &mut Connection, migrations: &[Migration]) -> rusqlite::Result<()> {
    for (version, migration) in (1_i64..).zip(migrations) {
        if user_version(connection)? >= version {
            continue;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if user_version(&transaction)? < version {
            transaction.execute_batch(migration.sql)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", version)?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// The format's number, as the file claims it.
pub fn user_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whose file it is, as the file claims it.
pub fn application_id(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

/// Type, name, table and SQL text of everything in a schema.
pub type Objects = BTreeSet<(String, String, String, Option<String>)>;

/// What a database holds.
pub fn objects(connection: &Connection) -> rusqlite::Result<Objects> {
    let mut statement = connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema")?;
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    rows.collect()
}

/// What a database of a format must hold: nothing more, nothing less, letter by letter.
pub fn expected_objects(version: i64, migrations: &[Migration]) -> rusqlite::Result<Objects> {
    let steps = usize::try_from(version).unwrap_or(0).min(migrations.len());
    let mut model = Connection::open_in_memory()?;
    migrate(&mut model, &migrations[..steps])?;
    objects(&model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_not_judgements_so_nothing_is_named_blocked() {
        for migration in MIGRATIONS {
            assert!(!migration.sql.to_ascii_lowercase().contains("block"));
        }
    }

    #[test]
    fn every_step_counts_itself() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        assert_eq!(user_version(&connection).unwrap(), newest(MIGRATIONS));
        assert_eq!(application_id(&connection).unwrap(), APPLICATION_ID);
    }

    #[test]
    fn a_step_that_fails_leaves_the_format_before_it() {
        let broken = Migration { sql: "CREATE TABLE half (a INTEGER) STRICT; CREATE NONSENSE", summary: "" };
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(migrate(&mut connection, &[MIGRATIONS[0], broken]).is_err());
        assert_eq!(user_version(&connection).unwrap(), 1);
        assert_eq!(objects(&connection).unwrap(), expected_objects(1, MIGRATIONS).unwrap());
    }
}
