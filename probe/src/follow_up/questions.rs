//! What is asked where resolvers do not agree on a name, or one of them keeps silent: who lies, and where.
//!
//! A name whose address by the system's resolver works asks for nothing, unless another resolver denied it over UDP.

use std::collections::BTreeSet;
use std::net::IpAddr;

use faultline_record::{Dns, Engine, Failure, Observation, Outcome, Purpose, QueryType};

use super::Experiment;
use crate::drive::{SYSTEM, is_bogon};

/// Public resolvers asked over other transports, at most: two questions each.
const RESOLVERS: usize = 2;
/// Addresses held against the name, at most.
const ADDRESSES: usize = 4;

/// Whether the resolvers that were asked over UDP say the same over TCP and TLS.
pub fn other_transports(observations: &[Observation], hop: u16, _innocent: &str) -> Vec<Experiment> {
    let asked = Asked::of(observations, hop);
    let system = asked.is_disputed();
    if !(system || asked.is_denied_elsewhere()) {
        return Vec::new();
    }
    let is_in_doubt = |dns: &&Dns, outcome: Outcome| {
        let is_right = dns.addresses().any(|address| asked.proven.contains(&address));
        if system { !is_right } else { outcome.failure().is_some_and(is_no) }
    };
    let over_udp = asked.comparisons().filter(|(dns, _)| dns.engine == Engine::Udp && dns.query_type == QueryType::A);
    let in_doubt = over_udp.filter(|(dns, outcome)| is_in_doubt(dns, *outcome));
    let resolvers: Vec<String> = in_doubt.map(|(dns, _)| dns.resolver.clone()).take(RESOLVERS).collect();
    let experiment = |name: String| Experiment::OtherTransport { name, system, resolvers };
    asked.name().map(experiment).into_iter().collect()
}

/// Which addresses that resolvers gave were never tried.
pub fn untried_addresses(observations: &[Observation], hop: u16, _innocent: &str) -> Vec<Experiment> {
    let asked = Asked::of(observations, hop);
    if !(asked.is_disputed() || asked.is_denied_elsewhere()) {
        return Vec::new();
    }
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in asked.others().flat_map(|(dns, _)| dns.addresses().chain(dns.late_addresses())) {
        let is_new = !addresses.contains(&address) && !asked.tried.contains(&address) && !is_bogon(address);
        if is_new && addresses.len() < ADDRESSES {
            addresses.push(address);
        }
    }
    (!addresses.is_empty()).then_some(Experiment::AddressCheck { addresses }).into_iter().collect()
}

/// Questions that tell a name that is filtered from a resolver that is broken.
pub fn questions_on_the_name(observations: &[Observation], hop: u16, innocent: &str) -> Vec<Experiment> {
    let asked = Asked::of(observations, hop);
    let Some(name) = asked.name().filter(|name| !is_below(name, innocent)) else { return Vec::new() };
    let in_dispute = asked.is_disputed().then(|| {
        let is_silent = asked.system_failure().is_some_and(is_silence);
        Experiment::NameQuestions { name: name.clone(), is_silent }
    });
    let cut = asked.all.iter().filter(|row| row.purpose == Purpose::OtherTransport).find_map(|row| {
        // A resolver that will not answer closes; a reset is somebody else's, or its own when it is overrun.
        let is_cut = matches!(row.outcome.failure(), Some(Failure::ConnectionReset | Failure::ConnectionAborted));
        row.dns().filter(|dns| is_cut && dns.engine == Engine::Tcp).map(|dns| dns.resolver.clone())
    });
    let cut = cut.map(|resolver| Experiment::TcpQuestions { name, resolver });
    in_dispute.into_iter().chain(cut).collect()
}

/// Whether a name is the other one or below it.
fn is_below(name: &str, other: &str) -> bool {
    name.strip_suffix(other).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// An answer that no name of a site that works gets.
fn is_no(failure: Failure) -> bool {
    matches!(failure, Failure::DnsNxdomainError | Failure::DnsRefusedError | Failure::DnsBogonError)
}

fn is_silence(failure: Failure) -> bool {
    matches!(failure, Failure::GenericTimeoutError | Failure::TimedOut)
}

/// What resolvers said of a hop's name, and what came of it.
struct Asked<'a> {
    all: Vec<&'a Observation>,
    /// Addresses that the system's resolver gave.
    system: BTreeSet<IpAddr>,
    /// Addresses that hold a certificate for the name.
    proven: BTreeSet<IpAddr>,
    /// Addresses that were connected to, or tried to.
    tried: BTreeSet<IpAddr>,
}

impl<'a> Asked<'a> {
    fn of(observations: &'a [Observation], hop: u16) -> Self {
        let own = |row: &&Observation| row.hop == hop && row.purpose != Purpose::Helper;
        let mut all: Vec<_> = observations.iter().filter(own).collect();
        all.sort_by_key(|row| row.seq);
        let given_by_system = |row: &&&Observation| is_by_system(row);
        let system = all.iter().filter(given_by_system).filter_map(|row| row.dns()).flat_map(Dns::addresses).collect();
        let is_proof = |row: &&&Observation| {
            let is_of_target = matches!(
                row.purpose,
                Purpose::Main | Purpose::Comparison | Purpose::HttpsCopy | Purpose::AddressCheck | Purpose::Retry
            );
            is_of_target && row.outcome.is_ok() && (row.tls().is_some() || row.quic().is_some())
        };
        let proven = all.iter().filter(is_proof).filter_map(|row| row.address).collect();
        let was_tried = |row: &&&Observation| row.dns().is_none() && row.outcome.not_run().is_none();
        let tried = all.iter().filter(was_tried).filter_map(|row| row.address).collect();
        Self { all, system, proven, tried }
    }

    /// The name, as the system's resolver was asked for it.
    fn name(&self) -> Option<String> {
        self.all.iter().find(|row| is_by_system(row)).and_then(|row| row.dns()).map(|dns| dns.hostname.clone())
    }

    /// Answers of others than the system's resolver.
    fn others(&self) -> impl Iterator<Item = (&'a Dns, Outcome)> + '_ {
        let is_other = |row: &&&Observation| matches!(row.purpose, Purpose::Comparison | Purpose::OtherTransport);
        let answers = self.all.iter().filter(is_other).filter_map(|row| Some((row.dns()?, row.outcome)));
        answers.filter(|(dns, _)| dns.resolver != SYSTEM)
    }

    fn comparisons(&self) -> impl Iterator<Item = (&'a Dns, Outcome)> + '_ {
        let rows = self.all.iter().filter(|row| row.purpose == Purpose::Comparison);
        rows.filter_map(|row| Some((row.dns()?, row.outcome)))
    }

    /// How the system's resolver failed for addresses of IPv4 the last time it was asked, if it gave no address at all.
    fn system_failure(&self) -> Option<Failure> {
        let is_asked = |row: &&&Observation| is_by_system(row) && row.outcome.not_run().is_none();
        let rows = || self.all.iter().filter(is_asked);
        if rows().any(|row| row.outcome.is_ok()) {
            return None;
        }
        let mut a = rows().filter(|row| row.dns().is_some_and(|dns| dns.query_type == QueryType::A));
        a.next_back().or(rows().next_back()).and_then(|row| row.outcome.failure())
    }

    /// The system's resolver was asked and failed; or the addresses that it gave lead nowhere, and those who should know give
    /// others, or cannot be asked.
    fn is_disputed(&self) -> bool {
        if self.system_failure().is_some() {
            // Where everybody denies a name there is nothing to settle.
            return !self.is_denied_by_all();
        }
        if self.system.is_empty() || self.works() {
            return false;
        }
        // What came over UDP and TCP, somebody on the way can have said to all alike.
        let sure = self.others().filter(|(dns, _)| matches!(dns.engine, Engine::Doh | Engine::Dot));
        let sure: BTreeSet<IpAddr> = sure.flat_map(|(dns, _)| dns.addresses()).collect();
        sure.is_disjoint(&self.system)
    }

    /// Whether all others who answered deny the name, two at least.
    fn is_denied_by_all(&self) -> bool {
        let denies =
            |outcome: Outcome| matches!(outcome.failure(), Some(Failure::DnsNxdomainError | Failure::DnsNoAnswer));
        let is_a = |dns: &Dns| dns.query_type == QueryType::A && dns.replies > 0;
        let answers: Vec<Outcome> =
            self.comparisons().filter(|(dns, _)| is_a(dns)).map(|(_, outcome)| outcome).collect();
        answers.len() > 1 && answers.into_iter().all(denies)
    }

    /// Whether an address of the system's does what was wanted of it. A page in the clear is believed as long as no other
    /// address is proven.
    fn works(&self) -> bool {
        if !self.proven.is_empty() {
            return !self.proven.is_disjoint(&self.system);
        }
        let main = || self.all.iter().filter(|row| row.purpose == Purpose::Main && row.dns().is_none());
        let has_handshake = main().any(|row| row.tls().is_some());
        let answers = |row: &&&Observation| match row.http() {
            Some(http) => http.status.is_some(),
            None => row.outcome.is_ok(),
        };
        !has_handshake && main().any(|row| answers(&row))
    }

    /// Whether a public resolver denied over UDP a name that works.
    fn is_denied_elsewhere(&self) -> bool {
        let denied =
            |(dns, outcome): (&Dns, Outcome)| dns.engine == Engine::Udp && outcome.failure().is_some_and(is_no);
        self.works() && !self.proven.is_empty() && self.comparisons().any(denied)
    }
}

/// Whether a row is a question of the measurement proper to the system's resolver, be it asked again.
fn is_by_system(row: &Observation) -> bool {
    let is_main = matches!(row.purpose, Purpose::Main | Purpose::Retry);
    is_main && row.dns().is_some_and(|dns| dns.engine == Engine::System)
}

#[cfg(test)]
mod tests {
    use faultline_record::{StepData, Tls};

    use super::*;
    use crate::follow_up::rows::{self, row};

    const NAME: &str = "x.example";
    const GIVEN: &str = "104.244.42.1";
    const ELSEWHERE: &str = "151.101.1.6";
    const SILENCE: Failure = Failure::GenericTimeoutError;

    type Said = Result<&'static str, Failure>;

    #[derive(Default)]
    struct Hop(Vec<Observation>);

    impl Hop {
        fn push(mut self, purpose: Purpose, address: Option<&str>, outcome: Outcome, data: StepData) -> Self {
            let at = address.map(|address| format!("{address}:443"));
            let seq = u32::try_from(self.0.len()).unwrap() + 1;
            self.0.push(Observation { seq, purpose, ..row(at.as_deref(), outcome, data) });
            self
        }

        fn says(self, purpose: Purpose, (engine, resolver): (Engine, &str), said: Said) -> Self {
            let data = rows::said((engine, resolver), NAME, said, u16::from(said != Err(SILENCE)));
            self.push(purpose, None, said.map_or_else(Outcome::Failed, |_| Outcome::Ok), data)
        }

        /// The system's resolver, two over UDP and one over HTTPS say so.
        fn given(system: Said, udp: Said, doh: Said) -> Self {
            let start = Self::default().says(Purpose::Main, (Engine::System, "system"), system);
            let start = start.says(Purpose::Comparison, (Engine::Udp, "one"), udp);
            let start = start.says(Purpose::Comparison, (Engine::Udp, "two"), udp);
            start.says(Purpose::Comparison, (Engine::Doh, "three"), doh)
        }

        fn shakes(self, purpose: Purpose, address: &str, outcome: Outcome) -> Self {
            self.push(purpose, Some(address), outcome, StepData::Tls(Tls::default()))
        }

        fn wants(&self, ask: fn(&[Observation], u16, &str) -> Vec<Experiment>) -> Vec<Experiment> {
            ask(&self.0, 0, "example.com")
        }
    }

    fn transports(resolvers: &[&str]) -> Vec<Experiment> {
        let resolvers = resolvers.iter().map(|&name| name.to_owned()).collect();
        vec![Experiment::OtherTransport { name: NAME.into(), system: true, resolvers }]
    }

    #[test]
    fn a_name_that_works_asks_for_nothing_whatever_the_others_gave() {
        let hop = Hop::given(Ok(GIVEN), Ok(ELSEWHERE), Ok(ELSEWHERE)).shakes(Purpose::Main, GIVEN, Outcome::Ok);
        for ask in [other_transports, untried_addresses, questions_on_the_name] {
            assert_eq!(hop.wants(ask), []);
        }
        let silent = Hop::given(Ok(GIVEN), Err(SILENCE), Err(SILENCE)).shakes(Purpose::Main, GIVEN, Outcome::Ok);
        assert_eq!(silent.wants(other_transports), []);
    }

    #[test]
    fn a_name_that_everybody_denies_asks_for_nothing_and_one_that_only_the_system_denies_does() {
        let no = Err(Failure::DnsNxdomainError);
        assert_eq!(Hop::given(no, no, no).wants(other_transports), []);
        let disputed = Hop::given(no, Ok(GIVEN), Ok(GIVEN));
        assert_eq!(disputed.wants(other_transports), transports(&["one", "two"]));
        let proven = disputed.shakes(Purpose::Comparison, GIVEN, Outcome::Ok);
        assert_eq!(proven.wants(other_transports), transports(&[]), "what the others said is right");
        let asks = Experiment::NameQuestions { name: NAME.into(), is_silent: false };
        assert_eq!(proven.wants(questions_on_the_name), [asks]);
    }

    #[test]
    fn silence_asks_for_rounds_and_not_where_the_name_is_the_unrelated_one() {
        let hop = Hop::given(Err(SILENCE), Ok(GIVEN), Ok(GIVEN));
        let asks = Experiment::NameQuestions { name: NAME.into(), is_silent: true };
        assert_eq!(hop.wants(questions_on_the_name), [asks]);
        assert_eq!(questions_on_the_name(&hop.0, 0, "x.example"), []);
        assert_eq!(questions_on_the_name(&hop.0, 0, "example"), [], "it is below it");
    }

    #[test]
    fn an_address_that_fails_is_in_doubt_unless_somebody_sure_gave_it_too() {
        let failed = |hop: Hop| hop.shakes(Purpose::Main, GIVEN, Outcome::Failed(SILENCE));
        assert_eq!(failed(Hop::given(Ok(GIVEN), Ok(GIVEN), Ok(GIVEN))).wants(other_transports), []);
        let injected = failed(Hop::given(Ok(GIVEN), Ok(GIVEN), Err(SILENCE)));
        assert_eq!(injected.wants(other_transports), transports(&["one", "two"]), "over UDP all can be told the same");
    }

    #[test]
    fn addresses_that_nobody_tried_are_checked_and_those_that_cannot_be_public_are_not() {
        let tried = Hop::given(Err(Failure::DnsNxdomainError), Ok("10.0.0.1"), Ok(GIVEN)).shakes(
            Purpose::Comparison,
            GIVEN,
            Outcome::Ok,
        );
        assert_eq!(tried.wants(untried_addresses), []);
        let more = tried.says(Purpose::OtherTransport, (Engine::Dot, "one"), Ok(ELSEWHERE));
        let addresses = vec![ELSEWHERE.parse().unwrap()];
        assert_eq!(more.wants(untried_addresses), [Experiment::AddressCheck { addresses }]);
    }

    #[test]
    fn a_public_resolver_that_denies_a_name_that_works_is_asked_otherwise_alone() {
        let hop = Hop::given(Ok(GIVEN), Err(Failure::DnsNxdomainError), Ok(GIVEN));
        let hop = hop.shakes(Purpose::Main, GIVEN, Outcome::Ok);
        let resolvers = vec!["one".to_owned(), "two".to_owned()];
        let asks = Experiment::OtherTransport { name: NAME.into(), system: false, resolvers };
        assert_eq!(hop.wants(other_transports), [asks]);
        assert_eq!(hop.wants(questions_on_the_name), [], "the system's resolver is not in doubt");
    }

    #[test]
    fn a_question_over_tcp_that_is_reset_asks_for_turns_and_one_that_is_closed_does_not() {
        let cut = |failure| {
            let hop = Hop::given(Ok(GIVEN), Ok(GIVEN), Ok(GIVEN)).shakes(Purpose::Main, GIVEN, Outcome::Ok);
            hop.says(Purpose::OtherTransport, (Engine::Tcp, "one"), Err(failure)).wants(questions_on_the_name)
        };
        let asks = Experiment::TcpQuestions { name: NAME.into(), resolver: "one".into() };
        assert_eq!(cut(Failure::ConnectionReset), [asks]);
        assert_eq!(cut(Failure::EofError), []);
    }
}
