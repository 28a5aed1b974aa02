//! Lists of sites in Citizen Lab's columns: `url`, `category_code`, `category_description`, `date_added`, `source`,
//! `notes`.
//!
//! Only `url` is needed; columns are found by name, in any order. Original files work unchanged: with or without a byte
//! order mark, with either line ending, quoted or not.

use faultline_record::Endpoint;

use super::problem::ListProblem;

/// One row, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvRow {
    /// The URL as it was written.
    pub input: String,
    /// What it means.
    pub endpoint: Endpoint,
    /// The category code, in upper case, if the row has one.
    pub category: Option<String>,
}

struct Columns {
    url: usize,
    category: Option<usize>,
}

/// Parses a whole file; every bad row is a problem.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Vec<CsvRow>, Vec<ListProblem>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(true).trim(csv::Trim::All).from_reader(bytes);
    let header = reader.byte_headers().map_err(|error| vec![of_csv(file, &error)])?.clone();
    let columns = Columns::find(&header).ok_or_else(|| {
        vec![ListProblem::at(file, 1, "the column `url` is missing: the first line must name the columns")]
    })?;

    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for record in reader.byte_records() {
        match record.map_err(|error| of_csv(file, &error)).and_then(|record| row(file, &columns, &header, &record)) {
            Ok(row) => rows.push(row),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(rows) } else { Err(problems) }
}

impl Columns {
    fn find(header: &csv::ByteRecord) -> Option<Self> {
        let position = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name.as_bytes()));
        Some(Self { url: position("url")?, category: position("category_code") })
    }
}

fn row(
    file: &str,
    columns: &Columns,
    header: &csv::ByteRecord,
    record: &csv::ByteRecord,
) -> Result<CsvRow, ListProblem> {
    let line = record.position().map_or(0, csv::Position::line);
    let bad = |reason: String| ListProblem::at(file, line, reason);
    if record.len() != header.len() {
        return Err(bad(format!("{} columns where the first line has {}", record.len(), header.len())));
    }
    let text = |column: usize| {
        std::str::from_utf8(record.get(column).unwrap_or_default()).map_err(|_| bad("not UTF-8".to_owned()))
    };
    let input = text(columns.url)?;
    let endpoint = Endpoint::parse(input).map_err(|error| bad(error.to_string()))?;
    let category = columns.category.map(text).transpose()?.filter(|code| !code.is_empty());
    Ok(CsvRow { input: input.to_owned(), endpoint, category: category.map(str::to_ascii_uppercase) })
}

fn of_csv(file: &str, error: &csv::Error) -> ListProblem {
    let line = error.position().map(csv::Position::line);
    ListProblem { file: file.to_owned(), line, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "url,category_code,category_description,date_added,source,notes";

    fn urls(text: &[u8]) -> Vec<String> {
        parse("t.csv", text).unwrap().into_iter().map(|row| row.input).collect()
    }

    #[test]
    fn a_file_with_byte_order_mark_crlf_and_quotes_reads_the_same() {
        let plain = format!("{HEADER}\nhttp://a.example/,NEWS,News Media,2014-04-15,someone,\n");
        let rows = "\"http://a.example/\",\"news\",\"News Media\",2014-04-15,\"some, one\",\"line\r\ntwo\"\r\n";
        let odd = format!("\u{feff}{HEADER}\r\n{rows}");
        let (plain, odd) = (parse("t", plain.as_bytes()).unwrap(), parse("t", odd.as_bytes()).unwrap());
        assert_eq!(plain, odd);
        assert_eq!(plain[0].category.as_deref(), Some("NEWS"));
    }

    #[test]
    fn both_web_schemes_and_blank_lines_are_fine() {
        let text = format!("{HEADER}\nhttp://a.example/,NEWS,,,,\n\nhttps://b.example/x?y=z,NEWS,,,,\n");
        assert_eq!(urls(text.as_bytes()), ["http://a.example/", "https://b.example/x?y=z"]);
    }

    #[test]
    fn every_bad_row_is_named_with_its_line() {
        let mut text = format!("{HEADER}\nhttps://a.example/,NEWS,,,,\ngopher://b.example/,NEWS,,,,\n").into_bytes();
        text.extend_from_slice(b"\"two\nlines\",NEWS,,,,\nhttps://c.example/,NEWS\nhttps://\xff/,NEWS,,,,\n");
        let problems = parse("t.csv", &text).unwrap_err();
        let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [Some(3), Some(4), Some(6), Some(7)], "{problems:?}");
        assert!(problems[0].to_string().starts_with("t.csv:3: unknown scheme \"gopher\""));
        assert!(problems[2].reason.contains("2 columns where the first line has 6"));
        assert_eq!(problems[3].reason, "not UTF-8");
    }

    #[test]
    fn a_file_without_the_url_column_is_refused_on_its_first_line() {
        for text in ["", "https://a.example/\nhttps://b.example/\n", "\0\0\0"] {
            let problems = parse("t.csv", text.as_bytes()).unwrap_err();
            assert!(problems[0].reason.contains("`url` is missing"), "{problems:?}");
        }
    }
}
