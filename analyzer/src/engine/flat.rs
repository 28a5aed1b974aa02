//! Tables of the files as they are: projection and conditions become SQL, rows come in batches.

use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::streaming::StreamingTableExec;
use faultline_record::flat::Flat;
use faultline_record::{Reader, Scope, Sliced};

use super::columns::{Columns, Type, Value, field};
use super::parts::{Batches, Part, Unit, Units};
use super::{BATCH, external, filters};

/// One of the flat tables.
#[derive(Debug)]
pub struct FlatTable {
    table: &'static Flat,
    schema: SchemaRef,
    units: Arc<Units>,
}

impl FlatTable {
    /// Over these slices.
    pub fn new(table: &'static Flat, units: Arc<Units>) -> Self {
        let fields: Vec<_> = table.columns.iter().map(|column| field(column.name, Type::Plain(column.kind))).collect();
        Self { table, schema: Arc::new(Schema::new(fields)), units }
    }
}

#[async_trait]
impl TableProvider for FlatTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(match self.table.sliced {
            Sliced::Measurements => filters::support(filters),
            Sliced::HealthChecks => vec![TableProviderFilterPushDown::Unsupported; filters.len()],
        })
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = projection.cloned().unwrap_or_else(|| (0..self.table.columns.len()).collect());
        let schema = Arc::new(self.schema.project(&wanted)?);
        let rows = Rows { table: self.table, wanted, scope: filters::scope(filters), schema: Arc::clone(&schema) };
        let partitions = self.units.partitions(self.table.sliced, session.config().target_partitions());
        plan(&schema, rows, partitions, limit)
    }
}

/// A plan of partitions that are read side by side.
pub fn plan<B: Batches>(
    schema: &SchemaRef,
    batches: B,
    partitions: impl Iterator<Item = Vec<Unit>>,
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let batches = Arc::new(batches);
    let part = |units| -> Arc<dyn datafusion::physical_plan::streaming::PartitionStream> {
        Arc::new(Part { schema: Arc::clone(schema), batches: Arc::clone(&batches), units })
    };
    let parts = partitions.map(part).collect();
    Ok(Arc::new(StreamingTableExec::try_new(Arc::clone(schema), parts, None, [], false, limit)?))
}

/// What is wanted of a table.
#[derive(Debug)]
struct Rows {
    table: &'static Flat,
    wanted: Vec<usize>,
    scope: Scope,
    schema: SchemaRef,
}

impl Batches for Rows {
    fn read(&self, reader: &Reader, unit: &Unit, take: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()> {
        let types = self.wanted.iter().map(|&column| Type::Plain(self.table.columns[column].kind));
        let mut columns = Columns::new(Arc::clone(&self.schema), types);
        let mut end = Ok(true);
        let read = reader.scan(self.table, &self.wanted, &self.scope, &unit.slice, &unit.source.without, |cells| {
            columns.push(cells.iter().map(|&cell| Value::Plain(cell)));
            if columns.rows() == BATCH {
                end = columns.take().map(&mut *take);
            }
            if matches!(end, Ok(true)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        read.map_err(external)?;
        if end? && columns.rows() > 0 {
            take(columns.take()?);
        }
        Ok(())
    }
}
