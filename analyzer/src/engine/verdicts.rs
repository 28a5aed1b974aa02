//! The table of verdicts: each measurement is read whole and judged as it passes, by the one judgement that probe and
//! analyzer share, among the others of its run as `analyzer verdicts` does; the context of other runs is not asked (design note
//! 0004). Nothing of it is stored.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use faultline_record::flat::{Cell, Kind};
use faultline_record::{Measurement, Reader, Scope, Slice};
use faultline_verdict::{Company, Grounds, Verdict, Withheld, sentence_of};

use super::checked::CheckedFiles;
use super::columns::{Columns, Type, Value, field};
use super::external;
use super::parts::Piece;
use super::read::{Ask, Batches};
use super::table::Means;
use crate::fingerprints::Known;
use crate::judged::company;

/// Verdicts of a batch: a measurement takes longer than a row.
const BATCH: usize = 2048;

/// A column: its name, what its values are, and where they come from.
type Column = (&'static str, Type, for<'m> fn(&'m Measurement, &'m Verdict) -> Value<'m>);

const ID: Type = Type::Plain(Kind::Id);
const TEXT: Type = Type::Plain(Kind::Text);
const REAL: Type = Type::Plain(Kind::Real);

/// The same columns as `analyzer verdicts --format csv` prints, but for local health.
static COLUMNS: [Column; 27] = [
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
    ("weights", TEXT, |_, v| text(&v.weights)),
    ("fingerprints", TEXT, |_, v| perhaps(v.references.get("fingerprints").map(String::as_str))),
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
    files: Arc<CheckedFiles>,
    fingerprints: Arc<Known>,
}

impl Judged {
    /// These columns of them, as this schema has them.
    pub fn new(ask: &Ask, schema: &SchemaRef, means: &Means) -> Self {
        Self {
            columns: ask.columns.iter().map(|&column| &COLUMNS[column]).collect(),
            scope: ask.scope.clone(),
            schema: Arc::clone(schema),
            files: Arc::clone(&means.files),
            fingerprints: Arc::clone(&means.fingerprints),
        }
    }

    /// Of the whole file, whatever is asked of it: read once, and only where it has tunnels. Two partitions that need it at the same
    /// moment both read it, to the same end.
    fn company<'k>(&self, reader: &Reader, known: &'k OnceLock<Company>) -> Result<&'k Company> {
        if let Some(company) = known.get() {
            return Ok(company);
        }
        let read = company(reader, &self.fingerprints.all, None).map_err(external)?;
        Ok(known.get_or_init(|| read))
    }
}

impl Batches for Judged {
    fn read(
        &self,
        reader: &Reader,
        piece: &Piece,
        slice: &Slice,
        take: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<()> {
        let mut columns = Columns::new(Arc::clone(&self.schema), self.columns.iter().map(|(_, of, _)| *of));
        let known = self.files.company(&piece.file, self.fingerprints.all.snapshot());
        let grounds = Grounds::new(&self.fingerprints.all).among(self.company(reader, &known)?);
        let stopped = reader.for_each_in(&self.scope, slice, &piece.without, |witnessed| {
            let measurement = &witnessed.measurement;
            let verdict = grounds.judge(measurement, &witnessed.witness);
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
