//! The statements of a merge, made from the tables' columns. `main` is the output, `input` is attached.

use crate::tables::{
    DNS_ANSWERS, HEALTH_CHECKS, HEALTH_SIGNALS, MEASUREMENTS, OBSERVATIONS, ORIGINS, PACE_MARKS, RUN_ENDS, RUNS,
    TLS_CHAINS, Table,
};

/// Notes of a merge: ids of the group at hand that are new, ids that both sides know, and what contradicts.
pub(super) const SCRATCH: &str = "
    CREATE TEMP TABLE fresh (id BLOB NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TEMP TABLE shared (id BLOB NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TEMP TABLE differing (name TEXT NOT NULL, id BLOB NOT NULL, PRIMARY KEY (name, id)) STRICT, WITHOUT ROWID;
";

/// Whether a row of an input refers to a run or a series that is not there, or a signal to no check.
pub(super) const LOOSE: &str = "
    SELECT EXISTS (SELECT 1 FROM input.measurements x WHERE x.run NOT IN (SELECT id FROM input.runs))
        OR EXISTS (SELECT 1 FROM input.health_checks x WHERE x.run NOT IN (SELECT id FROM input.runs))
        OR EXISTS (SELECT 1 FROM input.run_ends x WHERE x.run NOT IN (SELECT id FROM input.runs))
        OR EXISTS (SELECT 1 FROM input.pace_marks x WHERE x.run NOT IN (SELECT id FROM input.runs))
        OR EXISTS (SELECT 1 FROM input.health_signals x WHERE x.health_check NOT IN (SELECT id FROM input.health_checks))
        OR EXISTS (SELECT 1 FROM input.feed_points x WHERE x.series NOT IN (SELECT id FROM input.feed_series))";

/// Rows that belong together under one id, the first column of each table.
pub(super) struct Group {
    pub(super) parent: &'static Table,
    children: &'static [&'static Table],
    /// The column that names the run, in tables that have a key of their own.
    run: Option<&'static str>,
}

/// Parents before children.
pub(super) static GROUPS: [Group; 4] = [
    Group { parent: &RUNS, children: &[], run: None },
    Group { parent: &RUN_ENDS, children: &[], run: Some("run") },
    Group { parent: &MEASUREMENTS, children: &[&ORIGINS, &OBSERVATIONS, &DNS_ANSWERS, &TLS_CHAINS], run: Some("run") },
    Group { parent: &HEALTH_CHECKS, children: &[&HEALTH_SIGNALS], run: Some("run") },
];

impl Group {
    fn tables(&self) -> impl Iterator<Item = &'static Table> {
        std::iter::once(self.parent).chain(self.children.iter().copied())
    }
}

/// Notes which ids of a group are shared, which of those differ, and which are new. Nothing new is taken for a run that
/// the output knows otherwise.
pub(super) fn sort_out(group: &Group) -> String {
    let Group { parent, run, .. } = group;
    let (name, key) = (parent.name, parent.columns[0]);
    let in_differing_run = run.map_or_else(
        || "0".to_owned(),
        |run| format!("x.{run} IN (SELECT id FROM temp.differing WHERE name = '{}')", RUNS.name),
    );
    let unknown = format!("FROM input.{name} x WHERE x.{key} NOT IN (SELECT {key} FROM main.{name})");
    let compare =
        group.tables().flat_map(|table| [differ(name, table, "input", "main"), differ(name, table, "main", "input")]);
    format!(
        "DELETE FROM temp.fresh; DELETE FROM temp.shared;
         INSERT INTO temp.shared SELECT x.{key} FROM input.{name} x JOIN main.{name} y ON y.{key} = x.{key};
         {};
         INSERT INTO temp.differing SELECT '{name}', x.{key} {unknown} AND {in_differing_run};
         INSERT INTO temp.fresh SELECT x.{key} {unknown} AND NOT {in_differing_run};",
        compare.collect::<Vec<_>>().join(";\n"),
    )
}

/// Notes shared ids under which one side has a row that the other lacks or has otherwise.
fn differ(name: &str, table: &Table, one: &str, other: &str) -> String {
    let owner = table.columns[0];
    let same_key = table.columns[..table.key].iter().map(|column| format!("y.{column} = x.{column}"));
    format!(
        "INSERT OR IGNORE INTO temp.differing
         SELECT '{name}', e.id FROM temp.shared e CROSS JOIN {one}.{table} x ON x.{owner} = e.id
         LEFT JOIN {other}.{table} y ON {keys} WHERE ({mine}) IS NOT ({theirs})",
        table = table.name,
        keys = same_key.collect::<Vec<_>>().join(" AND "),
        mine = table.select("x"),
        theirs = table.select("y"),
    )
}

/// Takes what is new of a group.
pub(super) fn take_new(group: &Group) -> String {
    group.tables().map(|table| format!("{};", take(table))).collect::<Vec<_>>().join("\n")
}

/// Takes what is new of a group and has an id from one to another, table by table.
pub(super) fn take_between(group: &Group) -> impl Iterator<Item = String> {
    group.tables().map(|table| format!("{} WHERE e.id BETWEEN ?1 AND ?2", take(table)))
}

fn take(table: &Table) -> String {
    format!(
        "INSERT INTO main.{name} ({columns}) SELECT {values} FROM temp.fresh e CROSS JOIN input.{name} x ON x.{owner} = e.id",
        name = table.name,
        columns = table.list(str::to_owned),
        values = table.select("x"),
        owner = table.columns[0],
    )
}

/// Rows of a table keyed by content that the output lacks.
pub(super) fn missing(table: &Table) -> String {
    let (name, key) = (table.name, table.columns[0]);
    format!("SELECT {} FROM input.{name} x WHERE x.{key} NOT IN (SELECT {key} FROM main.{name})", table.select("x"))
}

/// Takes those rows.
pub(super) fn take_missing(table: &Table) -> String {
    format!("INSERT INTO main.{} ({}) {}", table.name, table.list(str::to_owned), missing(table))
}

/// Runs of the measurements that are new, with how many.
pub(super) const RUNS_OF_FRESH: &str = "
    SELECT m.run, count(*) FROM temp.fresh e CROSS JOIN input.measurements m ON m.id = e.id GROUP BY m.run";

/// Rows whose whole key the output lacks.
pub(super) fn absent(table: &Table) -> String {
    let same_key = table.columns[..table.key].iter().map(|column| format!("y.{column} = x.{column}"));
    format!(
        "SELECT {} FROM input.{name} x WHERE NOT EXISTS (SELECT 1 FROM main.{name} y WHERE {})",
        table.select("x"),
        same_key.collect::<Vec<_>>().join(" AND "),
        name = table.name,
    )
}

/// Takes rows whose key the output lacks; those of a key that it has are left.
pub(super) fn take_absent(table: &Table) -> String {
    format!(
        "INSERT INTO main.{name} ({columns}) SELECT {values} FROM input.{name} x WHERE true ON CONFLICT DO NOTHING",
        name = table.name,
        columns = table.list(str::to_owned),
        values = table.select("x"),
    )
}

/// Takes pace marks: a mark is its own key. None for a run that the output knows otherwise.
pub(super) fn take_marks() -> String {
    format!(
        "INSERT INTO main.{name} ({columns}) SELECT {values} FROM input.{name} x
         WHERE x.run NOT IN (SELECT id FROM temp.differing WHERE name = '{runs}') ON CONFLICT DO NOTHING",
        name = PACE_MARKS.name,
        columns = PACE_MARKS.list(str::to_owned),
        values = PACE_MARKS.select("x"),
        runs = RUNS.name,
    )
}
