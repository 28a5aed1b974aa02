//! `testbed benchmark`: every scenario, the scores of the verdicts in them, and the page that reports both.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use super::run::{Keep, Rounds, run};
use super::{DONE, FAILED};
use crate::measure::beside;
use crate::round::LABELS;
use crate::scenario::Scenario;

/// The figures below which nothing may fall.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benchmark.json");

/// The command's options.
#[derive(Debug, Args)]
pub(super) struct Benchmark {
    /// Besides each scenario as it is written, so many variations of it, drawn by seed.
    #[arg(long, default_value_t = 0)]
    variations: u32,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Worlds at the same time. Most of a world is waiting for time-outs.
    #[arg(long, default_value = "12")]
    jobs: NonZeroUsize,
    /// The folder for databases, output and labels: a new or an empty one.
    #[arg(long)]
    out: PathBuf,
    /// Write the page with the scores here; without this it is printed.
    #[arg(long)]
    report: Option<PathBuf>,
    /// End with 1 if a figure has fallen below the committed ones.
    #[arg(long)]
    check: bool,
    /// Make today's figures the committed ones.
    #[arg(long, conflicts_with = "check")]
    commit_figures: bool,
}

impl Benchmark {
    /// Runs all scenarios of `folder` and scores them.
    pub(super) fn run(&self, folder: &Path) -> Result<u8> {
        let analyzer = beside("analyzer")?;
        let scenarios = Scenario::all(folder)?;
        let [written, varied] = [("written", false, 1), ("varied", true, self.variations)];
        std::fs::create_dir_all(&self.out).with_context(|| format!("make the folder {}", self.out.display()))?;
        ensure!(self.out.read_dir()?.next().is_none(), "{} is not empty", self.out.display());
        let mut broken = 0;
        for (name, vary, rounds) in [written, varied].into_iter().filter(|(_, _, rounds)| *rounds > 0) {
            broken += run(&scenarios, folder, &self.rounds(name, vary, rounds)?)?.broken;
        }
        let code = self.score(&analyzer)?;
        if broken > 0 {
            bail!("{broken} worlds have no result");
        }
        Ok(code)
    }

    fn rounds(&self, name: &str, vary: bool, rounds: u32) -> Result<Rounds> {
        let out = self.out.join(name);
        std::fs::create_dir_all(&out)?;
        Ok(Rounds {
            // Each world has a seed of its own.
            seed: self.seed + u64::from(vary),
            count: rounds,
            per_scenario: true,
            vary,
            jobs: self.jobs,
            keep: Some(Keep { out, captures: false }),
            talk: !vary,
        })
    }

    /// The analyzer scores what was measured, and compares it with the committed figures.
    fn score(&self, analyzer: &Path) -> Result<u8> {
        let mut command = Command::new(analyzer);
        // The labels of all rounds are gathered in one file a kind of rounds.
        let labels = ["written", "varied"].map(|name| self.out.join(name).join(LABELS));
        command.arg("evaluate").arg(&self.out);
        for path in labels.iter().filter(|path| path.exists()) {
            command.arg("--labels").arg(path);
        }
        if self.check {
            command.args(["--check", COMMITTED]);
        }
        if self.commit_figures {
            command.args(["--write-check", COMMITTED]);
        }
        let output = command.stderr(std::process::Stdio::inherit()).output().context("run the analyzer")?;
        let page = String::from_utf8(output.stdout).context("read the analyzer's page")?;
        match &self.report {
            Some(path) => {
                std::fs::write(path, self.page(&page)).with_context(|| format!("write {}", path.display()))?;
            }
            None => print!("{page}"),
        }
        Ok(if output.status.success() { DONE } else { FAILED })
    }

    fn page(&self, scores: &str) -> String {
        let scores = scores.strip_prefix("# Evaluation\n").unwrap_or(scores);
        let Self { variations, seed, .. } = self;
        format!(
            "# Benchmark\n\nWritten by `testbed benchmark --variations {variations} --seed {seed}`, not by hand: each \
             scenario of `crates/testbed/scenarios` once as it is written, and in {variations} more with delays, parameters \
             and names drawn by seed. The probe measured in each world; `analyzer evaluate` judged the databases \
             anew and compared with the labels. [testbed.md](testbed.md) says how worlds are made and what the families \
             are for.\n{scores}"
        )
    }
}
