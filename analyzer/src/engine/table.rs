//! The tables that files have, and how DataFusion asks for them: projection and conditions become part of reading.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use faultline_record::Sliced;
use faultline_record::flat::{FLAT, Flat};

use super::checked::CheckedFiles;
use super::filters;
use super::flat::{self, Rows};
use super::parts::{self, Units};
use super::read::{Ask, Batches, ReadExec};
use super::verdicts::{self, Judged};
use crate::fingerprints::Known;

/// One of the tables.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    /// As in the files.
    Flat(&'static Flat),
    /// Judged while it is read.
    Verdicts,
}

/// What a process has of its own for reading.
#[derive(Debug)]
pub struct Means {
    /// Files that it has checked.
    pub files: Arc<CheckedFiles>,
    /// What verdicts are held against.
    pub fingerprints: Arc<Known>,
}

impl Table {
    /// All.
    pub fn all() -> impl Iterator<Item = Self> {
        FLAT.iter().copied().map(Self::Flat).chain([Self::Verdicts])
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|table| table.name() == name)
    }

    /// Its name in queries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat(table) => table.name,
            Self::Verdicts => "verdicts",
        }
    }

    /// Its columns.
    pub fn schema(self) -> Schema {
        match self {
            Self::Flat(table) => flat::schema(table),
            Self::Verdicts => verdicts::schema(),
        }
    }

    /// What makes its batches, which have this schema.
    pub fn batches(self, ask: &Ask, schema: &SchemaRef, means: &Means) -> Box<dyn Batches> {
        match self {
            Self::Flat(table) => Box::new(Rows::new(table, ask, schema)),
            Self::Verdicts => Box::new(Judged::new(ask, schema, means)),
        }
    }

    fn sliced(self) -> Sliced {
        match self {
            Self::Flat(table) => table.sliced,
            Self::Verdicts => Sliced::Measurements,
        }
    }
}

/// A table over slices of files.
#[derive(Debug)]
pub struct FilesTable {
    /// Which.
    pub table: Table,
    /// Of which files.
    pub units: Arc<Units>,
    /// With what.
    pub means: Arc<Means>,
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::new(self.table.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(match self.table.sliced() {
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
        let columns = projection.cloned().unwrap_or_else(|| (0..self.table.schema().fields().len()).collect());
        let ask = Ask { table: self.table.name().to_owned(), columns, scope: filters::scope(filters), limit };
        let partitions = self.units.partitions(self.table.sliced(), session.config().target_partitions())?;
        let pieces = MemorySourceConfig::try_new_exec(&partitions, parts::schema(), None)?;
        Ok(Arc::new(ReadExec::new(ask, Arc::clone(&self.means), pieces)?))
    }
}
