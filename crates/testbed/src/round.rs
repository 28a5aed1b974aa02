//! One round: one world of one scenario, in which every vantage measures once in each phase, and what came of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use crate::label::{self, Label, Origin};
use crate::measure::{Said, measure};
use crate::scenario::{Phase, Scenario, Split, Vantage};
use crate::truth::Difference;
use crate::world::{Making, World};

/// Which round.
#[derive(Debug, Clone, Copy)]
pub struct Round<'a> {
    /// What the world is like.
    pub scenario: &'a Scenario,
    /// Whether weights may be fitted on its family.
    pub split: Split,
    /// The seed of all chance in the world.
    pub seed: u64,
    /// The probe's binary.
    pub probe: &'a Path,
    /// Where captures of all links are left, if they are wanted.
    pub captures: Option<&'a Path>,
    /// Where databases, lines and labels are left, if they are wanted.
    pub out: Option<&'a Path>,
}

/// One run of the probe.
#[derive(Debug)]
pub struct Run {
    /// Where.
    pub vantage: String,
    /// When.
    pub phase: String,
    /// What the probe said.
    pub said: Said,
    /// Where it was wrong.
    pub differences: Vec<Difference>,
    /// What is true of each of its measurements.
    pub labels: Vec<Label>,
}

impl Round<'_> {
    /// Makes the world and measures in it.
    pub fn run(self) -> Result<Vec<Run>> {
        let making = Making { seed: self.seed, captures: self.captures, probe: Some(self.probe) };
        let world = World::start(self.scenario, making)?;
        let mut runs = Vec::new();
        for phase in &self.scenario.phase {
            world.enter(&phase.name)?;
            runs.extend(self.phase(&world, phase)?);
        }
        if let Some(out) = self.out {
            write(out, &runs)?;
        }
        Ok(runs)
    }

    /// All vantages measure side by side: they share nothing but the world abroad.
    fn phase(self, world: &World, phase: &Phase) -> Result<Vec<Run>> {
        let one = |vantage: &Vantage| self.vantage(world, vantage, phase);
        std::thread::scope(|scope| {
            let workers: Vec<_> = self.scenario.vantage.iter().map(|v| scope.spawn(move || one(v))).collect();
            workers.into_iter().map(|w| w.join().map_err(|_| anyhow!("a vantage panicked"))?).collect()
        })
    }

    fn vantage(self, world: &World, vantage: &Vantage, phase: &Phase) -> Result<Run> {
        let before = self.acted(world);
        let said =
            measure(world, self.scenario, vantage, &phase.name, self.probe, &self.database(world, vantage, phase))?;
        let after = self.acted(world);
        let truth =
            self.scenario.truth.at(&vantage.name, &phase.name).given(|name| before.get(name) != after.get(name));
        Ok(Run {
            vantage: vantage.name.clone(),
            phase: phase.name.clone(),
            differences: truth.compare(said.exit_code, &said.stdout),
            labels: label::of(&truth, &self.origin(vantage, phase), &said.stdout),
            said,
        })
    }

    /// How often each censor with a name has acted.
    fn acted(self, world: &World) -> BTreeMap<String, u64> {
        let censors = self.scenario.censor.iter().enumerate();
        censors.filter_map(|(n, censor)| Some((censor.name.clone()?, world.router().acted(n)))).collect()
    }

    fn database(self, world: &World, vantage: &Vantage, phase: &Phase) -> PathBuf {
        self.out.unwrap_or(world.folder()).join(database_name(self.scenario, vantage, phase))
    }

    fn origin(self, vantage: &Vantage, phase: &Phase) -> Origin {
        Origin {
            scenario: self.scenario.name.clone(),
            family: self.scenario.family.clone(),
            split: self.split,
            seed: self.seed,
            vantage: vantage.name.clone(),
            phase: phase.name.clone(),
        }
    }
}

/// The file of a vantage; of its phase, where each is looked at by itself.
pub fn database_name(scenario: &Scenario, vantage: &Vantage, phase: &Phase) -> String {
    let is_apart = !scenario.together.is_empty();
    if is_apart { format!("{}-{}.sqlite", vantage.name, phase.name) } else { format!("{}.sqlite", vantage.name) }
}

/// Leaves what the probe printed and the labels beside the databases.
fn write(out: &Path, runs: &[Run]) -> Result<()> {
    let mut lines = File::create(out.join("measurements.jsonl"))?;
    let mut labels = File::create(out.join(LABELS))?;
    for run in runs {
        lines.write_all(run.said.stdout.as_bytes())?;
        for label in &run.labels {
            writeln!(labels, "{}", serde_json::to_string(label)?)?;
        }
    }
    Ok(())
}

/// The file with the labels.
pub const LABELS: &str = "labels.jsonl";
