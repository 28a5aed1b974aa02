//! Tables of the files as they are: rows come in batches.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use faultline_record::flat::Flat;
use faultline_record::{Reader, Scope, Slice};

use super::columns::{Columns, Type, Value, field};
use super::parts::Piece;
use super::read::{Ask, Batches};
use super::{BATCH, external};

/// The columns of such a table.
pub fn schema(table: &Flat) -> Schema {
    Schema::new(table.columns.iter().map(|column| field(column.name, Type::Plain(column.kind))).collect::<Vec<_>>())
}

/// What is wanted of a table.
pub struct Rows {
    table: &'static Flat,
    wanted: Vec<usize>,
    scope: Scope,
    schema: SchemaRef,
}

impl Rows {
    /// These columns of it, as this schema has them.
    pub fn new(table: &'static Flat, ask: &Ask, schema: &SchemaRef) -> Self {
        Self { table, wanted: ask.columns.clone(), scope: ask.scope.clone(), schema: Arc::clone(schema) }
    }
}

impl Batches for Rows {
    fn read(
        &self,
        reader: &Reader,
        piece: &Piece,
        slice: &Slice,
        take: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<()> {
        let types = self.wanted.iter().map(|&column| Type::Plain(self.table.columns[column].kind));
        let mut columns = Columns::new(Arc::clone(&self.schema), types);
        let mut end = Ok(true);
        let read = reader.scan(self.table, &self.wanted, &self.scope, slice, &piece.without, |cells| {
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
