//! What many measurements cost the analyzer: made up, merged, classified, asked in SQL and exported, for growing numbers.
//!
//! Each step is a run of the analyzer as a user runs it, opening and checking the files included, so that nothing is left out
//! of a figure; those in SQL are left out where the analyzer was built without its engine. Peak memory is the kernel's own word (`VmHWM`), read fifty times a second while the step runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::as_f64;

/// Files that the measurements are spread over: what a researcher is sent.
const FILES: usize = 40;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// One step at one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// What was done.
    pub step: &'static str,
    /// With how many measurements.
    pub measurements: usize,
    /// How long it took, seconds.
    pub seconds: f64,
    /// How much of that the processors worked for it, all of them together, seconds.
    pub processor: f64,
    /// The most memory it had, octets.
    pub peak: u64,
}

impl Cost {
    /// Measurements a second.
    pub fn pace(&self) -> f64 {
        as_f64(self.measurements) / self.seconds.max(1e-3)
    }

    /// Measurements a second of one processor's work: what a busy machine spoils less.
    pub fn pace_of_processor(&self) -> f64 {
        as_f64(self.measurements) / self.processor.max(1e-3)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "memory of a machine is far below 2^52")]
        let megabytes = self.peak as f64 / 1e6;
        let Self { step, measurements, seconds, processor, .. } = self;
        let (pace, of_processor) = (self.pace(), self.pace_of_processor());
        write!(
            f,
            "| {measurements} | {step} | {seconds:.2} | {pace:.0} | {processor:.2} | {of_processor:.0} | {megabytes:.0} |"
        )
    }
}

/// Heading of the table that costs are the rows of.
pub const HEADING: &str = "| measurements | step | seconds | a second | CPU-seconds | a CPU-second | peak MB |
|--:|---|--:|--:|--:|--:|--:|";

/// Measures one size in a folder that is emptied afterwards.
///
/// # Errors
/// A step that fails.
pub fn costs(analyzer: &Path, folder: &Path, measurements: usize) -> Result<Vec<Cost>> {
    let work = folder.join(format!("scale-{measurements}"));
    std::fs::create_dir_all(&work).with_context(|| format!("make {}", work.display()))?;
    let costs = steps(analyzer, &work, measurements);
    std::fs::remove_dir_all(&work).with_context(|| format!("remove {}", work.display()))?;
    costs
}

fn steps(analyzer: &Path, work: &Path, measurements: usize) -> Result<Vec<Cost>> {
    let made = work.join("made");
    let merged = work.join("merged.sqlite");
    let bench = Bench { analyzer, measurements };
    let (count, files) = (measurements.to_string(), FILES.to_string());
    let mut costs = vec![bench.step("made up", |command| {
        command.args(["generate", "--measurements", &count, "--files", &files, "--output"]).arg(&made)
    })?];
    let inputs: Vec<PathBuf> = (0..FILES).map(|number| made.join(format!("volunteer-{number:04}.sqlite"))).collect();
    costs.push(bench.step("merged", |command| command.arg("merge").arg(&merged).args(&inputs))?);
    costs.push(bench.step("classified, of one file, as CSV", |command| {
        command.args(["verdicts", "--format", "csv"]).arg(&merged)
    })?);
    std::fs::remove_file(&merged)?;
    costs.push(bench.step("classified, of 40 files, as JSON", |command| {
        command.args(["verdicts", "--format", "jsonl"]).args(&inputs)
    })?);
    costs.push(bench.step("classified in context, of 40 files, as JSON", |command| {
        command.args(["verdicts", "--context", "--format", "jsonl", "--"]).args(&inputs)
    })?);
    if !bench.has_engine()? {
        return Ok(costs);
    }
    let query = |command: &mut Command, sql: &str| {
        command.args(["query", sql, "--db"]).arg(&made);
    };
    for (step, sql) in [
        ("classified and counted in SQL", "SELECT country, state, count(*) FROM verdicts GROUP BY 1, 2"),
        ("failures counted in SQL", "SELECT country, step, failure, count(*) FROM observations GROUP BY 1, 2, 3"),
    ] {
        costs.push(bench.step(step, |command| {
            query(command, sql);
            command
        })?);
    }
    costs.push(bench.step("classified and exported to Parquet", |command| {
        query(command, "SELECT * FROM verdicts");
        command.args(["--format", "parquet", "--output"]).arg(work.join("verdicts.parquet"))
    })?);
    Ok(costs)
}

struct Bench<'b> {
    analyzer: &'b Path,
    measurements: usize,
}

impl Bench<'_> {
    /// Whether it was built with the query engine.
    fn has_engine(&self) -> Result<bool> {
        let mut command = Command::new(self.analyzer);
        command.args(["query", "--help"]).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.status().with_context(|| format!("run {}", self.analyzer.display()))?.success())
    }

    fn step(&self, step: &'static str, with: impl FnOnce(&mut Command) -> &mut Command) -> Result<Cost> {
        let mut command = Command::new(self.analyzer);
        with(&mut command).stdout(Stdio::null()).stderr(Stdio::null());
        let (start, before) = (Instant::now(), processor()?);
        let child = command.spawn().with_context(|| format!("run {}", self.analyzer.display()))?;
        let peak = peak_until_end(child).with_context(|| format!("{step}: {command:?}"))?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Cost { step, measurements: self.measurements, seconds, processor: processor()? - before, peak })
    }
}

/// What the processors worked for the children waited for so far, seconds.
fn processor() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: TimeVal| Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or(0));
    Ok((seconds(usage.user_time()) + seconds(usage.system_time())).as_secs_f64())
}

fn peak_until_end(mut child: Child) -> Result<u64> {
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    loop {
        let seen = std::fs::read_to_string(&status).ok().and_then(|text| high_water(&text));
        peak = peak.max(seen.unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "it ended with {status}");
            return Ok(peak);
        }
        std::thread::sleep(LOOK);
    }
}

/// `VmHWM` of `/proc/PID/status` (proc(5)), which is in kibibytes.
fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_from_what_the_kernel_prints() {
        let status = "Name:\tanalyzer\nVmPeak:\t  123456 kB\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(high_water(status), Some(20_480 * 1024));
        assert_eq!(high_water("Name:\tanalyzer\n"), None);
        let own = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(high_water(&own).is_some_and(|peak| peak > 1 << 20));
    }

    #[test]
    fn a_cost_is_a_row_of_the_table() {
        let cost = Cost { step: "merged", measurements: 10_000, seconds: 0.5, processor: 0.4, peak: 64_000_000 };
        assert_eq!(cost.to_string(), "| 10000 | merged | 0.50 | 20000 | 0.40 | 25000 | 64 |");
        let columns = |text: &str| text.lines().next().map(|line| line.matches('|').count());
        assert_eq!(columns(&cost.to_string()), columns(HEADING));
    }
}
