//! How fast responses came, and what may be said of it: one response ([`Transfer`]), and the same response in turns under
//! two conditions ([`Comparison`]). Pure arithmetic on what rows hold; the probe asks it whether more rounds are worth
//! their bytes, the rules ask it what they show.

mod compare;
mod freeze;
mod limit;
#[cfg(test)]
mod tests;
mod transfer;

pub use compare::{Comparison, Interval, MOST_ROUNDS, Round, are_of_one_body, may_yet_differ};
pub use freeze::{LEAST, Stop, has_begun, still_comes, stops, stops_at};
pub use limit::{Keeper, Limit};
pub use transfer::Transfer;
