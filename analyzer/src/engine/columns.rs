//! From values to columns of Arrow.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, RecordBatch, RecordBatchOptions,
    StringBuilder, TimestampMillisecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use datafusion::common::Result;
use faultline_record::MeasurementId;
use faultline_record::flat::{Cell, Kind};

/// The zone of every stamp.
const UTC: &str = "UTC";

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// As in the file.
    Plain(Kind),
    /// A list of words.
    Words,
}

/// One value.
#[derive(Debug)]
pub enum Value<'v> {
    /// As in the file.
    Plain(Cell<'v>),
    /// Words that were made for it.
    Made(String),
    /// A list of words.
    Words(Vec<&'v str>),
}

/// A column's name and type, as Arrow has it.
pub fn field(name: &str, of: Type) -> Field {
    Field::new(name, data_type(of), true)
}

fn data_type(of: Type) -> DataType {
    match of {
        Type::Plain(Kind::Id | Kind::Text) => DataType::Utf8,
        Type::Plain(Kind::Time) => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
        Type::Plain(Kind::Integer) => DataType::Int64,
        Type::Plain(Kind::Real) => DataType::Float64,
        Type::Plain(Kind::Flag) => DataType::Boolean,
        Type::Words => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
    }
}

/// Columns in the making.
#[derive(Debug)]
pub struct Columns {
    schema: SchemaRef,
    made: Vec<Column>,
    rows: usize,
}

#[derive(Debug)]
enum Column {
    Id(StringBuilder),
    Text(StringBuilder),
    Time(TimestampMillisecondBuilder),
    Integer(Int64Builder),
    Real(Float64Builder),
    Flag(BooleanBuilder),
    Words(ListBuilder<StringBuilder>),
}

impl Columns {
    /// Without rows.
    pub fn new(schema: SchemaRef, types: impl Iterator<Item = Type>) -> Self {
        Self { schema, made: types.map(Column::new).collect(), rows: 0 }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row: one value for each column. A value of another kind than the column's is missing.
    pub fn push<'v>(&mut self, values: impl IntoIterator<Item = Value<'v>>) {
        for (column, value) in self.made.iter_mut().zip(values) {
            column.push(value);
        }
        self.rows += 1;
    }

    /// Takes the rows out.
    pub fn take(&mut self) -> Result<RecordBatch> {
        let arrays = self.made.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?)
    }
}

impl Column {
    fn new(of: Type) -> Self {
        match of {
            Type::Plain(Kind::Id) => Self::Id(StringBuilder::new()),
            Type::Plain(Kind::Text) => Self::Text(StringBuilder::new()),
            Type::Plain(Kind::Time) => Self::Time(TimestampMillisecondBuilder::new().with_timezone(UTC)),
            Type::Plain(Kind::Integer) => Self::Integer(Int64Builder::new()),
            Type::Plain(Kind::Real) => Self::Real(Float64Builder::new()),
            Type::Plain(Kind::Flag) => Self::Flag(BooleanBuilder::new()),
            Type::Words => Self::Words(ListBuilder::new(StringBuilder::new())),
        }
    }

    fn push(&mut self, value: Value<'_>) {
        match (self, value) {
            (Self::Id(column), Value::Plain(Cell::Id(id))) => {
                let _ = write!(column, "{}", MeasurementId::from_bytes(id));
                column.append_value("");
            }
            (Self::Text(column), Value::Plain(Cell::Text(text))) => column.append_value(text),
            (Self::Text(column), Value::Made(text)) => column.append_value(text),
            (Self::Time(column), Value::Plain(Cell::Integer(number))) => column.append_value(number),
            (Self::Integer(column), Value::Plain(Cell::Integer(number))) => column.append_value(number),
            (Self::Real(column), Value::Plain(Cell::Real(number))) => column.append_value(number),
            (Self::Flag(column), Value::Plain(Cell::Flag(flag))) => column.append_value(flag),
            (Self::Words(column), Value::Words(words)) => column.append_value(words.into_iter().map(Some)),
            (column, _) => column.push_nothing(),
        }
    }

    fn push_nothing(&mut self) {
        match self {
            Self::Id(column) | Self::Text(column) => column.append_null(),
            Self::Time(column) => column.append_null(),
            Self::Integer(column) => column.append_null(),
            Self::Real(column) => column.append_null(),
            Self::Flag(column) => column.append_null(),
            Self::Words(column) => column.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Id(column) | Self::Text(column) => Arc::new(column.finish()),
            Self::Time(column) => Arc::new(column.finish()),
            Self::Integer(column) => Arc::new(column.finish()),
            Self::Real(column) => Arc::new(column.finish()),
            Self::Flag(column) => Arc::new(column.finish()),
            Self::Words(column) => Arc::new(column.finish()),
        }
    }
}
