//! The file as flat tables for queries: each with the columns of what it hangs on, read column by column as far as they are
//! asked for. Values are as strange as in any stranger's file: names are held against the vocabulary before they are handed over.

use std::collections::HashSet;
use std::fmt::Write;
use std::ops::ControlFlow;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::Reader;
use super::scope::{Conditions, Scope, Slice, Sliced};
use crate::cells::show;
use crate::error::RecordError;
use crate::failure::Failure;
use crate::model::{
    Availability, Engine, Family, FirstBytes, HealthReason, NetworkKind, NotRun, Purpose, QueryType, SignalKind, Step,
    VpnAnswer, VpnKey, VpnProof, VpnProtocol,
};

/// A flat table.
#[derive(Debug)]
pub struct Flat {
    /// Its name in queries.
    pub name: &'static str,
    /// What its rows are cut by.
    pub sliced: Sliced,
    /// Rows of it that hang on one row of those; `None`: it is that row.
    detail: Option<Detail>,
    /// Its columns.
    pub columns: &'static [Column],
}

/// A table whose rows hang on a measurement or a check.
#[derive(Debug)]
struct Detail {
    table: &'static str,
    owner: &'static str,
    order: &'static str,
}

/// A column of a flat table.
#[derive(Debug)]
pub struct Column {
    /// Its name in queries.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Where they come from; the alias says from which table.
    sql: &'static str,
    /// Whether a name belongs to the vocabulary.
    knows: Option<fn(&str) -> bool>,
    /// Whether it tells where a server is.
    tells_where: bool,
}

/// What the values of a column are; every one may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A UUID.
    Id,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Time,
    /// Words.
    Text,
    /// A count or a number of a protocol.
    Integer,
    /// Milliseconds or another measure.
    Real,
    /// Yes or no.
    Flag,
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'r> {
    /// There is none.
    Missing,
    /// Of [`Kind::Id`].
    Id([u8; 16]),
    /// Of [`Kind::Time`] and [`Kind::Integer`].
    Integer(i64),
    /// Of [`Kind::Real`].
    Real(f64),
    /// Of [`Kind::Flag`].
    Flag(bool),
    /// Of [`Kind::Text`].
    Text(&'r str),
}

const fn column(name: &'static str, kind: Kind, sql: &'static str) -> Column {
    Column { name, kind, sql, knows: None, tells_where: false }
}

/// A column that tells where a server is: nothing stands there for servers of tunnels, whose whereabouts serve whoever wants to block them.
const fn place(name: &'static str, kind: Kind, sql: &'static str) -> Column {
    Column { name, kind, sql, knows: None, tells_where: true }
}

const fn name(name: &'static str, sql: &'static str, knows: fn(&str) -> bool) -> Column {
    Column { name, kind: Kind::Text, sql, knows: Some(knows), tells_where: false }
}

macro_rules! knows {
    ($vocabulary:ty) => {
        |text| <$vocabulary>::from_name(text).is_some()
    };
}

/// What was measured, when and from where.
pub static MEASUREMENTS: Flat = Flat {
    name: "measurements",
    sliced: Sliced::Measurements,
    detail: None,
    columns: &[
        column("id", Kind::Id, "m.id"),
        column("run", Kind::Id, "m.run"),
        column("started_at", Kind::Time, "m.started_at"),
        column("offset_ms", Kind::Real, "m.offset_ms"),
        column("duration_ms", Kind::Real, "m.duration_ms"),
        place("target", Kind::Text, "t.name"),
        place("input", Kind::Text, "t.input"),
        place("endpoint", Kind::Text, "t.endpoint"),
        column("category", Kind::Text, "t.category"),
        column("list", Kind::Text, "t.list"),
        name("availability", "t.availability", knows!(Availability)),
        column("asn", Kind::Integer, "n.asn"),
        column("as_name", Kind::Text, "n.as_name"),
        column("country", Kind::Text, "n.country"),
        name("network_kind", "n.kind", knows!(NetworkKind)),
        column("software_name", Kind::Text, "r.software_name"),
        column("software_version", Kind::Text, "r.software_version"),
        column("platform", Kind::Text, "r.platform"),
    ],
};

/// What was seen: one row a step, with the measurement's time, target and network.
pub static OBSERVATIONS: Flat = Flat {
    name: "observations",
    sliced: Sliced::Measurements,
    detail: Some(Detail { table: "observations", owner: "measurement", order: "d.seq" }),
    columns: &[
        column("measurement", Kind::Id, "m.id"),
        column("seq", Kind::Integer, "d.seq"),
        column("started_at", Kind::Time, "m.started_at"),
        place("target", Kind::Text, "t.name"),
        column("asn", Kind::Integer, "n.asn"),
        column("country", Kind::Text, "n.country"),
        column("hop", Kind::Integer, "d.hop"),
        name("purpose", "d.purpose", knows!(Purpose)),
        name("step", "d.step", knows!(Step)),
        column("connection", Kind::Integer, "d.connection"),
        column("t0_ms", Kind::Real, "d.t0_ms"),
        column("t_ms", Kind::Real, "d.t_ms"),
        name("failure", "d.failure", knows!(Failure)),
        name("not_run", "d.not_run", knows!(NotRun)),
        place("address", Kind::Text, "d.address"),
        column("port", Kind::Integer, "d.port"),
        column("ttl", Kind::Integer, "d.ttl"),
        name("dns_engine", "d.dns_engine", knows!(Engine)),
        column("dns_resolver", Kind::Text, "d.dns_resolver"),
        place("dns_hostname", Kind::Text, "d.dns_hostname"),
        name("dns_query_type", "d.dns_query_type", knows!(QueryType)),
        column("dns_rcode", Kind::Integer, "d.dns_rcode"),
        column("dns_replies", Kind::Integer, "d.dns_replies"),
        place("tls_sni", Kind::Text, "d.tls_sni"),
        column("tls_version", Kind::Text, "d.tls_version"),
        column("tls_cipher_suite", Kind::Text, "d.tls_cipher_suite"),
        column("tls_alpn", Kind::Text, "d.tls_alpn"),
        column("tls_bytes_received", Kind::Integer, "d.tls_bytes_received"),
        name("tls_first_bytes", "d.tls_first_bytes", knows!(FirstBytes)),
        place("http_url", Kind::Text, "d.http_url"),
        column("http_protocol", Kind::Text, "d.http_protocol"),
        column("http_status", Kind::Integer, "d.http_status"),
        column("http_body_length", Kind::Integer, "d.http_body_length"),
        column("http_body_truncated", Kind::Flag, "d.http_body_truncated"),
        place("http_title", Kind::Text, "d.http_title"),
        column("http_head_ms", Kind::Integer, "d.http_head_ms"),
        name("vpn_protocol", "d.vpn_protocol", knows!(VpnProtocol)),
        column("vpn_bytes_received", Kind::Integer, "d.vpn_bytes_received"),
        name("vpn_answer", "d.vpn_answer", knows!(VpnAnswer)),
        name("vpn_proof", "d.vpn_proof", knows!(VpnProof)),
        name("vpn_key", "d.vpn_key", knows!(VpnKey)),
    ],
};

/// What resolvers answered: one row a record.
pub static DNS_ANSWERS: Flat = Flat {
    name: "dns_answers",
    sliced: Sliced::Measurements,
    detail: Some(Detail { table: "dns_answers", owner: "measurement", order: "d.seq, d.position" }),
    columns: &[
        column("measurement", Kind::Id, "m.id"),
        column("seq", Kind::Integer, "d.seq"),
        column("position", Kind::Integer, "d.position"),
        column("started_at", Kind::Time, "m.started_at"),
        place("target", Kind::Text, "t.name"),
        column("asn", Kind::Integer, "n.asn"),
        column("country", Kind::Text, "n.country"),
        column("reply", Kind::Integer, "d.reply"),
        column("rcode", Kind::Integer, "d.rcode"),
        column("after_ms", Kind::Integer, "d.after_ms"),
        column("ttl", Kind::Integer, "d.ttl"),
        place("address", Kind::Text, "d.address"),
        place("cname", Kind::Text, "d.cname"),
    ],
};

/// What the vantage itself could do: one row a signal of a check.
pub static HEALTH_CHECKS: Flat = Flat {
    name: "health_checks",
    sliced: Sliced::HealthChecks,
    detail: Some(Detail { table: "health_signals", owner: "health_check", order: "d.position" }),
    columns: &[
        column("id", Kind::Id, "m.id"),
        column("run", Kind::Id, "m.run"),
        name("reason", "m.reason", knows!(HealthReason)),
        column("run_started_at", Kind::Time, "r.started_at"),
        column("offset_ms", Kind::Real, "m.offset_ms"),
        column("duration_ms", Kind::Real, "m.duration_ms"),
        column("position", Kind::Integer, "d.position"),
        name("kind", "d.kind", knows!(SignalKind)),
        column("name", Kind::Text, "d.name"),
        column("provider", Kind::Text, "d.provider"),
        name("family", "d.family", knows!(Family)),
        column("address", Kind::Text, "d.address"),
        name("failure", "d.failure", knows!(Failure)),
        name("not_run", "d.not_run", knows!(NotRun)),
        column("value", Kind::Real, "d.value"),
        column("signal_duration_ms", Kind::Real, "d.duration_ms"),
    ],
};

/// All of them.
pub static FLAT: [&Flat; 4] = [&MEASUREMENTS, &OBSERVATIONS, &DNS_ANSWERS, &HEALTH_CHECKS];

impl Flat {
    /// The statement for these columns, by their places; the first column is the id of what the row hangs on. Tables that
    /// neither they nor the scope need are left out, and the order of the joins is ours, not the planner's.
    fn select(&self, wanted: &[usize], scope: &Scope, conditions: &Conditions) -> String {
        let uses = |alias: &str| wanted.iter().any(|&column| self.columns[column].sql.starts_with(alias));
        let mut sql = String::from("SELECT m.id");
        for column in wanted.iter().map(|&column| &self.columns[column]) {
            let value = if column.tells_where { withheld(column.sql) } else { column.sql.to_owned() };
            let _ = write!(sql, ", {value}");
        }
        let _ = write!(sql, " FROM {} m", self.sliced.table());
        let tells_where = wanted.iter().any(|&column| self.columns[column].tells_where);
        if uses("t.") || tells_where || scope.asks_for_targets() {
            sql.push_str(" CROSS JOIN targets t ON t.id = m.target");
        }
        if uses("n.") || scope.asks_for_networks() {
            sql.push_str(" CROSS JOIN networks n ON n.id = m.network");
        }
        if uses("r.") {
            sql.push_str(" CROSS JOIN runs r ON r.id = m.run");
        }
        let mut order = "m.run, m.offset_ms, m.id".to_owned();
        if let Some(Detail { table, owner, order: within }) = &self.detail {
            let _ = write!(sql, " CROSS JOIN {table} d ON d.{owner} = m.id");
            let _ = write!(order, ", {within}");
        }
        let _ = write!(sql, " {} ORDER BY {order}", conditions.clause());
        sql
    }
}

/// The value, but for tunnels; of their names those alone that tell no address.
fn withheld(sql: &str) -> String {
    let is_tunnel = is_tunnel();
    // `service/role` names nobody's server; what stands for an endpoint that no list knows has its host and port in it.
    let tells = if sql == "t.name" { "(instr(t.name, '/') = 0 OR instr(t.name, ':') > 0)" } else { "1" };
    format!("CASE WHEN {tells} AND {is_tunnel} THEN NULL ELSE {sql} END")
}

/// The condition that a target `t` is a tunnel's server.
pub(super) fn is_tunnel() -> String {
    let schemes: Vec<String> = VpnProtocol::ALL.iter().map(|protocol| format!("'{}'", protocol.name())).collect();
    format!("substr(t.endpoint, 1, instr(t.endpoint, '://') - 1) IN ({})", schemes.join(", "))
}

impl Reader {
    /// Rows of a slice of a flat table, with the wanted columns by their places, until the visitor breaks off; those that
    /// hang on an id in `without` are left out. Checks have no target and no network: a scope says nothing of them.
    ///
    /// # Errors
    /// A file that cannot be read, or a value that is not of this format, with its place.
    pub fn scan(
        &self,
        table: &Flat,
        wanted: &[usize],
        scope: &Scope,
        slice: &Slice,
        without: &HashSet<[u8; 16]>,
        mut visit: impl FnMut(&[Cell<'_>]) -> ControlFlow<()>,
    ) -> Result<(), RecordError> {
        let any = Scope::default();
        let scope = if table.sliced == Sliced::Measurements { scope } else { &any };
        let conditions = Conditions::of(scope, slice);
        let select = table.select(wanted, scope, &conditions);
        self.each(&select, rusqlite::params_from_iter(&conditions.values), |row| {
            let id: [u8; 16] = row.get(0).map_err(|error| RecordError::from_sqlite(self.file(), error))?;
            if without.contains(&id) {
                return Ok(true);
            }
            let mut cells = Vec::with_capacity(wanted.len());
            for (place, &column) in (1..).zip(wanted) {
                let cell = cell(row, place, &table.columns[column]);
                cells.push(cell.ok_or_else(|| self.bad_cell(table, &table.columns[column], row, place, id))?);
            }
            Ok(visit(&cells).is_continue())
        })
    }

    fn bad_cell(&self, table: &Flat, column: &Column, row: &Row<'_>, place: usize, id: [u8; 16]) -> RecordError {
        RecordError::BadRow {
            file: self.file().to_path_buf(),
            table: table.name,
            id: uuid::Uuid::from_bytes(id).to_string(),
            column: column.name,
            value: show(row.get_ref(place).ok()),
        }
    }
}

/// A value as its column says; `None`: it is another thing, or a name that nobody knows.
fn cell<'r>(row: &'r Row<'_>, place: usize, column: &Column) -> Option<Cell<'r>> {
    match (row.get_ref(place).ok()?, column.kind) {
        (ValueRef::Null, _) => Some(Cell::Missing),
        (ValueRef::Blob(bytes), Kind::Id) => bytes.try_into().ok().map(Cell::Id),
        (ValueRef::Integer(number), Kind::Time | Kind::Integer) => Some(Cell::Integer(number)),
        (ValueRef::Integer(number @ 0..=1), Kind::Flag) => Some(Cell::Flag(number == 1)),
        (ValueRef::Real(number), Kind::Real) => Some(Cell::Real(number)),
        (ValueRef::Text(bytes), Kind::Text) => {
            let text = std::str::from_utf8(bytes).ok()?;
            column.knows.is_none_or(|knows| knows(text)).then_some(Cell::Text(text))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{MIGRATIONS, migrate};

    #[test]
    fn reading_a_slice_neither_sorts_the_file_nor_scans_what_an_index_could_find() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        let scope = Scope { asns: Some(vec![1]), targets: Some(vec!["x/web".into()]), ..Scope::default() };
        for table in FLAT {
            let scope = if table.sliced == Sliced::Measurements { &scope } else { &Scope::default() };
            let conditions = Conditions::of(scope, &Slice::inner());
            let wanted: Vec<usize> = (0..table.columns.len()).collect();
            let select = table.select(&wanted, scope, &conditions);
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {select}")).unwrap();
            let values = rusqlite::params_from_iter(&conditions.values);
            let rows = statement.query_map(values, |row| row.get::<_, String>(3)).unwrap();
            let plan = rows.map(Result::unwrap).collect::<Vec<_>>().join("; ");
            // The rows of one measurement may be sorted among themselves.
            assert!(!plan.contains("TEMP B-TREE FOR ORDER BY") && !plan.contains("SCAN"), "{select}: {plan}");
            assert!(plan.contains("_by_time"), "{select}: {plan}");
        }
    }
}
