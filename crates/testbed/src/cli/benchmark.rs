//! `testbed benchmark`: every scenario, scored by the analyzer, held against the committed figures.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::run::{self, Rounds};
use super::{DONE, FAILED};
use crate::measure::beside;
use crate::scenario::Scenario;

/// The committed figures: what the verdicts of this source reached.
const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benchmark.json");

/// `testbed benchmark`.
#[derive(Debug, Args)]
pub(super) struct Benchmark {
    /// Variations of each scenario; without it every scenario is run once, as it is written
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Worlds at the same time
    #[arg(long, default_value = "8")]
    jobs: std::num::NonZeroUsize,
    /// Keep databases, output and labels in this folder
    #[arg(long)]
    out: PathBuf,
    /// Write the report, in Markdown, to this file
    #[arg(long)]
    report: Option<PathBuf>,
    /// Make the figures reached the committed ones, instead of comparing with them
    #[arg(long)]
    commit_figures: bool,
}

/// Runs everything, scores it, and compares.
pub(super) fn benchmark(folder: &Path, asked: &Benchmark) -> Result<u8> {
    refuse_old_rounds(&asked.out)?;
    let scenarios = Scenario::all(folder)?;
    let rounds = Rounds {
        seed: asked.seed,
        count: asked.count.unwrap_or(1),
        per_scenario: true,
        vary: asked.count.is_some(),
        jobs: asked.jobs,
        out: Some(asked.out.clone()),
        talk: false,
    };
    let tally = run::run(&scenarios, folder, &rounds)?;
    if tally.broken > 0 {
        eprintln!("testbed: {} worlds gave no result; the figures would not be those of all scenarios", tally.broken);
        return Ok(FAILED);
    }
    let mut evaluate = Command::new(beside("analyzer")?);
    evaluate.arg("evaluate").arg(&asked.out).arg("--labels").arg(asked.out.join(crate::round::LABELS));
    if let Some(report) = &asked.report {
        evaluate.arg("-o").arg(report);
    }
    evaluate.arg(if asked.commit_figures { "--write-check" } else { "--check" }).arg(FIGURES);
    Ok(if evaluate.status().context("run the analyzer")?.success() { DONE } else { FAILED })
}

/// Measurements of an earlier run in the same folder would be scored a second time, or without labels.
fn refuse_old_rounds(out: &Path) -> Result<()> {
    if out.is_dir() && std::fs::read_dir(out)?.next().is_some() {
        bail!("{} is not empty: the rounds in it would be scored as well; name another folder", out.display());
    }
    std::fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))
}
