//! The commands that make many worlds, and report.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use clap::ValueEnum;

use super::{CANNOT_RUN, DONE, FAILED, WRONG};
use crate::measure::{build_probe_under_cargo, find_probe, find_release, find_release_probe};
use crate::round::LABELS;
use crate::scenario::Scenario;
use crate::{sandbox, speed};

/// How scenarios are run.
#[derive(Debug, Clone)]
pub(super) struct Rounds {
    /// The seed of the first round of each scenario; each further one has the next.
    pub(super) seed: u64,
    /// Rounds of each scenario, or of all in turn.
    pub(super) count: u32,
    /// Whether `count` is meant for each scenario.
    pub(super) per_scenario: bool,
    /// Whether each round is a variation of the scenario, or the scenario as it is written.
    pub(super) vary: bool,
    /// Worlds at the same time.
    pub(super) jobs: NonZeroUsize,
    /// What is kept, if anything.
    pub(super) keep: Option<Keep>,
    /// Whether the differences from the truth are printed.
    pub(super) talk: bool,
}

/// What is kept of the rounds, and where.
#[derive(Debug, Clone)]
pub(super) struct Keep {
    /// The folder for databases, output and labels.
    pub(super) out: PathBuf,
    /// Whether captures are kept with them.
    pub(super) captures: bool,
}

impl Rounds {
    /// Each round's scenario and seed.
    fn work(&self, scenarios: usize) -> Vec<(usize, u64)> {
        let asked = usize::try_from(self.count).unwrap_or(usize::MAX);
        let all = if self.per_scenario { scenarios.saturating_mul(asked) } else { asked };
        let seeds = (self.seed..).flat_map(|seed| (0..scenarios).map(move |scenario| (scenario, seed)));
        if scenarios == 0 { Vec::new() } else { seeds.take(all).collect() }
    }
}

/// How one round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Right,
    Wrong,
    Broken,
}

/// The rounds of all scenarios, counted.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) right: usize,
    pub(super) wrong: usize,
    pub(super) known: usize,
    pub(super) broken: usize,
    /// The names of the scenarios in which the probe was wrong.
    pub(super) failed: Vec<String>,
}

/// Runs each scenario some times and says how often the probe was right. Every round has a world of its own; most of a
/// round is waiting for time-outs, so that some can be run beside each other.
pub(super) fn run(scenarios: &[Scenario], folder: &Path, rounds: &Rounds) -> Result<Tally> {
    let probe = find_probe()?;
    let work = rounds.work(scenarios.len());
    let start = Instant::now();
    let ended = side_by_side(&work, rounds.jobs, |&(scenario, seed)| {
        let end = round(&scenarios[scenario], folder, &probe, seed, rounds)?;
        Ok((scenario, end))
    })?;
    if let Some(Keep { out, .. }) = &rounds.keep {
        gather_labels(out, &work, scenarios)?;
    }
    let tally = report(scenarios, &ended, !rounds.vary);
    eprintln!("{} worlds in {:.1} s", ended.len(), start.elapsed().as_secs_f64());
    Ok(tally)
}

impl Tally {
    /// The exit code that says it.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self { broken: 1.., .. } => FAILED,
            Self { wrong: 1.., .. } => WRONG,
            _ => DONE,
        }
    }
}

/// Does all the work, some of it at the same time; the results are in no order.
fn side_by_side<W: Sync, T: Send>(
    work: &[W],
    jobs: NonZeroUsize,
    one: impl Fn(&W) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<T>> {
        let mut ended = Vec::new();
        while let Some(item) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            ended.push(one(item)?);
        }
        Ok(ended)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.get()).map(|_| scope.spawn(worker)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| anyhow!("a worker panicked"))??);
        }
        Ok(all)
    })
}

fn report(scenarios: &[Scenario], ended: &[(usize, End)], judged_as_written: bool) -> Tally {
    let mut tally = Tally::default();
    for (n, scenario) in scenarios.iter().enumerate() {
        let of = |wanted: End| ended.iter().filter(|(of, end)| *of == n && *end == wanted).count();
        let (right, wrong, broken) = (of(End::Right), of(End::Wrong), of(End::Broken));
        let (word, note) = match &scenario.known_wrong {
            _ if broken > 0 => ("FAIL", format!(" ({broken} without a result)")),
            Some(why) if right == 0 => ("know", format!(" (known to be wrong: {why})")),
            Some(_) if judged_as_written => ("FAIL", " (it is right now: take known_wrong out of it)".to_owned()),
            _ if wrong > 0 => ("FAIL", String::new()),
            _ => ("pass", String::new()),
        };
        println!("{word} {right}/{} {}{note}", right + wrong + broken, scenario.name);
        let failed = word == "FAIL";
        tally.right += right;
        tally.known += if word == "know" { wrong } else { 0 };
        // A scenario that is right against its own note fails as well.
        tally.wrong += if failed && broken == 0 { wrong.max(1) } else { 0 };
        tally.broken += broken;
        if failed && broken == 0 {
            tally.failed.push(scenario.name.clone());
        }
    }
    println!("{} passed, {} failed, {} wrong as known", tally.right, tally.wrong + tally.broken, tally.known);
    tally
}

/// One world; the child has said where the probe was wrong, or what went wrong.
fn round(scenario: &Scenario, folder: &Path, probe: &Path, seed: u64, rounds: &Rounds) -> Result<End> {
    let mut inside = sandbox::command()?;
    inside.arg("--scenarios").arg(folder).args(["measure", &scenario.name]).arg("--probe").arg(probe);
    inside.args(["--seed", &seed.to_string()]);
    if rounds.vary {
        inside.arg("--vary");
    }
    if let Some(Keep { out, captures }) = &rounds.keep {
        let out = std::path::absolute(out.join(round_name(scenario, seed)))?;
        std::fs::create_dir_all(&out)?;
        if *captures {
            inside.arg("--capture").arg(out.join("captures"));
        }
        inside.arg("--out").arg(out);
    }
    if rounds.talk {
        inside.arg("--talk");
    }
    let status = inside.status().context("start a world")?;
    Ok(match status.code() {
        Some(code) if code == i32::from(DONE) => End::Right,
        Some(code) if code == i32::from(WRONG) => End::Wrong,
        _ => End::Broken,
    })
}

fn round_name(scenario: &Scenario, seed: u64) -> String {
    format!("{}-{seed}", scenario.name)
}

/// Writes the labels of all rounds into one file, in the order of the work.
fn gather_labels(out: &Path, work: &[(usize, u64)], scenarios: &[Scenario]) -> Result<()> {
    let mut all = String::new();
    for &(scenario, seed) in work {
        let path = out.join(round_name(&scenarios[scenario], seed)).join(LABELS);
        // A round that broke has left none; the report says so.
        all.push_str(&std::fs::read_to_string(path).unwrap_or_default());
    }
    let path = out.join(LABELS);
    std::fs::write(&path, all).with_context(|| format!("write {}", path.display()))
}

/// Shows what the probe says in each scenario.
pub(super) fn demo(scenarios: &[Scenario], folder: &Path) -> Result<u8> {
    build_probe_under_cargo()?;
    let probe = match find_probe() {
        Ok(probe) => probe,
        Err(error) => {
            eprintln!("testbed: {error:#}");
            return Ok(CANNOT_RUN);
        }
    };
    let mut code = DONE;
    for scenario in scenarios {
        println!("{}: {}\n", scenario.name, scenario.description);
        let mut inside = sandbox::command()?;
        inside.arg("--scenarios").arg(folder).args(["show", &scenario.name]).arg("--probe").arg(&probe);
        if !inside.status().context("start a world")?.success() {
            code = FAILED;
        }
        println!();
    }
    Ok(code)
}

/// The parts of the speed figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// Binary size and the time of `--help`.
    Files,
    /// The router's own throughput.
    Router,
    /// As many measurements as the processor allows.
    Local,
    /// A thousand targets at the end of a path of 50 ms.
    Path,
    /// Two hundred tunnels' servers, half of them dead.
    Vpn,
}

impl Part {
    /// Measures it.
    pub(super) fn figures(self, probe: &Path) -> Result<Vec<speed::Figure>> {
        match self {
            Self::Files => speed::files::figures(probe),
            Self::Router => speed::router::figures(),
            Self::Local => speed::local::figures(probe),
            Self::Path => speed::path::figures(probe),
            Self::Vpn => speed::vpn::figures(probe),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Measures the parts, all if none is named; each has a world of its own.
pub(super) fn speed(parts: &[Part]) -> Result<u8> {
    let probe = find_release_probe()?;
    let parts = if parts.is_empty() { Part::value_variants() } else { parts };
    let mut code = DONE;
    for part in parts {
        println!("{}", part.name());
        let met = if *part == Part::Files {
            speed::print(&part.figures(&probe)?)
        } else {
            let mut inside = sandbox::command()?;
            inside.args(["speed", &part.name()]).arg("--probe").arg(&probe);
            inside.status().context("start a world")?.success()
        };
        if !met {
            code = FAILED;
        }
    }
    Ok(code)
}

/// Prints the costs of each size as they come.
pub(super) fn scale(sizes: &[usize], folder: &Path) -> Result<u8> {
    let analyzer = find_release("analyzer", "faultline-analyzer")?;
    println!("{}", speed::scale::HEADING);
    for &measurements in sizes {
        for cost in speed::scale::costs(&analyzer, folder, measurements)? {
            println!("{cost}");
        }
    }
    Ok(DONE)
}
