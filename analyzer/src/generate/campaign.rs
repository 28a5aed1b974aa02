//! A campaign: volunteers who measure the same sites every hour, while things happen that are written down.
//!
//! What happens begins each day at an hour that the seed draws, six kinds in turn and every seventh day nothing: what a detector of
//! events has to find, and days on which it has to be silent. In between, sites fail as sites do.

use std::path::{Path, PathBuf};

use faultline_record::{Database, Network, NetworkKind, RecordError, Timestamp};
use faultline_verdict::{HOUR_MS, Kind as Event};
use serde::{Deserialize, Serialize};

use super::chance::Chance;
use super::kinds::{self, Case, Kind};
use super::{Drawn, EPOCH_MS, OFFLINE};

/// The networks, four volunteers each where there are forty: documentation numbers (RFC 5398).
const NETWORKS: [(&str, u32); 10] = [
    ("PK", 64_496),
    ("PK", 64_497),
    ("PK", 64_498),
    ("PK", 64_499),
    ("IN", 64_500),
    ("IN", 64_501),
    ("IN", 64_502),
    ("DE", 64_503),
    ("DE", 64_504),
    ("DE", 64_505),
];
/// Sites on the list.
const SITES: usize = 10;
/// Of 1,000 measurements of what works, those that fail all the same, and how: OONI's web tests call some 3 in 100 anomalous
/// where nothing is blocked.
const FAILING: [(usize, Kind); 3] = [(10, Kind::Silent), (10, Kind::Refused), (10, Kind::Reset)];

/// What happened, as it is written to `events.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planted {
    /// What.
    pub kind: Event,
    /// Names of sites; none where it is networks.
    pub targets: Vec<String>,
    /// Where; `None`: everywhere.
    pub country: Option<String>,
    /// The networks' numbers.
    pub networks: Vec<u32>,
    /// Its first moment.
    pub begin: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// How many measurements of a hundred meet it.
    pub share: usize,
    #[serde(skip)]
    site: usize,
    #[serde(skip)]
    how: Option<Kind>,
}

impl Planted {
    fn holds(&self, network: u32, at: Timestamp) -> bool {
        self.networks.contains(&network) && self.begin <= at && at < self.end
    }
}

/// The whole of it.
#[derive(Clone, Debug)]
pub struct Campaign {
    days: u64,
    volunteers: u64,
    seed: u64,
    /// What happens.
    pub planted: Vec<Planted>,
}

impl Campaign {
    /// So many days and volunteers.
    pub fn new(days: u64, volunteers: u64, seed: u64) -> Self {
        let mut chance = Chance::new(seed, u64::MAX);
        let planted = (1..days).filter_map(|day| planted(&mut chance, day)).collect();
        Self { days, volunteers, seed, planted }
    }

    /// The files, each with its volunteer's number.
    pub fn files(&self, folder: &Path) -> Vec<(PathBuf, u64)> {
        (0..self.volunteers).map(|number| (super::volunteer(folder, number), number)).collect()
    }

    /// How many measurements there are.
    pub fn measurements(&self) -> u64 {
        self.days * 24 * self.volunteers * SITES as u64
    }

    /// Makes the file of one volunteer.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn carry_out(&self, file: &Path, number: u64) -> Result<(), RecordError> {
        let mut database = Database::open_or_create(file)?;
        let mut chance = Chance::new(self.seed, number);
        let (country, asn) = NETWORKS[usize::try_from(number).unwrap_or(0) % NETWORKS.len()];
        let network = Network {
            asn: Some(asn),
            as_name: Some(format!("{country} Example Telecom {asn}")),
            country: Some(country.to_owned()),
            kind: NetworkKind::Wired,
        };
        for hour in 0..i64::try_from(self.days * 24).unwrap_or(0) {
            let within = i64::try_from(chance.below(50 * 60_000)).unwrap_or(0);
            let started_at = EPOCH_MS + hour * HOUR_MS + within;
            let at = Timestamp::from_millisecond(started_at);
            let now: Vec<&Planted> = self.planted.iter().filter(|planted| planted.holds(asn, at)).collect();
            let online = !chance.once_in(OFFLINE) && now.iter().all(|planted| planted.how.is_some());
            let case = |chance: &mut Chance, place| case(chance, place, &now, online);
            Drawn::new(&mut chance, &network, started_at, SITES as u64, online, case).insert(&mut database)?;
        }
        Ok(())
    }
}

fn case(chance: &mut Chance, place: u64, now: &[&Planted], online: bool) -> Case {
    let site = usize::try_from(place).unwrap_or(0);
    let meets = now.iter().find(|planted| planted.site == site && chance.below(100) < planted.share);
    let by_itself = kinds::drawn(chance, &FAILING);
    let kind = meets.and_then(|planted| planted.how).unwrap_or(by_itself);
    kinds::case(chance, site, kind, online)
}

/// What happens on a day: each kind in turn; every seventh day nothing.
fn planted(chance: &mut Chance, day: u64) -> Option<Planted> {
    let day = usize::try_from(day).ok()?;
    let country = ["PK", "IN", "DE"][chance.below(3)];
    let of_country: Vec<u32> = NETWORKS.iter().filter(|(own, _)| *own == country).map(|(_, asn)| *asn).collect();
    let one = vec![of_country[chance.below(of_country.len())]];
    let all: Vec<u32> = NETWORKS.iter().map(|(_, asn)| *asn).collect();
    let how = [Kind::NameReset, Kind::Silent][chance.below(2)];
    let (kind, networks, how, share) = match day % 7 {
        1 => (Event::Blocking, of_country, Some(how), 100),
        2 => (Event::Blocking, one, Some(Kind::NameReset), 100),
        3 => (Event::TargetOutage, all, Some(Kind::Silent), 100),
        4 => (Event::Outage, one, None, 100),
        5 => (Event::Shutdown, of_country, None, 100),
        6 => (Event::Blocking, of_country, Some(Kind::NameReset), 50),
        _ => return None,
    };
    let site = day % SITES;
    let first = i64::try_from(day * 24 + chance.below(8)).ok()?;
    let hours = i64::try_from(6 + chance.below(7)).ok()?;
    let at = |hour: i64| Timestamp::from_millisecond(EPOCH_MS + hour * HOUR_MS);
    Some(Planted {
        kind,
        targets: how.map(|_| kinds::host(site)).into_iter().collect(),
        country: (kind != Event::TargetOutage).then(|| country.to_owned()),
        networks,
        begin: at(first),
        end: at(first + hours),
        share,
        site,
        how,
    })
}
