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

/// How often a scenario that failed is drawn once more. One failure tells nothing of how often it fails: with nine more
/// that are right, its failure rate is below 45 % (Clopper-Pearson, 95 %), and one that always fails is seen ten times.
const AGAIN: u32 = 9;

/// With more failures than so many scenarios, something is broken at large, and further draws would tell nothing.
const MOST_AGAIN: usize = 12;

/// The folders for the rounds of each kind.
const KINDS: [&str; 3] = ["written", "varied", "again"];

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
        std::fs::create_dir_all(&self.out).with_context(|| format!("make the folder {}", self.out.display()))?;
        ensure!(self.out.read_dir()?.next().is_none(), "{} is not empty", self.out.display());
        let [written, varied, again] = KINDS;
        // Each world has a seed of its own.
        let first = run(&scenarios, folder, &self.rounds(written, self.seed, 1)?)?;
        let mut broken = first.broken;
        if self.variations > 0 {
            let rounds = self.rounds(varied, self.seed + 1, self.variations)?;
            broken += run(&scenarios, folder, &Rounds { vary: true, talk: false, ..rounds })?.broken;
        }
        let failed: Vec<Scenario> =
            scenarios.into_iter().filter(|scenario| first.failed.contains(&scenario.name)).collect();
        if (1..=MOST_AGAIN).contains(&failed.len()) {
            println!("{AGAIN} more of each that failed, which all count:");
            let seed = self.seed + 1 + u64::from(self.variations);
            broken += run(&failed, folder, &self.rounds(again, seed, AGAIN)?)?.broken;
        }
        let code = self.score(&analyzer)?;
        if broken > 0 {
            bail!("{broken} worlds have no result");
        }
        Ok(code)
    }

    /// Rounds of the scenarios as they are written, in a folder of their own.
    fn rounds(&self, name: &str, seed: u64, count: u32) -> Result<Rounds> {
        let out = self.out.join(name);
        std::fs::create_dir_all(&out)?;
        let keep = Some(Keep { out, captures: false });
        Ok(Rounds { seed, count, per_scenario: true, vary: false, jobs: self.jobs, keep, talk: true })
    }

    /// The analyzer scores what was measured, and compares it with the committed figures.
    fn score(&self, analyzer: &Path) -> Result<u8> {
        let mut command = Command::new(analyzer);
        // The labels of all rounds are gathered in one file a kind of rounds.
        let labels = KINDS.map(|name| self.out.join(name).join(LABELS));
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
             and names drawn by seed. A scenario that failed as it is written was drawn {AGAIN} times more, and all ten \
             count. The probe measured in each world; `analyzer evaluate` judged the databases \
             anew and compared with the labels. [testbed.md](testbed.md) says how worlds are made and what the families \
             are for.\n{scores}"
        )
    }
}
