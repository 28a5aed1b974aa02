//! How tables of files and the node that reads them travel: as JSON behind a mark of ours. Everything else of a plan is
//! DataFusion's or Ballista's to write.

use std::sync::{Arc, Mutex, PoisonError};

use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result, TableReference};
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::checked::CheckedFiles;
use crate::engine::folders::ParquetTable;
use crate::engine::parts::{Octets, Units};
use crate::engine::read::{Ask, ReadExec};
use crate::engine::table::{FilesTable, Means, Table};
use crate::fingerprints::Known;

/// Begins what is ours. No message of protobuf begins so: the lowest three bits of `f` are wire type 6, which there is not.
const MARK: &[u8] = b"faultline:";

/// What a process needs for the plans that it receives.
#[derive(Debug, Default)]
pub struct Local {
    /// Files that it has checked.
    pub files: Arc<CheckedFiles>,
    /// The fingerprints that came last, which are those of the next task most of the time.
    fingerprints: Mutex<Option<Arc<Known>>>,
}

/// What is sent along with each part of a plan.
#[derive(Serialize, Deserialize)]
struct Sent<T> {
    /// Who judges alike.
    build: Build,
    /// Fingerprints beside our own.
    fingerprints: Vec<(String, Octets)>,
    what: T,
}

/// What has to be the same wherever a query runs: else the rows would depend on who makes them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Build {
    software: String,
    ruleset: String,
    weights: String,
    fingerprints: String,
}

/// A table.
#[derive(Serialize, Deserialize)]
enum SentTable<U, P> {
    /// Of our files: which, and where they are cut.
    Files(Sent<String>, U),
    /// Of files of Parquet.
    Parquet(P),
}

impl Build {
    fn of(known: &Known) -> Self {
        let rules = faultline_verdict::table();
        Self {
            software: env!("CARGO_PKG_VERSION").to_owned(),
            ruleset: rules.version.clone(),
            weights: rules.weights.clone(),
            fingerprints: known.all.snapshot().to_owned(),
        }
    }
}

impl Local {
    /// What it takes to read, given what was sent.
    fn means<T>(&self, sent: &Sent<T>) -> Result<Arc<Means>> {
        let fingerprints = self.known(&sent.fingerprints)?;
        let ours = Build::of(&fingerprints);
        if ours != sent.build {
            let text = format!("a query for {:?} came to {ours:?}; run the same analyzer everywhere", sent.build);
            return Err(DataFusionError::Configuration(text));
        }
        Ok(Arc::new(Means { files: Arc::clone(&self.files), fingerprints }))
    }

    fn known(&self, texts: &[(String, Octets)]) -> Result<Arc<Known>> {
        let mut last = self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |known: &Arc<Known>| {
            let known = known.texts().iter().map(|(name, text)| (name, text));
            known.eq(texts.iter().map(|(name, text)| (name, &text.0)))
        };
        if let Some(known) = last.as_ref().filter(|known| is_same(known)) {
            return Ok(Arc::clone(known));
        }
        let texts = texts.iter().map(|(name, text)| (name.clone(), text.0.clone())).collect();
        let known = Known::of(texts).map_err(|error| DataFusionError::Configuration(error.to_string()))?;
        Ok(Arc::clone(last.insert(Arc::new(known))))
    }
}

impl<T> Sent<T> {
    fn new(what: T, means: &Means) -> Self {
        let known = &means.fingerprints;
        let fingerprints = known.texts().iter().map(|(name, text)| (name.clone(), Octets(text.clone()))).collect();
        Self { build: Build::of(known), fingerprints, what }
    }
}

fn write<T: Serialize>(sent: &T, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.extend_from_slice(MARK);
    serde_json::to_writer(buffer, sent).map_err(|error| DataFusionError::External(error.into()))
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    serde_json::from_slice(text)
        .map_err(|error| DataFusionError::Configuration(format!("another analyzer wrote this plan: {error}")))
}

/// For tables in a plan that is not planned yet.
#[derive(Debug, Default)]
pub struct Logical {
    local: Arc<Local>,
    others: BallistaLogicalExtensionCodec,
}

impl Logical {
    /// Of this process.
    pub fn new(local: Arc<Local>) -> Self {
        Self { local, others: BallistaLogicalExtensionCodec::default() }
    }
}

impl LogicalExtensionCodec for Logical {
    fn try_decode(&self, buffer: &[u8], inputs: &[LogicalPlan], context: &TaskContext) -> Result<Extension> {
        self.others.try_decode(buffer, inputs, context)
    }

    fn try_encode(&self, node: &Extension, buffer: &mut Vec<u8>) -> Result<()> {
        self.others.try_encode(node, buffer)
    }

    fn try_decode_table_provider(
        &self,
        buffer: &[u8],
        name: &TableReference,
        schema: SchemaRef,
        context: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        let Some(text) = buffer.strip_prefix(MARK) else {
            return self.others.try_decode_table_provider(buffer, name, schema, context);
        };
        match read(text)? {
            SentTable::<Units, _>::Parquet(files) => Ok(Arc::new(ParquetTable::of(schema, files))),
            SentTable::Files(sent, units) => {
                let means = self.local.means(&sent)?;
                let table = Table::named(&sent.what)
                    .ok_or_else(|| DataFusionError::Configuration(format!("there is no table {} here", sent.what)))?;
                Ok(Arc::new(FilesTable { table, units: Arc::new(units), means }))
            }
        }
    }

    fn try_encode_table_provider(
        &self,
        name: &TableReference,
        node: Arc<dyn TableProvider>,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        if let Some(FilesTable { table, units, means }) = node.downcast_ref() {
            let sent = Sent::new(table.name().to_owned(), means);
            write(&SentTable::<_, ()>::Files(sent, &**units), buffer)
        } else if let Some(table) = node.downcast_ref::<ParquetTable>() {
            write(&SentTable::<(), _>::Parquet(table.files()), buffer)
        } else {
            self.others.try_encode_table_provider(name, node, buffer)
        }
    }

    fn try_decode_file_format(&self, buffer: &[u8], context: &TaskContext) -> Result<Arc<dyn FileFormatFactory>> {
        self.others.try_decode_file_format(buffer, context)
    }

    fn try_encode_file_format(&self, buffer: &mut Vec<u8>, node: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.others.try_encode_file_format(buffer, node)
    }
}

/// For nodes of a plan that is ready to run.
#[derive(Debug, Default)]
pub struct Physical {
    local: Arc<Local>,
    others: BallistaPhysicalExtensionCodec,
}

impl Physical {
    /// Of this process.
    pub fn new(local: Arc<Local>) -> Self {
        Self { local, others: BallistaPhysicalExtensionCodec::default() }
    }
}

impl PhysicalExtensionCodec for Physical {
    fn try_decode(
        &self,
        buffer: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(text) = buffer.strip_prefix(MARK) else {
            return self.others.try_decode(buffer, inputs, context, converter);
        };
        let sent: Sent<Ask> = read(text)?;
        let [input] = inputs else {
            return Err(DataFusionError::Configuration("a node that reads files has one input".to_owned()));
        };
        let means = self.local.means(&sent)?;
        Ok(Arc::new(ReadExec::new(sent.what, means, Arc::clone(input))?))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buffer: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        match node.downcast_ref::<ReadExec>() {
            Some(read) => write(&Sent::new(read.ask(), read.means()), buffer),
            None => self.others.try_encode(node, buffer, converter),
        }
    }
}

#[cfg(test)]
mod tests;
