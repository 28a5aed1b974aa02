//! `probe targets`: looks at lists, sends nothing.

use std::io::Write;

use serde_json::json;

use crate::cli::config::{ConfigFile, ListOptions};
use crate::cli::{ListArgs, OutputArgs, Targets};
use crate::error::{Exit, ProbeError};
use crate::lists::{Catalog, Categories, ListSource, Selection, load_all, select};
use crate::plan::lists_hash;
use crate::report::{say, stdout};

/// Does what was asked.
pub fn execute(config: &ConfigFile, command: Targets) -> Result<Exit, ProbeError> {
    match command {
        Targets::List { lists, output } => list(config, lists, &output),
        Targets::Validate { files } => validate(&files),
    }
}

/// Loads the lists and chooses from them; the hash stands for the lists.
pub fn choose(options: &ListOptions) -> Result<([u8; 32], Selection), ProbeError> {
    let categories = Categories::embedded().map_err(|error| ProbeError::embedded(&error))?;
    let choice =
        categories.choose(&options.categories).map_err(|why| ProbeError::Usage(format!("--category: {why}")))?;
    let lists = load_all(&options.sources, &Catalog::embedded()?)?;
    Ok((lists_hash(&lists), select(lists, &choice, &options.only)))
}

fn list(config: &ConfigFile, lists: ListArgs, output: &OutputArgs) -> Result<Exit, ProbeError> {
    let (_, selection) = choose(&config.lists(lists))?;
    let json = config.output(output).json;
    let mut out = stdout();
    for target in &selection.targets {
        let category = target.category.as_deref();
        let line = if json {
            json!({"target": target.name, "input": target.input, "category": category, "list": target.list}).to_string()
        } else {
            format!("{}\t{}\t{}", target.name, category.unwrap_or("-"), target.input)
        };
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    let left_out = selection.left_out_rows();
    if left_out > 0 {
        let codes: Vec<&str> = selection.left_out.keys().map(String::as_str).collect();
        say(format_args!(
            "{left_out} more in categories that are off until named with --category: {}",
            codes.join(" ")
        ));
    }
    Ok(Exit::Done)
}

fn validate(files: &[String]) -> Result<Exit, ProbeError> {
    let sources = match files {
        [] => ListSource::EMBEDDED.to_vec(),
        files => files.iter().map(|word| ListSource::parse(word)).collect(),
    };
    let lists = load_all(&sources, &Catalog::embedded()?)?;
    let mut out = stdout();
    for list in lists {
        if writeln!(out, "{}: {} targets, no problem", list.name, list.targets.len()).is_err() {
            break;
        }
    }
    Ok(Exit::Done)
}
