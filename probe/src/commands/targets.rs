//! `probe targets`: looks at lists, sends nothing.

use std::io::Write;
use std::path::Path;

use faultline_record::Timestamp;
use serde_json::json;

use crate::cli::config::{ConfigFile, ListOptions};
use crate::cli::{ListArgs, OutputArgs, Targets};
use crate::error::{Exit, ProbeError};
use crate::lists::providers::{self, Imported};
use crate::lists::{Catalog, Categories, ListSource, Selection, load_all, read_file, select};
use crate::plan::{input_of, lists_hash};
use crate::report::{say, stdout};

/// Does what was asked.
pub fn execute(config: &ConfigFile, command: Targets) -> Result<Exit, ProbeError> {
    match command {
        Targets::List { lists, output } => list(config, lists, &output),
        Targets::Validate { files } => validate(&files),
        Targets::Import { provider_list, output, most } => import(&provider_list, &output, most.get()),
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

fn import(provider_list: &Path, output: &Path, most: usize) -> Result<Exit, ProbeError> {
    let usage = |file: &Path, reason: String| ProbeError::Usage(format!("{}: {reason}", file.display()));
    let bytes = read_file(provider_list).map_err(|reason| usage(provider_list, reason))?;
    let name = provider_list.file_name().unwrap_or_default().to_string_lossy();
    let today = Timestamp::now().to_string();
    let date = today.get(..10).unwrap_or_default();
    let imported = providers::import(&bytes, most, &name, date).map_err(|reason| usage(provider_list, reason))?;
    write_privately(output, &imported.text).map_err(|error| usage(output, format!("failed to write it: {error}")))?;
    let Imported { provider, endpoints, left_out, passed_over, .. } = imported;
    say(format_args!(
        "{endpoints} endpoints of {provider} in {}; {left_out} more left out by --most {most}, {passed_over} servers passed over",
        output.display()
    ));
    Ok(Exit::Done)
}

/// A new file that its owner alone can read: where servers are is nobody else's business.
fn write_privately(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn list(config: &ConfigFile, lists: ListArgs, output: &OutputArgs) -> Result<Exit, ProbeError> {
    let (_, selection) = choose(&config.lists(lists))?;
    let json = config.output(output).json;
    let mut out = stdout();
    for target in &selection.targets {
        let category = target.category.as_deref();
        let line = if json {
            json!({"target": target.name, "input": input_of(target), "category": category, "list": target.list})
                .to_string()
        } else {
            format!("{}\t{}\t{}", target.name, category.unwrap_or("-"), input_of(target))
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
