//! Measurements that nobody made, for finding out what many of them cost: native files, the same ones for the same seed.
//!
//! Kinds stand in proportions in which a volunteer's probe in a censored network meets them, and have the rows that the probe
//! writes for such a case in the testbed (eight for a site that works, some forty for a settled block). Everything is
//! recognisable as made up: software `faultline-generator`, names under `.example` (RFC 2606), addresses of RFC 5737, networks of
//! RFC 5398. Bodies are a kilobyte and one a site, where real ones are longer and change: a real file is larger.

mod campaign;
mod chance;
mod kinds;
mod rows;

use std::path::{Path, PathBuf};

use faultline_record::{
    Database, HealthCheck, Measurement, MeasurementId, Network, NetworkKind, RecordError, Run, RunEnd, RunId,
    RunSummary, Timestamp, sha256,
};
use faultline_verdict::HOUR_MS;

pub use campaign::{Campaign, Planted};

use chance::Chance;
use kinds::{CHECK_EVERY, Case, PACE_MS};

/// Measurements of one run: what the embedded lists hold, about.
const RUN: u64 = 100;
/// The first run of all, 2024-11-01T00:00:00Z: the month of the VPN failures that this project began with.
const EPOCH_MS: i64 = 1_730_419_200_000;
/// Between two runs of one volunteer: six hours.
const BETWEEN_MS: i64 = 6 * HOUR_MS;
/// One run in so many finds its own network dead.
const OFFLINE: usize = 100;
/// Countries and how many networks each has.
const COUNTRIES: [(&str, u32); 6] = [("PK", 8), ("IN", 10), ("IR", 6), ("TR", 5), ("DE", 6), ("BR", 7)];

/// One file of so many measurements.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it goes.
    pub file: PathBuf,
    /// How many.
    pub measurements: u64,
    seed: u64,
    number: u64,
}

/// Divides measurements among files.
pub fn plans(folder: &Path, measurements: u64, files: u64, seed: u64) -> Vec<Plan> {
    let share = |number| measurements / files + u64::from(number < measurements % files);
    let plan = |number| Plan { file: volunteer(folder, number), measurements: share(number), seed, number };
    (0..files).map(plan).collect()
}

fn volunteer(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("volunteer-{number:04}.sqlite"))
}

impl Plan {
    /// Makes the file; each run is one transaction.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn carry_out(&self) -> Result<(), RecordError> {
        let mut database = Database::open_or_create(&self.file)?;
        let mut chance = Chance::new(self.seed, self.number);
        let network = network(&mut chance);
        let runs = self.measurements.div_ceil(RUN);
        for number in 0..runs {
            let count = RUN.min(self.measurements - number * RUN);
            let jitter = i64::try_from(chance.below(1_800_000)).unwrap_or(0);
            let started_at = EPOCH_MS + i64::try_from(number).unwrap_or(0) * BETWEEN_MS + jitter;
            let online = !chance.once_in(OFFLINE);
            let any = |chance: &mut Chance, _| kinds::any(chance, online);
            Drawn::new(&mut chance, &network, started_at, count, online, any).insert(&mut database)?;
        }
        Ok(())
    }
}

fn network(chance: &mut Chance) -> Network {
    let (country, networks) = COUNTRIES[chance.below(COUNTRIES.len())];
    // RFC 5398: 64496 to 64511 and 65536 to 65551 are for documentation.
    let number = u32::try_from(chance.below(16)).unwrap_or(0) % networks;
    let kinds = [NetworkKind::Mobile, NetworkKind::Wifi, NetworkKind::Wired];
    Network {
        asn: Some(64_496 + number),
        as_name: Some(format!("{country} Example Telecom {number}")),
        country: Some(country.to_owned()),
        kind: kinds[chance.below(kinds.len())],
    }
}

/// A run with all that is in it.
struct Drawn {
    run: Run,
    checks: Vec<HealthCheck>,
    measurements: Vec<Measurement>,
    end: RunSummary,
}

impl Drawn {
    /// A run that begins then; the cases are drawn one after the other.
    fn new(
        chance: &mut Chance,
        network: &Network,
        started_at: i64,
        count: u64,
        online: bool,
        mut case: impl FnMut(&mut Chance, u64) -> Case,
    ) -> Self {
        let id = RunId::from_bytes(chance.id(started_at));
        let measurements: Vec<_> = (0..count)
            .map(|place| {
                let case = case(chance, place);
                measurement(chance, network, id, started_at, place, case)
            })
            .collect();
        let duration_ms = measurements.iter().map(Measurement::end_ms).fold(0.0, f64::max);
        #[expect(clippy::cast_precision_loss, reason = "a place in a run is far below 2^52")]
        let during = (0..count.div_ceil(CHECK_EVERY)).map(|place| PACE_MS * (place * CHECK_EVERY) as f64);
        let offsets = during.chain([duration_ms + 1.0]);
        let checks = offsets.map(|offset_ms| kinds::check(chance, id, started_at, offset_ms, online)).collect();
        let end = RunSummary {
            end: RunEnd::Completed,
            duration_ms,
            measured: u32::try_from(count).unwrap_or(u32::MAX),
            not_run: 0,
            connections: 3 * count,
            bytes_sent: 2_000 * count,
            bytes_received: 9_000 * count,
        };
        Self { run: run(id, started_at, count), checks, measurements, end }
    }

    fn insert(&self, database: &mut Database) -> Result<(), RecordError> {
        database.insert_run_whole(&self.run, &self.checks, &self.measurements, &self.end)
    }
}

fn run(id: RunId, started_at: i64, count: u64) -> Run {
    Run {
        id,
        started_at: Timestamp::from_millisecond(started_at),
        software_name: "faultline-generator".to_owned(),
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        platform: "none".to_owned(),
        lists_sha256: sha256(b"generated"),
        plan_sha256: sha256(b"generated"),
        consent: "generated".to_owned(),
        planned: u32::try_from(count).unwrap_or(u32::MAX),
        left_out: 0,
        tls_fingerprint: "none".to_owned(),
    }
}

fn measurement(
    chance: &mut Chance,
    network: &Network,
    run: RunId,
    run_started_at: i64,
    place: u64,
    case: Case,
) -> Measurement {
    #[expect(clippy::cast_precision_loss, reason = "a place in a run is far below 2^52")]
    let offset_ms = 1_000.0 + PACE_MS * place as f64;
    #[expect(clippy::cast_possible_truncation, reason = "an offset of some minutes")]
    let started_at = run_started_at + offset_ms as i64;
    let Case { target, duration_ms, observations } = case;
    Measurement {
        id: MeasurementId::from_bytes(chance.id(started_at)),
        run,
        target,
        started_at: Timestamp::from_millisecond(started_at),
        offset_ms,
        duration_ms,
        network: network.clone(),
        observations,
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use faultline_record::{Filter, Reader};
    use faultline_verdict::{Fingerprints, State, judge_with};

    use super::*;

    fn read(file: &Path) -> Vec<faultline_record::Witnessed> {
        let mut all = Vec::new();
        let visit = |witnessed| {
            all.push(witnessed);
            ControlFlow::<()>::Continue(())
        };
        Reader::open(file).unwrap().for_each(&Filter::default(), visit).unwrap();
        all
    }

    #[test]
    fn the_same_seed_gives_the_same_measurements_and_another_one_others() {
        let folders = [1, 1, 2].map(|seed| (tempfile::tempdir().unwrap(), seed));
        let made = folders.each_ref().map(|(folder, seed)| {
            let plans = plans(folder.path(), 151, 2, *seed);
            assert_eq!(plans.iter().map(|plan| plan.measurements).collect::<Vec<_>>(), [76, 75]);
            plans.iter().try_for_each(Plan::carry_out).unwrap();
            plans.iter().flat_map(|plan| read(&plan.file)).collect::<Vec<_>>()
        });
        let ids: std::collections::HashSet<_> = made[0].iter().map(|seen| seen.measurement.id).collect();
        assert_eq!((made[0].len(), ids.len()), (151, 151));
        assert!(made[0] == made[1] && made[0] != made[2]);
    }

    #[test]
    fn every_state_is_met_and_most_of_it_works() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plans(folder.path(), 3_000, 1, 6).remove(0);
        plan.carry_out().unwrap();
        let all = read(&plan.file);
        let states: Vec<State> = all
            .iter()
            .map(|seen| judge_with(Fingerprints::built_in(), &seen.measurement, &seen.witness).state)
            .collect();
        let share = |state| states.iter().filter(|&&found| found == state).count() * 100 / states.len();
        assert!((80..95).contains(&share(State::Ok)), "{} of 100 are ok", share(State::Ok));
        assert!((2..10).contains(&share(State::Blocked)), "{} of 100 are blocked", share(State::Blocked));
        for state in [State::LikelyBlocked, State::Impaired, State::Insufficient] {
            assert!(states.contains(&state), "none is {state}");
        }
        let rows: usize = all.iter().map(|seen| seen.measurement.observations.len()).sum();
        assert!((8..12).contains(&(rows / all.len())), "{} rows a measurement", rows / all.len());
    }
}
