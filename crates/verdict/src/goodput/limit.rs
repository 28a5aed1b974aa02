//! A rate that is nearly the same each time is kept by somebody: loss and load vary, limits do not.

use std::fmt;

use super::transfer::{Transfer, as_f64};

/// Rates vary by less from time to time, relative to their mean. Set by hand on the testbed's worlds: limits 0.01 to 0.15,
/// loss of a tenth 0.4 and more.
const EVEN: f64 = 0.2;
/// Transfers that must agree.
const TRANSFERS_WANTED: usize = 4;
/// The longest pause is no longer than so many usual ones where a queue keeps the rate.
const SMOOTH: f64 = 2.5;
/// Pauses of a transfer that tell.
const PAUSES_WANTED: usize = 5;

/// How a limit is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// What is too much waits: packets come evenly.
    Queue,
    /// What is too much is dropped: packets come in bursts, with pauses until the sender has noticed (Xue et al. 2021, of
    /// Twitter in Russia).
    Drops,
}

/// A rate that is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// How far the transfers' rates vary, relative to their mean.
    pub spread: f64,
    /// How it is kept.
    pub keeper: Keeper,
}

impl Limit {
    /// Of transfers over one path.
    pub(super) fn of(transfers: &[&Transfer]) -> Option<Self> {
        let all = || transfers.iter().copied();
        let (start, round_trip) = (Transfer::start_of(all()), Transfer::round_trip_of(all()));
        let rates: Vec<f64> = transfers.iter().map(|transfer| transfer.kbit(start, round_trip)).collect();
        let spread = variation(&rates).filter(|spread| rates.len() >= TRANSFERS_WANTED && *spread <= EVEN)?;
        let mut within: Vec<f64> = transfers.iter().filter_map(|transfer| longest_pause(transfer, start)).collect();
        within.sort_by(f64::total_cmp);
        let middle = within.get(within.len() / 2)?;
        Some(Self { spread, keeper: if *middle <= SMOOTH { Keeper::Queue } else { Keeper::Drops } })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.keeper {
            Keeper::Queue => "evenly, as out of a queue",
            Keeper::Drops => "in bursts with pauses, as where what exceeds a rate is dropped",
        };
        write!(f, "the same rate each time within {:.0} %, {how}", self.spread * 100.0)
    }
}

/// Standard deviation over mean.
fn variation(values: &[f64]) -> Option<f64> {
    let count = as_f64(values.len() as u64);
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (values.len() > 1 && mean > 0.0).then(|| variance.sqrt() / mean)
}

/// The longest pause of a transfer, as a multiple of the mean one. `None` where there are too few points to say.
fn longest_pause(transfer: &Transfer, start: u64) -> Option<f64> {
    let from = transfer.since(start);
    let rest = transfer.arrivals.iter().filter(|point| point.bytes > from.bytes);
    let times: Vec<u32> = std::iter::once(from.ms).chain(rest.map(|point| point.ms)).collect();
    let pauses: Vec<u32> = times.windows(2).map(|two| two[1] - two[0]).collect();
    let (longest, all) = (f64::from(*pauses.iter().max()?), f64::from(pauses.iter().sum::<u32>()));
    (pauses.len() >= PAUSES_WANTED && all > 0.0).then(|| longest * as_f64(pauses.len() as u64) / all)
}
