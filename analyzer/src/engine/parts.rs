//! Files cut into slices, and slices dealt out to partitions. What a partition has to read is a little table itself, of
//! [`pieces`](schema): plain data, which can be read here or in another process.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BinaryArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result};
use faultline_record::{Slice, Sliced};
use serde::{Deserialize, Serialize};

use super::checked::CheckedFiles;
use super::external;
use crate::sources::Source;

/// Measurements of a slice: small enough that two cores share one file, large enough that opening costs nothing.
const SLICE: usize = 8192;

/// All slices of all files.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Units {
    files: Vec<File>,
    measurements: Vec<Unit>,
    checks: Vec<Unit>,
}

/// A file, by the name by which whoever reads opens it.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    name: PathBuf,
    /// Ids of measurements and checks that a file named earlier holds as well, 16 octets each.
    without: Octets,
}

/// A slice of one of the files.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Unit {
    file: usize,
    slice: Slice,
}

/// Octets, as text two hexadecimal digits each.
#[derive(Debug, Default)]
pub struct Octets(pub Vec<u8>);

/// Stretches of one file that a partition reads.
#[derive(Debug)]
pub struct Piece {
    /// The file's name.
    pub file: PathBuf,
    /// Which parts of it.
    pub slices: Vec<Slice>,
    /// Rows that hang on these are left to another file.
    pub without: HashSet<[u8; 16]>,
}

impl Units {
    /// Cuts the files, in their order.
    pub fn of(sources: Vec<Source>, files: &CheckedFiles) -> Result<Self> {
        let mut units = Self::default();
        for (file, Source { checked, without }) in sources.into_iter().enumerate() {
            let reader = checked.open().map_err(external)?;
            for rows in [Sliced::Measurements, Sliced::HealthChecks] {
                let slices = reader.slices(rows, SLICE).map_err(external)?;
                units.list(rows).extend(slices.into_iter().map(|slice| Unit { file, slice }));
            }
            let name = checked.file().to_path_buf();
            units.files.push(File { name: name.clone(), without: Octets(without.into_iter().flatten().collect()) });
            files.know(name, checked);
        }
        Ok(units)
    }

    /// For other processes: files by their absolute names, and what was measured from the same network on the same day side by
    /// side, so that groups by network and time come about within one partition for the most part. A slice belongs where its
    /// first measurement does.
    #[cfg(feature = "cluster")]
    pub fn spread(mut self, files: &CheckedFiles) -> Result<Self> {
        let mut placed = Vec::with_capacity(self.measurements.len());
        for units in self.measurements.chunk_by(|one, next| one.file == next.file) {
            let reader = files.open(&self.files[units[0].file].name).map_err(external)?;
            for unit in units {
                placed.push((reader.network_and_day(&unit.slice).map_err(external)?, unit.clone()));
            }
        }
        placed.sort_by_key(|(place, _)| *place);
        self.measurements = placed.into_iter().map(|(_, unit)| unit).collect();
        for file in &mut self.files {
            file.name = std::path::absolute(&file.name)?;
        }
        Ok(self)
    }

    /// The file of which most ids are left to others, with their number, where all files together leave out more than so many.
    #[cfg(feature = "cluster")]
    pub fn most_left_out(&self, bound: usize) -> Option<(&std::path::Path, usize)> {
        let ids = |file: &File| file.without.0.len() / 16;
        let all: usize = self.files.iter().map(ids).sum();
        let most = self.files.iter().max_by_key(|file| ids(file)).filter(|_| all > bound)?;
        Some((&most.name, ids(most)))
    }

    fn list(&mut self, rows: Sliced) -> &mut Vec<Unit> {
        match rows {
            Sliced::Measurements => &mut self.measurements,
            Sliced::HealthChecks => &mut self.checks,
        }
    }

    /// So many partitions at most and one at least, each of neighbouring slices, as rows of [`schema`].
    pub fn partitions(&self, rows: Sliced, count: usize) -> Result<Vec<Vec<RecordBatch>>> {
        let all = match rows {
            Sliced::Measurements => &self.measurements,
            Sliced::HealthChecks => &self.checks,
        };
        let each = all.len().div_ceil(count.max(1)).max(1);
        let some: Vec<_> = all.chunks(each).map(|units| Ok(vec![self.rows(units)?])).collect::<Result<_>>()?;
        Ok(if some.is_empty() { vec![Vec::new()] } else { some })
    }

    /// One row for neighbours of the same file.
    fn rows(&self, units: &[Unit]) -> Result<RecordBatch> {
        let (mut names, mut slices, mut without) = (Vec::new(), Vec::new(), Vec::new());
        for units in units.chunk_by(|one, next| one.file == next.file) {
            let file = &self.files[units[0].file];
            let name = file.name.to_str().ok_or_else(|| {
                DataFusionError::Configuration(format!(
                    "the name {} is not in UTF-8; rename the file",
                    file.name.display()
                ))
            })?;
            names.push(name);
            slices.push(json(&units.iter().map(|unit| &unit.slice).collect::<Vec<_>>())?);
            without.push(file.without.0.as_slice());
        }
        let columns: [Arc<dyn Array>; 3] = [
            Arc::new(StringArray::from(names)),
            Arc::new(StringArray::from(slices)),
            Arc::new(BinaryArray::from_vec(without)),
        ];
        Ok(RecordBatch::try_new(schema(), columns.to_vec())?)
    }
}

/// A table of pieces: a file, its slices, and the ids to leave out.
pub fn schema() -> SchemaRef {
    let field = |name, of| Field::new(name, of, false);
    let fields = [field("file", DataType::Utf8), field("slices", DataType::Utf8), field("without", DataType::Binary)];
    Arc::new(Schema::new(fields.to_vec()))
}

/// The pieces in such a table.
///
/// # Errors
/// It is another table.
pub fn pieces(rows: &RecordBatch) -> Result<Vec<Piece>> {
    if rows.schema().fields() != schema().fields() {
        return Err(DataFusionError::Internal(format!("pieces of files have other columns: {:?}", rows.schema())));
    }
    let (files, slices) = (rows.column(0).as_string::<i32>(), rows.column(1).as_string::<i32>());
    let without = rows.column(2).as_binary::<i32>();
    let piece = |row: usize| {
        let ids = without.value(row).as_chunks::<16>().0;
        Ok(Piece {
            file: PathBuf::from(files.value(row)),
            slices: serde_json::from_str(slices.value(row)).map_err(|error| DataFusionError::External(error.into()))?,
            without: ids.iter().copied().collect(),
        })
    };
    (0..rows.num_rows()).map(piece).collect()
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| DataFusionError::External(error.into()))
}

impl Serialize for Octets {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&faultline_record::hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let octet = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let octets: Option<Vec<u8>> = text.as_bytes().chunks(2).map(octet).collect();
        octets.map(Self).ok_or_else(|| serde::de::Error::custom("octets are hexadecimal digits"))
    }
}

#[cfg(test)]
#[cfg(feature = "cluster")]
mod tests {
    use std::ops::ControlFlow;

    use faultline_record::Scope;
    use faultline_record::flat::{Cell, MEASUREMENTS};

    use super::*;
    use crate::sources::Sources;

    /// Network and day of the first measurement of a slice, as the table of measurements has them.
    fn first(file: &std::path::Path, slice: &Slice) -> (Option<i64>, i64) {
        let column = |name| MEASUREMENTS.columns.iter().position(|column| column.name == name).unwrap();
        let reader = faultline_record::Reader::open(file).unwrap();
        let (wanted, mut found) = ([column("asn"), column("started_at")], None);
        let visit = |cells: &[Cell<'_>]| {
            let number = |cell| if let Cell::Integer(number) = cell { Some(number) } else { None };
            found = Some((number(cells[0]), number(cells[1]).unwrap().div_euclid(86_400_000)));
            ControlFlow::Break(())
        };
        reader.scan(&MEASUREMENTS, &wanted, &Scope::default(), slice, &HashSet::new(), visit).unwrap();
        found.unwrap()
    }

    #[test]
    fn for_a_cluster_what_is_of_one_network_and_day_lies_side_by_side_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let plans = crate::generate::plans(folder.path(), 300, 8, 1);
        for plan in &plans {
            plan.carry_out().unwrap();
        }
        let inputs: Vec<PathBuf> = plans.iter().map(|plan| plan.file.clone()).collect();
        let files = CheckedFiles::default();
        let units = Units::of(Sources::open(&inputs).sound, &files).unwrap();
        let names = |units: &Units| units.measurements.iter().map(|unit| unit.file).collect::<Vec<_>>();
        assert_eq!(names(&units), (0..8).collect::<Vec<_>>(), "here, in the order of the files");
        let units = units.spread(&files).unwrap();
        let mut spread = names(&units);
        let places: Vec<_> = units.measurements.iter().map(|unit| first(&inputs[unit.file], &unit.slice)).collect();
        assert!(places.is_sorted() && places.first() != places.last(), "{places:?}");
        assert!(!spread.is_sorted(), "the files are not in this order themselves");
        spread.sort_unstable();
        assert_eq!(spread, (0..8).collect::<Vec<_>>());
        let pieces: Vec<Piece> = units
            .partitions(Sliced::Measurements, 3)
            .unwrap()
            .iter()
            .flatten()
            .flat_map(|rows| pieces(rows).unwrap())
            .collect();
        assert_eq!(pieces.iter().map(|piece| piece.slices.len()).sum::<usize>(), 8);
        assert!(pieces.iter().all(|piece| piece.file.is_absolute()));
    }
}
