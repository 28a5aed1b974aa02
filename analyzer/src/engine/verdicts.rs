//! The table of verdicts: each measurement is read whole and judged as it passes, by the one judgement that probe and
//! analyzer share: by itself, without what others of its run say. Nothing of it is stored.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use faultline_record::flat::{Cell, Kind};
use faultline_record::{Measurement, Reader, Scope, Slice};
use faultline_verdict::{Verdict, Withheld, judge_with, sentence_of};

use super::columns::{Columns, Type, Value, field};
use super::external;
use super::read::{Ask, Batches};
use crate::fingerprints::Known;

/// Verdicts of a batch: a measurement takes longer than a row.
const BATCH: usize = 2048;

/// A column: its name, what its values are, and where they come from.
type Column = (&'static str, Type, for<'m> fn(&'m Measurement, &'m Verdict) -> Value<'m>);

const ID: Type = Type::Plain(Kind::Id);
const TEXT: Type = Type::Plain(Kind::Text);
const REAL: Type = Type::Plain(Kind::Real);

/// The same columns as `analyzer verdicts --format csv` prints, but for local health.
static COLUMNS: [Column; 25] = [
    ("id", ID, |m, _| Value::Plain(Cell::Id(*m.id.as_bytes()))),
    ("run", ID, |m, _| Value::Plain(Cell::Id(*m.run.as_bytes()))),
    ("started_at", Type::Plain(Kind::Time), |m, _| Value::Plain(Cell::Integer(m.started_at.as_millisecond()))),
    ("duration_ms", REAL, |m, _| real(m.duration_ms)),
    ("target", TEXT, |m, _| told(m, &m.target.name)),
    ("input", TEXT, |m, _| told(m, &m.target.input)),
    ("endpoint", TEXT, |m, _| told(m, &m.target.endpoint.to_string())),
    ("category", TEXT, |m, _| perhaps(m.target.category.as_deref())),
    ("list", TEXT, |m, _| perhaps(m.target.list.as_deref())),
    ("asn", Type::Plain(Kind::Integer), |m, _| {
        Value::Plain(m.network.asn.map_or(Cell::Missing, |asn| Cell::Integer(asn.into())))
    }),
    ("as_name", TEXT, |m, _| perhaps(m.network.as_name.as_deref())),
    ("country", TEXT, |m, _| perhaps(m.network.country.as_deref())),
    ("network_kind", TEXT, |m, _| text(m.network.kind.name())),
    ("state", TEXT, |_, v| text(v.state.name())),
    ("cause", TEXT, |_, v| text(v.cause.name())),
    ("mechanisms", Type::Words, |_, v| Value::Words(v.mechanisms.iter().map(String::as_str).collect())),
    ("p_ok", REAL, |_, v| real(v.p.ok)),
    ("p_down", REAL, |_, v| real(v.p.down)),
    ("p_blocked", REAL, |_, v| real(v.p.blocked)),
    ("state_ipv4", TEXT, |_, v| family(v, "ipv4")),
    ("state_ipv6", TEXT, |_, v| family(v, "ipv6")),
    ("state_quic", TEXT, |_, v| family(v, "quic")),
    ("ruleset", TEXT, |_, v| text(&v.ruleset)),
    ("rules", Type::Words, |_, v| Value::Words(v.evidence.iter().map(|evidence| evidence.rule.as_str()).collect())),
    ("summary", TEXT, |m, v| told(m, &sentence_of(m, v))),
];

/// Without what tells where a tunnel's server is.
fn told<'m>(measurement: &Measurement, text: &str) -> Value<'m> {
    Value::Made(Withheld::of(measurement).text(text).into_owned())
}

fn text(text: &str) -> Value<'_> {
    Value::Plain(Cell::Text(text))
}

fn perhaps(text: Option<&str>) -> Value<'_> {
    Value::Plain(text.map_or(Cell::Missing, Cell::Text))
}

fn real<'v>(number: f64) -> Value<'v> {
    Value::Plain(Cell::Real(number))
}

fn family<'v>(verdict: &'v Verdict, name: &str) -> Value<'v> {
    perhaps(verdict.families.get(name).map(|state| state.name()))
}

/// Its columns.
pub fn schema() -> Schema {
    Schema::new(COLUMNS.iter().map(|&(name, of, _)| field(name, of)).collect::<Vec<_>>())
}

/// What is wanted of the verdicts.
pub struct Judged {
    columns: Vec<&'static Column>,
    scope: Scope,
    schema: SchemaRef,
    fingerprints: Arc<Known>,
}

impl Judged {
    /// These columns of them, as this schema has them.
    pub fn new(ask: &Ask, schema: &SchemaRef, fingerprints: &Arc<Known>) -> Self {
        let columns = ask.columns.iter().map(|&column| &COLUMNS[column]).collect();
        Self { columns, scope: ask.scope.clone(), schema: Arc::clone(schema), fingerprints: Arc::clone(fingerprints) }
    }
}

impl Batches for Judged {
    fn read(
        &self,
        reader: &Reader,
        slice: &Slice,
        without: &HashSet<[u8; 16]>,
        take: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<()> {
        let mut columns = Columns::new(Arc::clone(&self.schema), self.columns.iter().map(|(_, of, _)| *of));
        let stopped = reader.for_each_in(&self.scope, slice, without, |witnessed| {
            let measurement = &witnessed.measurement;
            let verdict = judge_with(&self.fingerprints.all, measurement, &witnessed.witness);
            columns.push(self.columns.iter().map(|(_, _, value)| value(measurement, &verdict)));
            if columns.rows() < BATCH {
                return ControlFlow::Continue(());
            }
            match columns.take().map(&mut *take) {
                Ok(true) => ControlFlow::Continue(()),
                end => ControlFlow::Break(end),
            }
        });
        if let Some(end) = stopped.map_err(external)? {
            return end.map(|_| ());
        }
        if columns.rows() > 0 {
            take(columns.take()?);
        }
        Ok(())
    }
}
