//! The page on invariants names tests: they exist, and no number of its three tables is missing.
#![allow(clippy::unwrap_used)] // a repository without its own pages is broken

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/design/0005-invariants.md")).unwrap()
}

/// Names of all functions in the sources of the repository.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = |line: &str| Some(line.trim_start().split_once("fn ")?.1.split(['(', '<']).next()?.to_owned());
            names.extend(text.lines().filter_map(name));
        }
    }
}

#[test]
fn every_test_that_the_page_names_exists() {
    let mut known = BTreeSet::new();
    for folder in ["crates", "analyzer", "probe"] {
        functions(&root().join(folder), &mut known);
    }
    let page = page();
    let is_name = |text: &&str| {
        text.matches('_').count() > 2 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let named: Vec<&str> = page.split('`').filter(is_name).collect();
    assert!(named.len() > 120, "{}", named.len());
    let missing: Vec<&&str> = named.iter().filter(|name| !known.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_row_of_the_three_tables_is_there() {
    let page = page();
    let number = |line: &str| line.trim_matches('|').split('|').next()?.trim().parse::<usize>().ok();
    let tables: Vec<Vec<usize>> =
        page.split("\n## ").skip(1).map(|part| part.lines().filter_map(number).collect()).collect();
    assert_eq!(tables.iter().map(Vec::len).collect::<Vec<_>>(), [40, 78, 22]);
    for numbers in tables {
        assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
    }
}
