//! What is asked when everybody has answered who was asked: experiments on answers that nobody else gives, on pages in
//! the clear, and on what was slow.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use faultline_record::{Failure, Http, Observation, Outcome, Purpose, Step};
use faultline_verdict::goodput::still_comes;

use super::answer::is_answered;
use super::anywhere::host_anywhere;
use super::slow::is_slow;
use super::{Experiment, address};

/// Addresses at which a copy is asked for.
const COPIES: usize = 2;
/// Resolvers that must deny a name before an answer to it is odd.
const DENIALS: usize = 2;
/// The ports of unencrypted and of encrypted HTTP (RFC 9110, 4.2).
const PLAIN_PORT: u16 = 80;

/// The experiments that a hop's observations ask for, comparisons included. A hop of one of many gives the same for the
/// same rows; whoever calls this makes each kind once.
pub fn at_last(observations: &[Observation], hop: u16, innocent: &str) -> Vec<Experiment> {
    let rows = Rows::of(observations, hop);
    let wanted =
        [rows.https_copy(), rows.random_name(), rows.proxy_check(), rows.small_segments(), rows.slow(innocent)];
    let by_name = rows.cut_name().into_iter().flat_map(|(address, own)| {
        let own = || own.clone();
        [
            Some(Experiment::Elsewhere { beside: address, own: own() }),
            Some(Experiment::OtherHellos { address, own: own() }),
            Some(Experiment::OtherForms { address, own: own() }),
            Some(Experiment::Encrypted { address, own: own() }),
            rows.is_cut_by_somebody(address).then(|| Experiment::Locate { address, own: own() }),
        ]
    });
    let others = [
        host_anywhere(&rows.all),
        rows.residual(),
        super::tunnel::residual(observations, hop),
        super::tunnel::looks(observations, hop),
        super::http3::wanted(&rows.main),
    ];
    let later = by_name.flatten().chain(others.into_iter().flatten());
    wanted.into_iter().flatten().chain(rows.no_resolver()).chain(later).collect()
}

/// The rows of a hop.
struct Rows<'a> {
    /// Of the measurement proper.
    main: Vec<&'a Observation>,
    all: Vec<&'a Observation>,
    system: BTreeSet<IpAddr>,
    others: BTreeSet<IpAddr>,
}

impl<'a> Rows<'a> {
    fn of(observations: &'a [Observation], hop: u16) -> Self {
        let mut all: Vec<_> =
            observations.iter().filter(|row| row.hop == hop && row.purpose != Purpose::Helper).collect();
        all.sort_by_key(|row| row.seq);
        let main: Vec<_> = all.iter().copied().filter(|row| row.purpose == Purpose::Main).collect();
        let given = |purpose| -> BTreeSet<IpAddr> {
            let rows = all.iter().filter(|row| row.purpose == purpose);
            rows.filter_map(|row| row.dns()).flat_map(|dns| dns.addresses()).collect()
        };
        let (system, others) = (given(Purpose::Main), given(Purpose::Comparison));
        Self { main, all, system, others }
    }

    /// The request of the measurement proper that says most.
    fn request(&self) -> Option<(&'a Observation, &'a Http)> {
        let sent = |row: &&'a Observation| row.connection.is_some() && row.outcome.not_run().is_none();
        let requests = self.main.iter().copied().filter(sent).filter_map(|row| Some((row, row.http()?)));
        requests.max_by_key(|(_, http)| http.status.is_some())
    }

    fn is_plain(&self) -> bool {
        let is_plain = |http: &Http| http.url.starts_with("http://");
        self.main.iter().find_map(|row| row.http()).is_some_and(is_plain)
    }

    fn is_verified(&self) -> bool {
        self.all.iter().any(|row| {
            matches!(row.purpose, Purpose::Main | Purpose::Comparison) && row.tls().is_some() && row.outcome.is_ok()
        })
    }

    fn only_others(&self) -> impl Iterator<Item = IpAddr> {
        self.others.difference(&self.system).copied()
    }

    /// For an answer in the clear that does not send us to TLS anyway; and where the system's addresses led nowhere
    /// while others gave other ones, to prove those.
    fn https_copy(&self) -> Option<Experiment> {
        if !self.is_plain() {
            return None;
        }
        let answered = self.request().filter(|(row, http)| http.status.is_some() && row.port == Some(PLAIN_PORT));
        let addresses: Vec<IpAddr> = match answered {
            Some((_, http)) if leads_to_tls(http) => return None,
            Some((row, _)) => row.address.into_iter().chain(self.only_others()).take(COPIES).collect(),
            None if self.main.iter().any(|row| row.outcome.failure().is_some()) && self.goes_to_plain_port() => {
                self.only_others().take(COPIES).collect()
            }
            None => return None,
        };
        (!addresses.is_empty()).then_some(Experiment::HttpsCopy { addresses })
    }

    /// Whether nothing was tried at another port than that of plain HTTP.
    fn goes_to_plain_port(&self) -> bool {
        let has_port = self.main.iter().find_map(|row| row.http()).is_some_and(|http| {
            url::Url::parse(&http.url).is_ok_and(|url| url.port_or_known_default() != Some(PLAIN_PORT))
        });
        !has_port
    }

    /// Everybody else says that there is no such name.
    fn random_name(&self) -> Option<Experiment> {
        let denials = self.all.iter().filter(|row| row.purpose == Purpose::Comparison).filter(|row| {
            row.dns().is_some()
                && matches!(row.outcome.failure(), Some(Failure::DnsNxdomainError | Failure::DnsNoAnswer))
        });
        let deniers: BTreeSet<&str> = denials.filter_map(|row| Some(row.dns()?.resolver.as_str())).collect();
        let is_odd = !self.system.is_empty() && self.others.is_empty() && deniers.len() >= DENIALS;
        (is_odd && !self.is_verified()).then_some(Experiment::RandomName)
    }

    /// Only the system's resolver gave an address, in a network where nobody else's is; and something works there.
    fn proxy_check(&self) -> Option<Experiment> {
        let works = |row: &&&Observation| match (row.purpose, row.tls(), row.http()) {
            (Purpose::Main | Purpose::InnocentSni, Some(_), _) => row.outcome.is_ok(),
            (Purpose::Main, None, Some(http)) => self.is_plain() && http.status.is_some(),
            _ => false,
        };
        let row = self.all.iter().find(works)?;
        let at = address(row)?;
        let is_odd = self.system.contains(&at.ip())
            && !self.others.is_empty()
            && !self.others.iter().any(|&other| is_near(other, at.ip()));
        is_odd.then_some(Experiment::ProxyCheck { address: at })
    }

    /// The target's own name was never answered where an innocent one was.
    fn cut_name(&self) -> Option<(SocketAddr, String)> {
        let spoke = |row: &Observation| row.tls().is_some_and(|tls| tls.bytes_received > 0) || row.outcome.is_ok();
        let innocent =
            self.all.iter().find(|row| row.purpose == Purpose::InnocentSni && row.tls().is_some() && spoke(row))?;
        let own = |row: &&&Observation| {
            matches!(row.purpose, Purpose::Main | Purpose::Retry)
                && row.tls().is_some()
                && row.address == innocent.address
        };
        let tries: Vec<&&Observation> = self.all.iter().filter(own).collect();
        let is_silent = tries.len() > 1 && tries.iter().all(|row| row.outcome.failure().is_some() && !spoke(row));
        let name = tries.first().filter(|_| is_silent)?.tls()?.sni.clone()?;
        Some((address(innocent)?, name))
    }

    /// A connection was made and cut off, and since then none is made to that address, whatever the name.
    fn residual(&self) -> Option<Experiment> {
        let is_cut = |row: &&&Observation| {
            let is_last = row.tls().is_some() || (self.is_plain() && row.http().is_some());
            is_last && row.outcome.failure().is_some() && !is_answered(row)
        };
        let at = address(self.main.iter().find(is_cut)?)?;
        let is_innocent = |row: &&&Observation| {
            matches!(row.purpose, Purpose::InnocentSni | Purpose::InnocentHost)
                && row.step() == Step::Tcp
                && address(row) == Some(at)
        };
        let mut innocents = self.all.iter().filter(is_innocent).peekable();
        let is_shut = innocents.peek().is_some() && innocents.all(|row| row.outcome.failure().is_some());
        is_shut.then_some(Experiment::Residual { address: at })
    }

    /// Whether the own name was not met with silence there: only who answers can be found.
    fn is_cut_by_somebody(&self, address: SocketAddr) -> bool {
        let cut = |row: &&&Observation| {
            let failure = row.outcome.failure();
            let answered =
                matches!(failure, Some(Failure::ConnectionReset | Failure::ConnectionAborted | Failure::EofError));
            row.purpose == Purpose::Retry && row.tls().is_some() && row.address == Some(address.ip()) && answered
        };
        self.all.iter().filter(cut).count() > 1
    }

    /// An address was proven that the system did not give: its answer was not the name's. Whose was it?
    fn no_resolver(&self) -> Option<Experiment> {
        let is_proof = |row: &&&Observation| {
            matches!(row.purpose, Purpose::Comparison | Purpose::HttpsCopy | Purpose::AddressCheck)
                && row.tls().is_some()
                && row.outcome.is_ok()
        };
        let proven = self.all.iter().filter(is_proof).filter_map(|row| row.address);
        proven
            .into_iter()
            .find(|address| !self.system.contains(address))
            .map(|address| Experiment::NoResolver { address })
    }

    /// A response began and did not end: its head is short, and what follows is in packets as long as the path's ends allow.
    fn small_segments(&self) -> Option<Experiment> {
        let (row, http) = self.request()?;
        let is_late = row.outcome == Outcome::Failed(Failure::GenericTimeoutError);
        let stalled = http.status.is_some() && is_late && !still_comes(row);
        Some(Experiment::SmallSegments { address: address(row).filter(|_| stalled)? })
    }

    fn slow(&self, innocent: &str) -> Option<Experiment> {
        let (row, http) = self.request()?;
        let beside = |step| self.main.iter().copied().find(|o| o.step() == step && o.connection == row.connection);
        let handshake = beside(Step::Tls);
        let at = address(row).filter(|_| is_slow(beside(Step::Tcp), handshake, row))?;
        match handshake {
            Some(handshake) => {
                let own = handshake.tls()?.sni.clone().filter(|own| own != innocent)?;
                Some(Experiment::SlowName { address: at, own })
            }
            None if http.status.is_some() && at.port() == PLAIN_PORT => Some(Experiment::SlowPlain { address: at }),
            None => None,
        }
    }
}

fn leads_to_tls(http: &Http) -> bool {
    matches!(http.status, Some(301 | 302 | 303 | 307 | 308))
        && http.header("location").is_some_and(|location| location.starts_with("https://"))
}

/// Whether two addresses may be of one operator: /16 of IPv4, /32 of IPv6 (what registries hand to one network).
fn is_near(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets()[..2] == other.octets()[..2],
        (IpAddr::V6(one), IpAddr::V6(other)) => one.segments()[..2] == other.segments()[..2],
        _ => false,
    }
}

/// The address at which TLS is asked for.
pub(crate) fn over_tls(address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, 443)
}

#[cfg(test)]
mod tests {
    use faultline_record::{Engine, StepData, Tls};

    use super::*;
    use crate::follow_up::rows::{self, row};

    const OWN: &str = "203.0.113.9";
    const ELSEWHERE: &str = "198.51.100.7";

    struct Hop(Vec<Observation>);

    impl Hop {
        fn push(mut self, purpose: Purpose, at: Option<&str>, ms: f64, outcome: Outcome, data: StepData) -> Self {
            let seq = u32::try_from(self.0.len()).unwrap() + 1;
            self.0.push(Observation { seq, purpose, t_ms: ms, ..row(at, outcome, data) });
            self
        }

        fn says(self, purpose: Purpose, resolver: &str, said: Result<&str, Failure>) -> Self {
            let data = rows::said((Engine::Udp, resolver), "x.example", said, 1);
            let outcome = said.map_or_else(Outcome::Failed, |_| Outcome::Ok);
            self.push(purpose, None, 1.0, outcome, data)
        }

        fn given(own: &str, others: Result<&str, Failure>) -> Self {
            let start = Self(Vec::new()).says(Purpose::Main, "system", Ok(own));
            start.says(Purpose::Comparison, "one", others).says(Purpose::Comparison, "two", others)
        }

        fn answers(self, ms: f64, outcome: Outcome, status: Option<u16>, location: Option<&str>) -> Self {
            let headers = location.map(|to| ("location".to_owned(), to.to_owned())).into_iter().collect();
            let http = Http { url: "http://x.example/".into(), status, headers, ..Http::default() };
            self.push(Purpose::Main, Some("203.0.113.9:80"), ms, outcome, StepData::Http(http))
        }

        fn verified(self, ms: f64) -> Self {
            let tls = Tls { sni: Some("x.example".into()), ..Tls::default() };
            let http = Http { url: "https://x.example/".into(), status: Some(200), ..Http::default() };
            let at = Some("203.0.113.9:443");
            self.push(Purpose::Main, at, 9.0, Outcome::Ok, StepData::Tls(tls)).push(
                Purpose::Main,
                at,
                ms,
                Outcome::Ok,
                StepData::Http(http),
            )
        }

        fn wants(self) -> Vec<Experiment> {
            at_last(&self.0, 0, "example.com")
        }
    }

    #[test]
    fn a_proven_address_that_the_system_did_not_give_asks_who_answers_there() {
        let asks = Experiment::NoResolver { address: ELSEWHERE.parse().unwrap() };
        let proves = |purpose, address: &str| {
            let tls = Tls { sni: Some("x.example".into()), ..Tls::default() };
            let hop = Hop::given(OWN, Ok(ELSEWHERE));
            hop.push(purpose, Some(address), 9.0, Outcome::Ok, StepData::Tls(tls)).wants()
        };
        assert!(proves(Purpose::Comparison, "198.51.100.7:443").contains(&asks));
        assert!(!proves(Purpose::Comparison, "203.0.113.9:443").contains(&asks), "the system gave it, too");
        assert!(!proves(Purpose::Main, "198.51.100.7:443").contains(&asks));
    }

    fn handshakes(innocent: u64, retry: u64) -> Vec<Experiment> {
        let tls = |name: &str, received| {
            StepData::Tls(Tls { sni: Some(name.into()), bytes_received: received, ..Tls::default() })
        };
        let reset = Outcome::Failed(Failure::ConnectionReset);
        let hop =
            Hop::given(OWN, Ok(OWN)).push(Purpose::Main, Some("203.0.113.9:443"), 9.0, reset, tls("x.example", 0));
        let hop = hop.push(Purpose::InnocentSni, Some("203.0.113.9:443"), 9.0, reset, tls("example.com", innocent));
        hop.push(Purpose::Retry, Some("203.0.113.9:443"), 9.0, reset, tls("x.example", retry)).wants()
    }

    #[test]
    fn a_name_that_is_never_answered_beside_one_that_is_asks_for_other_ways_to_send_it() {
        let asks = Experiment::OtherHellos { address: "203.0.113.9:443".parse().unwrap(), own: "x.example".into() };
        assert!(handshakes(900, 0).contains(&asks));
        assert!(!handshakes(0, 0).contains(&asks), "no name is answered");
        assert!(!handshakes(900, 900).contains(&asks), "it was answered once");
    }

    #[test]
    fn a_healthy_answer_over_tls_asks_for_nothing() {
        assert_eq!(Hop::given(OWN, Ok(OWN)).verified(50.0).wants(), []);
        assert_eq!(Hop::given(OWN, Ok("203.0.3.1")).verified(50.0).wants(), [], "another edge of the same network");
    }

    #[test]
    fn an_answer_in_the_clear_asks_for_a_copy_unless_it_leads_to_tls() {
        let copy = |addresses: &[&str]| Experiment::HttpsCopy {
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        };
        let plain = Hop::given(OWN, Ok(OWN)).answers(9.0, Outcome::Ok, Some(200), None);
        assert_eq!(plain.wants(), [copy(&[OWN])]);
        let to_tls = Hop::given(OWN, Ok(OWN)).answers(9.0, Outcome::Ok, Some(301), Some("https://x.example/"));
        assert_eq!(to_tls.wants(), []);
        let refused = Outcome::Failed(Failure::ConnectionReset);
        assert_eq!(Hop::given(OWN, Ok(OWN)).answers(9.0, refused, None, None).wants(), [], "no other address");
        let elsewhere = Hop::given(OWN, Ok(ELSEWHERE)).answers(9.0, refused, None, None);
        assert_eq!(elsewhere.wants(), [copy(&[ELSEWHERE])]);
    }

    #[test]
    fn an_answer_to_a_name_that_all_others_deny_asks_for_a_random_one() {
        let refused = Outcome::Failed(Failure::ConnectionReset);
        let denied = |failure| Hop::given(OWN, Err(failure)).answers(9.0, refused, None, None).wants();
        assert_eq!(denied(Failure::DnsNxdomainError), [Experiment::RandomName]);
        assert_eq!(denied(Failure::GenericTimeoutError), [], "silence denies nothing");
        assert_eq!(Hop::given(OWN, Err(Failure::DnsNxdomainError)).verified(9.0).wants(), [], "it is genuine");
    }

    #[test]
    fn an_address_that_works_and_is_nobody_elses_asks_whether_it_is_a_proxy() {
        let check = Experiment::ProxyCheck { address: "203.0.113.9:443".parse().unwrap() };
        assert_eq!(Hop::given(OWN, Ok(ELSEWHERE)).verified(9.0).wants(), [check]);
        assert_eq!(Hop::given(OWN, Err(Failure::GenericTimeoutError)).verified(9.0).wants(), []);
    }

    #[test]
    fn what_was_slow_asks_for_its_cause_and_what_was_refused_does_not() {
        let own = "x.example".to_owned();
        let slow = Experiment::SlowName { address: "203.0.113.9:443".parse().unwrap(), own };
        assert_eq!(Hop::given(OWN, Ok(OWN)).verified(4_000.0).wants(), [slow]);
        let plain = Experiment::SlowPlain { address: "203.0.113.9:80".parse().unwrap() };
        let small = Experiment::SmallSegments { address: "203.0.113.9:80".parse().unwrap() };
        let late = Outcome::Failed(Failure::GenericTimeoutError);
        let wants = Hop::given(OWN, Ok(OWN)).answers(15_000.0, late, Some(200), None).wants();
        assert!(wants.contains(&plain) && wants.contains(&small));
        let silent = Hop::given(OWN, Ok(OWN)).answers(15_000.0, late, None, None).wants();
        assert!(!silent.contains(&small), "nothing says that a response began");
        let reset = Outcome::Failed(Failure::ConnectionReset);
        assert!(!Hop::given(OWN, Ok(OWN)).answers(15_000.0, reset, Some(200), None).wants().contains(&plain));
    }
}
