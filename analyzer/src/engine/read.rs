//! The plan's node that reads files: its input says which pieces of them each partition reads, it says what of them. It holds
//! nothing but data and what a process has of its own, so that it can be carried out by another process.
//! The pieces are an input, and no field of the node, since Ballista cuts a plan into tasks at leaves of kinds that it knows (a table
//! in memory is one) and hands any other leaf to every task whole (ballista-scheduler 55.0, `state/task_builder.rs`).
//!
//! Each piece is read by one thread at a time, with a connection of its own, and handed on batch by batch over a bounded queue,
//! so that no table is ever in memory as a whole.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use faultline_record::{Reader, Scope, Slice};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::external;
use super::parts::{Piece, pieces};
use super::table::{Means, Table};

/// Batches that wait to be taken from a partition.
const WAITING: usize = 2;

/// What is asked of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// The table's name.
    pub table: String,
    /// Its columns, by their places.
    pub columns: Vec<usize>,
    /// What the files can be asked to leave out.
    pub scope: Scope,
    /// Rows that are enough, of a partition.
    pub limit: Option<usize>,
}

/// What is made of slices: batches of a schema.
pub trait Batches {
    /// Reads one slice of a piece with this reader, and hands over its batches until nobody takes them any more.
    fn read(
        &self,
        reader: &Reader,
        piece: &Piece,
        slice: &Slice,
        take: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<()>;
}

/// The node.
pub struct ReadExec {
    ask: Arc<Ask>,
    table: Table,
    means: Arc<Means>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl ReadExec {
    /// Reads what the input says.
    ///
    /// # Errors
    /// There is no such table or column.
    pub fn new(ask: Ask, means: Arc<Means>, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        let table = Table::named(&ask.table)
            .ok_or_else(|| DataFusionError::Internal(format!("there is no table of files named {}", ask.table)))?;
        let schema = Arc::new(table.schema().project(&ask.columns)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self { ask: Arc::new(ask), table, means, input, properties: Arc::new(properties) })
    }

    /// What is asked.
    #[cfg(feature = "cluster")]
    pub fn ask(&self) -> &Ask {
        &self.ask
    }

    /// What the process has for it.
    #[cfg(feature = "cluster")]
    pub fn means(&self) -> &Arc<Means> {
        &self.means
    }
}

impl fmt::Debug for ReadExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadExec").field("ask", &self.ask).field("input", &self.input).finish_non_exhaustive()
    }
}

impl DisplayAs for ReadExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.properties.eq_properties.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "ReadExec: table={}, columns=[{}]", self.ask.table, columns.join(", "))
    }
}

impl ExecutionPlan for ReadExec {
    fn name(&self) -> &'static str {
        "ReadExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    /// Pieces are dealt out already.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.properties.eq_properties.schema();
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(schema), WAITING);
        let work = Work {
            ask: Arc::clone(&self.ask),
            table: self.table,
            means: Arc::clone(&self.means),
            schema: Arc::clone(schema),
        };
        let (queue, wanted) = (stream.tx(), self.input.execute(partition, context)?);
        stream.spawn_blocking(move || {
            let tables: Vec<RecordBatch> = tokio::runtime::Handle::current().block_on(wanted.try_collect())?;
            for table in &tables {
                work.all(pieces(table)?, &mut |batch| queue.blocking_send(Ok(batch)).is_ok())?;
            }
            Ok(())
        });
        Ok(stream.build())
    }
}

impl ReadExec {
    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self::new((*self.ask).clone(), Arc::clone(&self.means), input)?)),
            _ => Err(DataFusionError::Internal("ReadExec has one input".to_owned())),
        }
    }
}

/// What a thread needs for reading.
struct Work {
    ask: Arc<Ask>,
    table: Table,
    means: Arc<Means>,
    schema: SchemaRef,
}

impl Work {
    fn all(&self, pieces: Vec<Piece>, take: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()> {
        let batches = self.table.batches(&self.ask, &self.schema, &self.means);
        let mut left = self.ask.limit.unwrap_or(usize::MAX);
        for piece in pieces {
            let reader = self.means.files.open(&piece.file).map_err(external)?;
            for slice in &piece.slices {
                batches.read(&reader, &piece, slice, &mut |batch| {
                    left = left.saturating_sub(batch.num_rows());
                    if !take(batch) {
                        left = 0;
                    }
                    left > 0
                })?;
                if left == 0 {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
