//! A measurement put together from its rows. What many measurements share (targets, networks, certificates) is read and parsed
//! once; statements are fetched once for a whole reading. Knows nothing of witnesses, nor of which measurements are wanted.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use rusqlite::{CachedStatement, Row};

use super::{Reader, SELECTS, each_row, rows};
use crate::error::RecordError;
use crate::model::{Certificate, Measurement, Network, Observation, Purpose, StepData, Target};

/// How many targets, networks and keys of bodies are kept at hand: more than the lists that a run measures hold.
const AT_HAND: usize = 4_096;

/// How many certificates are: a run meets the same few authorities again and again, and one can be long.
const CERTIFICATES: usize = 512;

/// The reading of many measurements.
pub(super) struct Whole<'r> {
    reader: &'r Reader,
    with_bodies: bool,
    follows: bool,
    observations: CachedStatement<'r>,
    dns_answers: CachedStatement<'r>,
    tls_chains: CachedStatement<'r>,
}

/// What many measurements of a file share, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Shared {
    targets: HashMap<[u8; 16], Target>,
    networks: HashMap<[u8; 16], Network>,
    certificates: HashMap<[u8; 32], Arc<Certificate>>,
    /// Bodies that are there.
    bodies: HashSet<[u8; 32]>,
}

impl<'r> Whole<'r> {
    pub(super) fn of(reader: &'r Reader, with_bodies: bool) -> Result<Self, RecordError> {
        Ok(Self {
            reader,
            with_bodies,
            follows: false,
            observations: reader.prepared(&SELECTS.observations)?,
            dns_answers: reader.prepared(&SELECTS.dns_answers)?,
            tls_chains: reader.prepared(&SELECTS.tls_chains)?,
        })
    }

    /// The same, looking up every reference, those that nobody needs for a verdict included.
    pub(super) fn following(self) -> Self {
        Self { follows: true, ..self }
    }

    /// A measurement without its observations, from its row.
    pub(super) fn head(&self, row: &Row<'_>) -> Result<Measurement, RecordError> {
        let reader = self.reader;
        let Shared { targets, networks, .. } = &mut *reader.shared.borrow_mut();
        rows::measurement(reader.file(), row, |target, network| {
            let target = at_hand(targets, AT_HAND, target, || reader.one(&SELECTS.target, &target, rows::target))?;
            let network =
                at_hand(networks, AT_HAND, network, || reader.one(&SELECTS.network, &network, rows::network))?;
            Ok((target, network))
        })
    }

    /// Reads its observations with all that hangs on them.
    pub(super) fn load(&mut self, measurement: &mut Measurement) -> Result<(), RecordError> {
        let id = *measurement.id.as_bytes();
        let (mut has_dns, mut has_tls, mut bodies) = (false, false, Vec::new());
        let file = self.reader.file();
        each_row(file, &mut self.observations, [id], |row| {
            let (seen, body) = rows::observation(file, row)?;
            let in_the_clear = seen.http().is_some_and(|http| http.url.starts_with("http:"));
            bodies.extend(body.map(|key| (measurement.observations.len(), key, in_the_clear)));
            has_dns |= seen.dns().is_some();
            has_tls |= seen.tls().or(seen.quic()).is_some();
            measurement.observations.push(seen);
            Ok(true)
        })?;
        if self.follows {
            bodies.iter().try_for_each(|(_, key, _)| self.look_up_body(*key))?;
        }
        let with_all = self.with_bodies || measurement.observations.iter().any(is_compared);
        let wanted = bodies.into_iter().filter(|(.., in_the_clear)| with_all || *in_the_clear);
        self.load_bodies(measurement, wanted.map(|(place, key, _)| (place, key)))?;
        if has_dns || self.follows {
            self.load_answers(measurement)?;
        }
        if has_tls || self.follows {
            self.load_chains(measurement)?;
        }
        Ok(())
    }

    fn look_up_body(&self, key: [u8; 32]) -> Result<(), RecordError> {
        let reader = self.reader;
        let bodies = &mut reader.shared.borrow_mut().bodies;
        if bodies.contains(&key) {
            return Ok(());
        }
        reader.one(&SELECTS.has_body, &key, |_, _| Ok(()))?;
        if bodies.len() >= AT_HAND {
            bodies.clear();
        }
        bodies.insert(key);
        Ok(())
    }

    /// By place in the measurement.
    fn load_bodies(
        &self,
        measurement: &mut Measurement,
        keys: impl Iterator<Item = (usize, [u8; 32])>,
    ) -> Result<(), RecordError> {
        for (place, key) in keys {
            if let StepData::Http(http) = &mut measurement.observations[place].data {
                http.body = Some(self.reader.body(&key)?);
            }
        }
        Ok(())
    }

    fn load_answers(&mut self, measurement: &mut Measurement) -> Result<(), RecordError> {
        let (reader, file) = (self.reader, self.reader.file());
        each_row(file, &mut self.dns_answers, [*measurement.id.as_bytes()], |row| {
            let (seq, answer) = rows::dns_answer(file, row)?;
            match data_of(&mut measurement.observations, seq) {
                Some(StepData::Dns(dns)) => dns.answers.push(answer),
                Some(_) => {}
                None => return Err(reader.refers_to_nothing()),
            }
            Ok(true)
        })
    }

    fn load_chains(&mut self, measurement: &mut Measurement) -> Result<(), RecordError> {
        let Self { reader, tls_chains, .. } = self;
        let (file, certificates) = (reader.file(), &mut reader.shared.borrow_mut().certificates);
        each_row(file, tls_chains, [*measurement.id.as_bytes()], |row| {
            let (seq, key) = rows::chain_link(file, row)?;
            let read = || reader.one(&SELECTS.certificate, &key, rows::certificate).map(Arc::new);
            let certificate = at_hand(certificates, CERTIFICATES, key, read)?;
            match data_of(&mut measurement.observations, seq) {
                Some(StepData::Tls(tls) | StepData::Quic(tls)) => tls.chain.push(certificate),
                Some(_) => {}
                None => return Err(reader.refers_to_nothing()),
            }
            Ok(true)
        })
    }
}

/// What is known of a key, read if it is not among so many that are at hand.
fn at_hand<K: Eq + Hash, T: Clone>(
    known: &mut HashMap<K, T>,
    most: usize,
    key: K,
    read: impl FnOnce() -> Result<T, RecordError>,
) -> Result<T, RecordError> {
    if let Some(found) = known.get(&key) {
        return Ok(found.clone());
    }
    let found = read()?;
    if known.len() >= most {
        known.clear();
    }
    known.insert(key, found.clone());
    Ok(found)
}

/// Whether pages of the measurement are held against this one: a copy, or what a helper says of the page it saw.
fn is_compared(row: &Observation) -> bool {
    row.purpose == Purpose::HttpsCopy
        || (row.purpose == Purpose::Helper && row.http().is_some_and(|http| http.url.starts_with("http:")))
}

fn data_of(observations: &mut [Observation], seq: rows::Seq) -> Option<&mut StepData> {
    let index = observations.binary_search_by_key(&seq, |seen| seen.seq).ok()?;
    Some(&mut observations[index].data)
}
