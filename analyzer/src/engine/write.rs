//! Rows of a query on their way out: a table, lines, CSV or Parquet. None of them keeps more than a page of rows.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::json::writer::{LineDelimited, Writer, WriterBuilder};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{DataFusionError, Result};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use faultline_verdict::words::clean;

/// Rows of a table on a terminal before it is printed and the next begins.
const PAGE: usize = 200;
/// Rows of a row group of Parquet: what a reader can skip as a whole.
const GROUP: usize = 1 << 17;

/// Takes the rows of a query, batch by batch.
pub trait Rows {
    /// Some rows.
    fn put(&mut self, batch: &RecordBatch) -> Result<()>;

    /// The end: whatever is still kept goes out.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// One JSON object a line; what is missing is null.
pub struct Jsonl<W: Write>(Writer<W, LineDelimited>);

impl<W: Write> Jsonl<W> {
    /// To there.
    pub fn new(out: W) -> Self {
        Self(WriterBuilder::new().with_explicit_nulls(true).build(out))
    }
}

impl<W: Write> Rows for Jsonl<W> {
    fn put(&mut self, batch: &RecordBatch) -> Result<()> {
        Ok(self.0.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.0.finish()?;
        Ok(self.0.into_inner().flush()?)
    }
}

/// Comma-separated values with a header; lists with semicolons.
pub struct Csv<W: Write>(csv::Writer<W>);

impl<W: Write> Csv<W> {
    /// Begins with the header.
    pub fn new(out: W, schema: &SchemaRef) -> Result<Self> {
        let mut rows = csv::Writer::from_writer(out);
        rows.write_record(schema.fields().iter().map(|field| field.name())).map_err(io::Error::from)?;
        Ok(Self(rows))
    }
}

impl<W: Write> Rows for Csv<W> {
    fn put(&mut self, batch: &RecordBatch) -> Result<()> {
        for row in texts(batch)? {
            self.0.write_record(row).map_err(io::Error::from)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        Ok(self.0.flush()?)
    }
}

/// Fields separated by tabs, with a header: what a table is where no terminal shows it.
pub struct Lines<W>(pub W);

impl<W: Write> Lines<W> {
    /// Begins with the header.
    pub fn new(mut out: W, schema: &SchemaRef) -> Result<Self> {
        let names: Vec<String> = schema.fields().iter().map(|field| clean(field.name())).collect();
        writeln!(out, "{}", names.join("\t"))?;
        Ok(Self(out))
    }
}

impl<W: Write> Rows for Lines<W> {
    fn put(&mut self, batch: &RecordBatch) -> Result<()> {
        for row in texts(batch)? {
            let row: Vec<String> = row.iter().map(|cell| clean(cell)).collect();
            writeln!(self.0, "{}", row.join("\t"))?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        Ok(self.0.flush()?)
    }
}

/// A table for a terminal, page by page.
pub struct Pages<W> {
    out: W,
    header: Vec<String>,
    page: Vec<Vec<String>>,
    printed: bool,
}

impl<W: Write> Pages<W> {
    /// As wide as the terminal.
    pub fn new(out: W, schema: &SchemaRef) -> Self {
        let header = schema.fields().iter().map(|field| clean(field.name())).collect();
        Self { out, header, page: Vec::new(), printed: false }
    }

    fn print(&mut self) -> Result<()> {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(&self.header).add_rows(std::mem::take(&mut self.page));
        self.printed = true;
        Ok(writeln!(self.out, "{table}")?)
    }
}

impl<W: Write> Rows for Pages<W> {
    fn put(&mut self, batch: &RecordBatch) -> Result<()> {
        for row in texts(batch)? {
            self.page.push(row.iter().map(|cell| clean(cell)).collect());
            if self.page.len() == PAGE {
                self.print()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if !self.printed || !self.page.is_empty() {
            self.print()?;
        }
        Ok(self.out.flush()?)
    }
}

/// A file of Parquet, zstd-compressed. It has its name only once it is whole.
pub struct Parquet {
    writer: ArrowWriter<File>,
    file: tempfile::TempPath,
    name: std::path::PathBuf,
}

impl Parquet {
    /// Under that name, which is taken from what stood there.
    pub fn new(name: &Path, schema: &SchemaRef) -> Result<Self> {
        let folder = name.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (file, path) = tempfile::Builder::new().prefix(".faultline-").tempfile_in(folder)?.into_parts();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP));
        let writer = ArrowWriter::try_new(file, std::sync::Arc::clone(schema), Some(properties.build()))?;
        Ok(Self { writer, file: path, name: name.to_path_buf() })
    }
}

impl Rows for Parquet {
    fn put(&mut self, batch: &RecordBatch) -> Result<()> {
        Ok(self.writer.write(batch)?)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.writer.close()?;
        self.file.persist(&self.name).map_err(|error| DataFusionError::IoError(error.error))
    }
}

/// Every row as texts: nothing for NULL, a list with semicolons.
fn texts(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let columns: Vec<Vec<String>> = batch.columns().iter().map(column).collect::<Result<_>>()?;
    Ok((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect())
}

fn column(values: &ArrayRef) -> Result<Vec<String>> {
    if let Some(lists) = values.as_list_opt::<i32>() {
        return lists.iter().map(|list| list.map_or(Ok(String::new()), |list| Ok(column(&list)?.join(";")))).collect();
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(values, &options)?;
    (0..values.len()).map(|row| Ok(formatter.value(row).try_to_string()?)).collect()
}
