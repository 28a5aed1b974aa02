//! Files cut into partitions: each slice is read by one thread at a time, with a connection of its own, and handed on batch by
//! batch over a bounded queue, so that no table is ever in memory as a whole.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::PartitionStream;
use faultline_record::{Reader, Slice, Sliced};

use super::external;
use crate::sources::Source;

/// Measurements of a slice: small enough that two cores share one file, large enough that opening costs nothing.
const SLICE: usize = 8192;
/// Batches that wait to be taken from a partition.
const WAITING: usize = 2;

/// A slice of a file.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The file.
    pub source: Arc<Source>,
    /// Which part of it.
    pub slice: Slice,
}

/// All slices of all files, in the order of the files.
#[derive(Debug, Default)]
pub struct Units {
    measurements: Vec<Unit>,
    checks: Vec<Unit>,
}

impl Units {
    /// Cuts the files.
    pub fn of(sources: Vec<Source>) -> Result<Self> {
        let mut units = Self::default();
        for source in sources.into_iter().map(Arc::new) {
            let reader = source.checked.open().map_err(external)?;
            for rows in [Sliced::Measurements, Sliced::HealthChecks] {
                let slices = reader.slices(rows, SLICE).map_err(external)?;
                let cut = slices.into_iter().map(|slice| Unit { source: Arc::clone(&source), slice });
                units.list(rows).extend(cut);
            }
        }
        Ok(units)
    }

    fn list(&mut self, rows: Sliced) -> &mut Vec<Unit> {
        match rows {
            Sliced::Measurements => &mut self.measurements,
            Sliced::HealthChecks => &mut self.checks,
        }
    }

    /// So many partitions at most and one at least, each a stretch of neighbouring slices.
    pub fn partitions(&self, rows: Sliced, count: usize) -> impl Iterator<Item = Vec<Unit>> {
        let all = match rows {
            Sliced::Measurements => &self.measurements,
            Sliced::HealthChecks => &self.checks,
        };
        let none = all.is_empty().then(Vec::new);
        all.chunks(all.len().div_ceil(count.max(1)).max(1)).map(<[Unit]>::to_vec).chain(none)
    }
}

/// What is made of slices: batches of a schema.
pub trait Batches: fmt::Debug + Send + Sync + 'static {
    /// Reads one slice with this reader, and hands over its batches until nobody takes them any more.
    fn read(&self, reader: &Reader, unit: &Unit, take: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()>;
}

/// A partition of a table.
#[derive(Debug)]
pub struct Part<B> {
    /// What its batches look like.
    pub schema: SchemaRef,
    /// How they are made.
    pub batches: Arc<B>,
    /// From what.
    pub units: Vec<Unit>,
}

impl<B: Batches> PartitionStream for Part<B> {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), WAITING);
        let (queue, batches, units) = (stream.tx(), Arc::clone(&self.batches), self.units.clone());
        stream.spawn_blocking(move || {
            let mut wanted = true;
            let mut take = |batch| {
                wanted = queue.blocking_send(Ok(batch)).is_ok();
                wanted
            };
            read(&*batches, &units, &mut take)
        });
        stream.build()
    }
}

fn read<B: Batches>(batches: &B, units: &[Unit], take: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()> {
    let mut open: Option<(&Unit, Reader)> = None;
    let mut wanted = true;
    for unit in units {
        let known = open.take().filter(|(last, _)| Arc::ptr_eq(&last.source, &unit.source));
        let reader = known.map_or_else(|| unit.source.checked.open().map_err(external), |(_, reader)| Ok(reader))?;
        batches.read(&reader, unit, &mut |batch| {
            wanted = take(batch);
            wanted
        })?;
        if !wanted {
            break;
        }
        open = Some((unit, reader));
    }
    Ok(())
}
