//! The columns of each table, in the order in which rows are bound and read: the one place that both sides share.

use std::sync::LazyLock;

/// A table as today's code sees it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// How many of the first columns make up the key.
    pub(crate) key: usize,
    pub(crate) columns: &'static [&'static str],
}

pub(crate) static RUNS: Table = Table {
    name: "runs",
    key: 1,
    columns: &[
        "id",
        "started_at",
        "software_name",
        "software_version",
        "platform",
        "lists_sha256",
        "plan_sha256",
        "consent",
        "planned",
        "left_out",
        "tls_fingerprint",
        "format",
    ],
};

pub(crate) static RUN_ENDS: Table = Table {
    name: "run_ends",
    key: 1,
    columns: &["run", "reason", "duration_ms", "measured", "not_run", "connections", "bytes_sent", "bytes_received"],
};

pub(crate) static PACE_MARKS: Table =
    Table { name: "pace_marks", key: 4, columns: &["run", "from_ms", "to_ms", "rate"] };

pub(crate) static NETWORKS: Table =
    Table { name: "networks", key: 1, columns: &["id", "asn", "as_name", "country", "kind"] };

pub(crate) static TARGETS: Table = Table {
    name: "targets",
    key: 1,
    columns: &["id", "input", "name", "endpoint", "category", "list", "availability", "private_ca"],
};

pub(crate) static MEASUREMENTS: Table = Table {
    name: "measurements",
    key: 1,
    columns: &["id", "run", "target", "network", "started_at", "offset_ms", "duration_ms"],
};

pub(crate) static ORIGINS: Table = Table {
    name: "origins",
    key: 1,
    columns: &["measurement", "format", "test_name", "test_version", "report", "uid", "sha256"],
};

pub(crate) static OBSERVATIONS: Table = Table {
    name: "observations",
    key: 2,
    columns: &[
        "measurement",
        "seq",
        "hop",
        "purpose",
        "step",
        "operation",
        "connection",
        "t0_ms",
        "t_ms",
        "failure",
        "not_run",
        "detail",
        "address",
        "port",
        "dns_engine",
        "dns_resolver",
        "dns_hostname",
        "dns_query_type",
        "dns_rcode",
        "dns_replies",
        "tls_sni",
        "tls_version",
        "tls_cipher_suite",
        "tls_alpn",
        "tls_bytes_received",
        "tls_first_bytes",
        "http_url",
        "http_protocol",
        "http_status",
        "http_headers",
        "http_body",
        "http_body_length",
        "http_body_truncated",
        "ttl",
        "vpn_protocol",
        "vpn_bytes_received",
        "vpn_answer",
        "vpn_proof",
        "vpn_key",
        "http_title",
        "http_head_ms",
        "http_arrivals",
    ],
};

/// Columns of `observations` that belong to one step only.
pub(crate) const DNS_COLUMNS: usize = 6;
pub(crate) const TLS_COLUMNS: usize = 6;
pub(crate) const HTTP_COLUMNS: usize = 7;
/// The last ones: what is of all steps, and of those that came later.
pub(crate) const VPN_COLUMNS: usize = 5;
pub(crate) const TIMING_COLUMNS: usize = 2;

/// Where two of those begin: looked up by name for each row they would take longer than what is read.
pub(crate) const TTL_COLUMN: usize = 33;
pub(crate) const TITLE_COLUMN: usize = 39;

pub(crate) static DNS_ANSWERS: Table = Table {
    name: "dns_answers",
    key: 3,
    columns: &[
        "measurement",
        "seq",
        "position",
        "reply",
        "rcode",
        "after_ms",
        "ttl",
        "address",
        "cname",
        "opt",
        "case_kept",
    ],
};

pub(crate) static TLS_CHAINS: Table =
    Table { name: "tls_chains", key: 3, columns: &["measurement", "seq", "position", "certificate"] };

pub(crate) static CERTIFICATES: Table =
    Table { name: "certificates", key: 1, columns: &["sha256", "der", "subject", "issuer", "not_before", "not_after"] };

pub(crate) static BODIES: Table = Table { name: "bodies", key: 1, columns: &["sha256", "bytes"] };

pub(crate) static HEALTH_CHECKS: Table =
    Table { name: "health_checks", key: 1, columns: &["id", "run", "reason", "offset_ms", "duration_ms"] };

pub(crate) static HEALTH_SIGNALS: Table = Table {
    name: "health_signals",
    key: 2,
    columns: &[
        "health_check",
        "position",
        "kind",
        "name",
        "provider",
        "family",
        "address",
        "failure",
        "not_run",
        "value",
        "duration_ms",
        "detail",
    ],
};

pub(crate) static FEED_SERIES: Table = Table {
    name: "feed_series",
    key: 1,
    columns: &["id", "kind", "source", "signal", "unit", "step_ms", "country", "region", "asn"],
};

pub(crate) static FEED_POINTS: Table =
    Table { name: "feed_points", key: 2, columns: &["series", "at", "value", "baseline"] };

pub(crate) static FEED_EVENTS: Table = Table {
    name: "feed_events",
    key: 1,
    columns: &["id", "source", "kind", "country", "region", "asn", "from_at", "to_at", "cause", "score", "words"],
};

pub(crate) static INTAKES: Table = Table {
    name: "intakes",
    key: 1,
    columns: &[
        "id",
        "kind",
        "format",
        "name",
        "sha256",
        "bytes",
        "at",
        "software_version",
        "found",
        "added",
        "conflicting",
        "refused",
    ],
};

pub(crate) static INTAKE_RUNS: Table = Table { name: "intake_runs", key: 2, columns: &["intake", "run", "added"] };

pub(crate) static RAW_TEXTS: Table =
    Table { name: "raw_texts", key: 3, columns: &["sha256", "format", "place", "length", "deflated"] };

/// Every table, parents before children.
#[cfg(test)]
pub(crate) static ALL: [&Table; 20] = [
    &RUNS,
    &RUN_ENDS,
    &PACE_MARKS,
    &NETWORKS,
    &TARGETS,
    &MEASUREMENTS,
    &ORIGINS,
    &BODIES,
    &OBSERVATIONS,
    &DNS_ANSWERS,
    &CERTIFICATES,
    &TLS_CHAINS,
    &HEALTH_CHECKS,
    &HEALTH_SIGNALS,
    &FEED_SERIES,
    &FEED_POINTS,
    &FEED_EVENTS,
    &INTAKES,
    &INTAKE_RUNS,
    &RAW_TEXTS,
];

impl Table {
    /// The columns for a SELECT, each with the alias of its table.
    pub(crate) fn select(&self, alias: &str) -> String {
        self.list(|column| format!("{alias}.{column}"))
    }

    /// A comma-separated list made from the columns.
    pub(crate) fn list(&self, each: impl Fn(&str) -> String) -> String {
        self.columns.iter().map(|column| each(column)).collect::<Vec<_>>().join(", ")
    }

    /// An INSERT with a parameter for each column.
    fn insert(&self) -> String {
        let parameters = vec!["?"; self.columns.len()].join(", ");
        format!("INSERT INTO {} ({}) VALUES ({parameters})", self.name, self.list(str::to_owned))
    }

    /// The same, leaving a row of that key as it is. Unlike OR IGNORE it hides no other violation.
    fn insert_new(&self) -> String {
        format!("{} ON CONFLICT DO NOTHING", self.insert())
    }
}

/// INSERT statements, written once.
pub(crate) struct Inserts {
    pub(crate) run: String,
    pub(crate) run_end: String,
    pub(crate) pace_mark: String,
    pub(crate) network: String,
    pub(crate) target: String,
    pub(crate) measurement: String,
    pub(crate) origin: String,
    pub(crate) observation: String,
    pub(crate) dns_answer: String,
    pub(crate) tls_chain: String,
    pub(crate) certificate: String,
    pub(crate) body: String,
    pub(crate) health_check: String,
    pub(crate) health_signal: String,
    pub(crate) feed_series: String,
    pub(crate) feed_point: String,
    pub(crate) feed_event: String,
    pub(crate) intake: String,
    pub(crate) intake_run: String,
    pub(crate) raw_text: String,
}

/// See [`Inserts`]. What is unique by content is left as it is where it is there already.
pub(crate) static INSERTS: LazyLock<Inserts> = LazyLock::new(|| Inserts {
    run: RUNS.insert(),
    run_end: RUN_ENDS.insert(),
    pace_mark: PACE_MARKS.insert_new(),
    network: NETWORKS.insert_new(),
    target: TARGETS.insert_new(),
    measurement: MEASUREMENTS.insert(),
    origin: ORIGINS.insert(),
    observation: OBSERVATIONS.insert(),
    dns_answer: DNS_ANSWERS.insert(),
    tls_chain: TLS_CHAINS.insert(),
    certificate: CERTIFICATES.insert_new(),
    body: BODIES.insert_new(),
    health_check: HEALTH_CHECKS.insert(),
    health_signal: HEALTH_SIGNALS.insert(),
    feed_series: FEED_SERIES.insert_new(),
    feed_point: FEED_POINTS.insert_new(),
    feed_event: FEED_EVENTS.insert_new(),
    intake: INTAKES.insert(),
    intake_run: INTAKE_RUNS.insert(),
    raw_text: RAW_TEXTS.insert_new(),
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{MIGRATIONS, migrate};

    #[test]
    fn the_last_columns_of_observations_stand_where_they_are_looked_for() {
        assert_eq!(OBSERVATIONS.columns[TTL_COLUMN], "ttl");
        assert_eq!(OBSERVATIONS.columns[TITLE_COLUMN], "http_title");
    }

    #[test]
    fn the_lists_here_are_the_tables_of_the_newest_format() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        let count: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", (), |r| r.get(0)).unwrap();
        assert_eq!(usize::try_from(count), Ok(ALL.len()));
        for table in ALL {
            let mut statement = connection.prepare("SELECT name, pk FROM pragma_table_info(?1)").unwrap();
            let rows = statement.query_map([table.name], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            let found: Vec<(String, i64)> = rows.map(Result::unwrap).collect();
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, table.columns, "{}", table.name);
            let keys: Vec<i64> = found.iter().map(|&(_, pk)| pk).filter(|&pk| pk > 0).collect();
            assert_eq!(keys, (1..).take(table.key).collect::<Vec<_>>(), "{}", table.name);
        }
    }
}
