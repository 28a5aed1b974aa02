//! How fast new connections are opened: a token bucket, whose rate can be changed and which can hold still; and how often one
//! tunnel's server is asked for a handshake.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a tunnel's handshake by datagrams takes of a connection's place: it is a tenth of the packets of a connection with TLS and a
/// request, and asks for no state at the server until it is answered.
const DATAGRAMS: f64 = 0.25;

/// Admits new connections at a rate. Shared by every task of a run.
#[derive(Debug)]
pub struct Pace {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// New connections a second; infinite when there is no limit.
    rate: f64,
    /// When the next connection may begin.
    next: Instant,
}

impl State {
    /// How long the next connection has to wait; its place is taken, or that share of it.
    fn reserve(&mut self, now: Instant, share: f64) -> Duration {
        let at = self.next.max(now);
        if self.rate.is_finite() {
            self.next = at + Duration::from_secs_f64(share / self.rate);
        }
        at - now
    }
}

impl Pace {
    /// A pace of `rate` new connections a second; `None` sets no limit.
    pub fn new(rate: Option<f64>) -> Self {
        let state = State { rate: rate.unwrap_or(f64::INFINITY), next: Instant::now() };
        Self { state: Mutex::new(state) }
    }

    /// Waits until one more connection may be opened.
    pub async fn admit(&self) {
        self.admit_share(1.0).await;
    }

    /// Waits until a tunnel may be asked for by datagrams: a handful that nobody holds a connection for.
    pub async fn admit_datagrams(&self) {
        self.admit_share(DATAGRAMS).await;
    }

    async fn admit_share(&self, share: f64) {
        let wait = self.lock().reserve(Instant::now(), share);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Sets the rate from now on; `None` sets no limit.
    pub fn set_rate(&self, rate: Option<f64>) {
        self.lock().rate = rate.unwrap_or(f64::INFINITY);
    }

    /// Admits nothing for so long. Places taken before stay valid.
    pub fn hold(&self, time: Duration) {
        let mut state = self.lock();
        state.next = state.next.max(Instant::now() + time);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while the lock is held cannot leave the two numbers in disagreement.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Between two handshakes with one server: nobody is to be asked more often than once a second, also where a packet is late.
const BETWEEN: Duration = Duration::from_millis(1_100);
/// Servers that are remembered before those are forgotten whose time has passed.
const MANY: usize = 256;

/// Gives each tunnel's server its rest, over a whole run.
#[derive(Debug, Default)]
pub struct Manners {
    next: Mutex<HashMap<IpAddr, Instant>>,
}

impl Manners {
    /// How long the next handshake with a server has to wait; its place is taken.
    pub fn reserve(&self, server: IpAddr) -> Duration {
        self.reserve_at(server, Instant::now())
    }

    fn reserve_at(&self, server: IpAddr, now: Instant) -> Duration {
        // Entries are replaced whole: a panic elsewhere cannot have torn one.
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if next.len() >= MANY {
            next.retain(|_, free| *free > now);
        }
        let free = next.entry(server).or_insert(now);
        let at = (*free).max(now);
        *free = at + BETWEEN;
        at - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_once_a_second_and_others_meanwhile() {
        let (manners, now) = (Manners::default(), Instant::now());
        let [one, other] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let waits = [one, one, other, one].map(|server| manners.reserve_at(server, now).as_millis());
        assert_eq!(waits, [0, 1_100, 0, 2_200]);
        let later = now + Duration::from_secs(10);
        assert_eq!(manners.reserve_at(one, later), Duration::ZERO, "time that passed is not saved up");
        assert_eq!(manners.reserve_at(one, later), BETWEEN);
    }

    #[test]
    fn servers_whose_time_has_passed_are_forgotten() {
        let (manners, now) = (Manners::default(), Instant::now());
        for number in 0..2_000_u16 {
            let [high, low] = number.to_be_bytes();
            manners.reserve_at(IpAddr::from([10, 0, high, low]), now + Duration::from_secs(number.into()));
        }
        assert!(manners.next.lock().unwrap().len() <= MANY);
    }

    fn waits(pace: &Pace, now: Instant, n: usize) -> Vec<u128> {
        (0..n).map(|_| pace.lock().reserve(now, 1.0).as_millis()).collect()
    }

    #[test]
    fn connections_are_spread_evenly_over_the_second() {
        let pace = Pace::new(Some(20.0));
        let now = Instant::now();
        assert_eq!(waits(&pace, now, 4), [0, 50, 100, 150]);
    }

    #[test]
    fn four_handshakes_by_datagrams_take_the_place_of_one_connection() {
        let (pace, now) = (Pace::new(Some(20.0)), Instant::now());
        let waits: Vec<u128> = (0..5).map(|_| pace.lock().reserve(now, DATAGRAMS).as_micros()).collect();
        assert_eq!(waits, [0, 12_500, 25_000, 37_500, 50_000]);
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        assert_eq!(waits(&Pace::new(None), Instant::now(), 3), [0, 0, 0]);
    }

    #[test]
    fn idle_time_is_not_saved_up_for_a_burst() {
        let pace = Pace::new(Some(10.0));
        let later = Instant::now() + Duration::from_mins(1);
        assert_eq!(waits(&pace, later, 3), [0, 100, 200]);
    }

    #[test]
    fn a_hold_stops_even_an_unlimited_pace() {
        let pace = Pace::new(None);
        pace.hold(Duration::from_secs(2));
        let now = Instant::now();
        let waits = waits(&pace, now, 2);
        assert!(waits.iter().all(|&wait| (1_900..=2_000).contains(&wait)), "{waits:?}");
    }

    #[test]
    fn a_new_rate_counts_from_the_next_connection() {
        let pace = Pace::new(Some(10.0));
        let now = Instant::now();
        waits(&pace, now, 1);
        pace.set_rate(Some(5.0));
        assert_eq!(waits(&pace, now, 2), [100, 300]);
    }
}
