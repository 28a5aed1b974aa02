//! Rules on names in dispute: does the resolver lie or somebody on the way to it, is it the name that is not answered, and
//! how far does the rule go?

use std::collections::BTreeSet;
use std::net::IpAddr;

use faultline_record::{DnsAnswer, Engine, Failure, Purpose, QueryType};

use super::dns::{is_about_names, mechanism_of};
use super::{Finding, listed};
use crate::features::{Features, Lookup, is_denial, resolver_names};

/// Failures of one name before it counts as never answered (design, section 5: alternating, at least three rounds).
const ROUNDS: usize = 3;
/// Answers of either kind before one is taken for the rule.
const TWICE: usize = 2;
/// A failure that came later than this was searched for, milliseconds: longer than a datagram that is lost and sent again (one
/// second), shorter than the patience of resolvers with authorities (RFC 9520, section 3.1: seconds). Set by hand.
const SEARCHED_MS: f64 = 2_000.0;
/// NOERROR and NXDOMAIN (RFC 1035, 4.1.1): with other codes some servers leave the OPT record out.
const FULL_REPLIES: [u16; 2] = [0, 3];

/// Fires on what was asked because a name was in dispute.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    let known = Known::of(features);
    found.extend(on_the_way(features, &known));
    found.extend(same_over_tcp(features, &known));
    found.extend(tcp_differential(features));
    found.extend(of_the_name(features));
    found.extend(made_otherwise(features));
    found.extend(covers(features, &known));
}

/// What certificates have shown of addresses.
struct Known {
    proven: BTreeSet<IpAddr>,
    /// A certificate of somebody else's was shown there, or of nobody's.
    disproved: BTreeSet<IpAddr>,
}

impl Known {
    fn of(features: &Features<'_>) -> Self {
        use Purpose::{AddressCheck, Comparison, HttpsCopy, Main};
        let proven = features.proven();
        let is_own = |purpose| matches!(purpose, Main | Comparison | HttpsCopy | AddressCheck);
        let wrong =
            features.connections.iter().filter(|c| is_own(c.purpose) && !features.measurement.target.private_ca);
        let wrong = wrong.filter(|c| c.tls_failure().is_some_and(is_about_names)).map(|c| c.address);
        Self { disproved: wrong.filter(|address| !proven.contains(address)).collect(), proven }
    }

    fn is_true(&self, lookup: &Lookup<'_>) -> bool {
        lookup.dns.addresses().any(|address| self.proven.contains(&address))
    }

    /// A denial of a name whose address is proven, an address that cannot be public, or one that is somebody else's.
    fn is_false(&self, lookup: &Lookup<'_>) -> bool {
        let given: BTreeSet<IpAddr> = lookup.dns.addresses().collect();
        let said = lookup.row.outcome.failure().is_some_and(|failure| {
            (is_denial(failure) && !self.proven.is_empty()) || failure == Failure::DnsBogonError
        });
        said || (!given.is_empty() && given.is_subset(&self.disproved))
    }

    /// The addresses in a false answer.
    fn falsehoods(&self, lookups: &[Lookup<'_>]) -> BTreeSet<IpAddr> {
        lookups.iter().filter(|lookup| self.is_false(lookup)).flat_map(|lookup| lookup.dns.addresses()).collect()
    }
}

/// What a resolver said, in words.
fn said(lookup: &Lookup<'_>) -> String {
    match lookup.row.outcome.failure() {
        Some(failure) if lookup.dns.addresses().next().is_none() => failure.to_string(),
        _ => listed(lookup.dns.addresses()),
    }
}

fn with<'f, 'a>(features: &'f Features<'a>, purpose: Purpose) -> impl Iterator<Item = &'f Lookup<'a>> + Clone {
    features.further.iter().filter(move |lookup| lookup.row.purpose == purpose)
}

/// The same resolver, asked over a stream for what it was asked over UDP.
fn over_streams<'f, 'a>(features: &'f Features<'a>, of: &'f Lookup<'a>) -> impl Iterator<Item = &'f Lookup<'a>> {
    let is_same = move |lookup: &&'f Lookup<'a>| {
        (&lookup.dns.resolver, lookup.dns.query_type) == (&of.dns.resolver, of.dns.query_type)
    };
    let by_stream =
        with(features, Purpose::OtherTransport).filter(|lookup| matches!(lookup.dns.engine, Engine::Tcp | Engine::Dot));
    by_stream.filter(is_same)
}

/// A resolver says over UDP what is false, and over TCP or TLS what is true: it is not the resolver that lies.
fn on_the_way(features: &Features<'_>, known: &Known) -> Option<Finding> {
    // In the same moment as over the stream: answers change with time, and servers that fail are taken out of them.
    let over_udp = with(features, Purpose::OtherTransport)
        .filter(|lookup| matches!(lookup.dns.engine, Engine::Udp | Engine::System));
    let is_contradicted = |one: &&Lookup<'_>| over_streams(features, one).any(|lookup| known.is_true(lookup));
    let contradicted: Vec<&Lookup<'_>> = over_udp.filter(is_contradicted).collect();
    let is_lie = |lookup: &&Lookup<'_>| known.is_false(lookup) || is_shared(lookup, &contradicted, known);
    let lied_to: Vec<&Lookup<'_>> = contradicted.iter().copied().filter(is_lie).collect();
    let first = lied_to.first()?;
    let right: Vec<&Lookup<'_>> =
        lied_to.iter().flat_map(|lookup| over_streams(features, lookup)).filter(|one| known.is_true(one)).collect();
    let addresses: BTreeSet<IpAddr> =
        right.iter().flat_map(|lookup| lookup.dns.addresses()).filter(|a| known.proven.contains(a)).collect();
    let fields: &[(&str, &dyn std::fmt::Display)] = &[
        ("host", &features.host),
        ("resolvers", &resolver_names(&lied_to)),
        ("said", &said(first)),
        ("others", &resolver_names(&right)),
        ("addresses", &listed(&addresses)),
    ];
    let rows = lied_to.iter().chain(&right).map(|lookup| lookup.row.seq);
    Some(Finding::new("dns.lie_on_the_way", ordered(rows), fields).pointing_at("dns.injection"))
}

/// Whether several resolvers gave the same unproven addresses over UDP, and proven ones when asked otherwise: content networks
/// give many addresses, but not one to all over UDP and another to all over TCP.
fn is_shared(lookup: &Lookup<'_>, contradicted: &[&Lookup<'_>], known: &Known) -> bool {
    let given: BTreeSet<IpAddr> = lookup.dns.addresses().collect();
    let same = contradicted.iter().filter(|other| other.dns.addresses().any(|address| given.contains(&address)));
    let resolvers: BTreeSet<&str> = same.map(|other| other.dns.resolver.as_str()).collect();
    given.is_disjoint(&known.proven) && resolvers.len() >= TWICE
}

/// The system's resolver says over TCP the very falsehood that it says over UDP.
fn same_over_tcp(features: &Features<'_>, known: &Known) -> Option<Finding> {
    let is_same = |one: &Lookup<'_>, other: &Lookup<'_>| {
        let (given, again): (BTreeSet<IpAddr>, BTreeSet<IpAddr>) =
            (one.dns.addresses().collect(), other.dns.addresses().collect());
        one.row.outcome == other.row.outcome && (given.is_empty() == again.is_empty()) && given.is_subset(&again)
    };
    let mut own = features.system.iter().filter(|lookup| known.is_false(lookup));
    let (first, again) =
        own.find_map(|lookup| Some((lookup, over_streams(features, lookup).find(|other| is_same(lookup, other))?)))?;
    let fields: &[(&str, &dyn std::fmt::Display)] = &[("host", &features.host), ("said", &said(first))];
    Some(Finding::new("dns.same_over_tcp", vec![first.row.seq, again.row.seq], fields))
}

/// Questions over TCP are cut off for the name, and answered for another.
fn tcp_differential(features: &Features<'_>) -> Option<Finding> {
    let over_tcp = |purpose| with(features, purpose).filter(|lookup| lookup.dns.engine == Engine::Tcp);
    let innocent = over_tcp(Purpose::InnocentName).next()?;
    let same = |lookup: &&Lookup<'_>| lookup.dns.resolver == innocent.dns.resolver;
    let own: Vec<&Lookup<'_>> = over_tcp(Purpose::OtherTransport).filter(same).collect();
    let others: Vec<&Lookup<'_>> = over_tcp(Purpose::InnocentName).filter(same).collect();
    let cut = own.iter().filter(|lookup| lookup.row.outcome.failure().is_some_and(is_cut)).count();
    let answered = others.iter().filter(|lookup| is_answered(lookup)).count();
    if cut < ROUNDS || own.iter().any(|lookup| is_answered(lookup)) || answered < TWICE {
        return None;
    }
    let fields: &[(&str, &dyn std::fmt::Display)] = &[
        ("host", &features.host),
        ("resolver", &resolver_names(&own)),
        ("cut", &cut),
        ("tries", &own.len()),
        ("answered", &answered),
        ("rounds", &others.len()),
    ];
    let rows = own.iter().chain(&others).map(|lookup| lookup.row.seq);
    Some(Finding::new("dns.tcp_name_differential", ordered(rows), fields).pointing_at("dns.reset"))
}

/// Is it the name or the resolver that is not answered? From the system's resolver, asked for both in turns.
fn of_the_name(features: &Features<'_>) -> Option<Finding> {
    let turns = Turns::of(features);
    let failure = features.system.iter().find_map(|lookup| lookup.row.outcome.failure())?;
    if turns.own.is_empty() || features.system.iter().any(|lookup| lookup.row.outcome.is_ok()) {
        return None;
    }
    if explanation(features).is_some() {
        // Said of the failure itself.
        return None;
    }
    if !is_met_with_silence(features) {
        let works = !is_word(failure) && turns.answered() == turns.innocent.len();
        return works.then(|| turns.finding("dns.innocent_name_resolves", features, failure));
    }
    let is_never_answered = turns.own.len() >= ROUNDS && turns.own.iter().all(|lookup| !is_answered(lookup));
    let is_settled =
        is_never_answered && turns.answered() == turns.innocent.len() && without_recursion(features) == Some(true);
    let id = if is_settled { "dns.name_silenced" } else { "dns.innocent_name_resolves" };
    let finding = turns.finding(id, features, failure);
    Some(if is_settled { finding.pointing_at(mechanism_of(Failure::GenericTimeoutError)) } else { finding })
}

/// What the system's resolver was asked in turns.
struct Turns<'f, 'a> {
    own: Vec<&'f Lookup<'a>>,
    innocent: Vec<&'f Lookup<'a>>,
}

impl<'f, 'a> Turns<'f, 'a> {
    fn of(features: &'f Features<'a>) -> Self {
        let by_system =
            |purpose| with(features, purpose).filter(|lookup| lookup.dns.engine == Engine::System).collect();
        Self { own: by_system(Purpose::ChangedCase), innocent: by_system(Purpose::InnocentName) }
    }

    /// How often the unrelated name was answered.
    fn answered(&self) -> usize {
        self.innocent.iter().filter(|lookup| is_answered(lookup)).count()
    }

    fn finding(&self, id: &str, features: &Features<'_>, failure: Failure) -> Finding {
        let failed = self.own.iter().filter(|lookup| !is_answered(lookup)).count();
        let fields: &[(&str, &dyn std::fmt::Display)] = &[
            ("host", &features.host),
            ("failure", &failure),
            ("failed", &failed),
            ("tries", &self.own.len()),
            ("answered", &self.answered()),
            ("rounds", &self.innocent.len()),
        ];
        Finding::new(id, ordered(self.own.iter().chain(&self.innocent).map(|lookup| lookup.row.seq)), fields)
    }
}

/// What explains that the system's resolver failed for a name, other than that somebody wants it to; rules of [`super::dns`].
pub(super) const EXPLANATIONS: [&str; 3] = ["dns.transient", "dns.searched_in_vain", "dns.innocent_name_fails_too"];

/// The explanation, if there is one.
pub(super) fn explanation(features: &Features<'_>) -> Option<&'static str> {
    let turns = Turns::of(features);
    let is_silent = is_met_with_silence(features);
    let explains = [
        is_silent && turns.own.iter().any(|lookup| lookup.row.outcome.is_ok()),
        searches_in_vain(features, &turns, is_silent),
        is_silent && !turns.innocent.is_empty() && turns.answered() == 0,
    ];
    EXPLANATIONS.into_iter().zip(explains).find_map(|(id, explains)| explains.then_some(id))
}

/// Whether the system's resolver never answered for an address of IPv4 (of any family, if that was not asked for).
fn is_met_with_silence(features: &Features<'_>) -> bool {
    let is_a = |lookup: &&Lookup<'_>| lookup.dns.query_type == QueryType::A;
    let mut of_a = features.system.iter().filter(is_a).peekable();
    let is_never_ok = features.system.iter().all(|lookup| !lookup.row.outcome.is_ok());
    is_never_ok && if of_a.peek().is_some() { of_a.all(is_silent) } else { features.system.iter().all(is_silent) }
}

/// Whether the system's resolver seems to wait for authorities that do not answer: it is silent, but not where it has nothing
/// to search for, or gives up in the end; or it fails, and the first time took long over it. Who is told to be silent, or to
/// fail, is so at once and stays so.
fn searches_in_vain(features: &Features<'_>, turns: &Turns<'_, '_>, is_met_with_silence: bool) -> bool {
    let failed = |lookup: &Lookup<'_>| lookup.row.outcome.failure() == Some(Failure::DnsServfailError);
    if !is_met_with_silence {
        return features.system.iter().any(failed) && features.first_took(|ms| ms >= SEARCHED_MS);
    }
    let by_system = features.further.iter().filter(|lookup| lookup.is_by_system());
    let gives_up = by_system.filter(|lookup| is_own(features, lookup)).any(failed);
    let stays_silent = !turns.own.is_empty() && turns.own.iter().all(|lookup| is_silent(lookup));
    gives_up || (stays_silent && without_recursion(features) == Some(false))
}

/// Whether the name is met with silence also by a resolver that has nothing to search for. `None` where it answers nobody that
/// way, or was not asked.
fn without_recursion(features: &Features<'_>) -> Option<bool> {
    let (own, control): (Vec<&Lookup<'_>>, Vec<&Lookup<'_>>) =
        with(features, Purpose::NoRecursion).partition(|lookup| is_own(features, lookup));
    let is_fit = !own.is_empty() && !control.is_empty() && control.iter().all(|lookup| is_answered(lookup));
    is_fit.then(|| own.iter().all(|lookup| !is_answered(lookup)))
}

fn is_silent(lookup: &Lookup<'_>) -> bool {
    lookup.row.outcome.failure().is_some_and(is_silence)
}

/// Whether a question is for the target's name, however it is spelled.
fn is_own(features: &Features<'_>, lookup: &Lookup<'_>) -> bool {
    lookup.dns.hostname.eq_ignore_ascii_case(&features.host)
}

/// What is to be seen of a reply's making.
type Sign = fn(&DnsAnswer) -> Option<bool>;

/// Replies for the name are not made as the same resolver makes its others: another hand wrote them.
fn made_otherwise(features: &Features<'_>) -> Option<Finding> {
    let signs: [(&str, Sign); 2] =
        [("dns.case_not_kept", |answer| answer.case_kept), ("dns.opt_missing", |answer| answer.opt)];
    signs.into_iter().find_map(|(id, sign)| {
        let (own, others) = (shown(features, Purpose::ChangedCase, sign), shown(features, Purpose::InnocentName, sign));
        let lacks = own.len() >= TWICE && own.iter().all(|&(_, has)| !has);
        let has = others.len() >= TWICE && others.iter().all(|&(_, has)| has);
        let fields: &[(&str, &dyn std::fmt::Display)] =
            &[("host", &features.host), ("tries", &own.len()), ("rounds", &others.len())];
        let rows = ordered(own.iter().chain(&others).map(|&(row, _)| row));
        (lacks && has).then(|| Finding::new(id, rows, fields).pointing_at("dns.injection"))
    })
}

/// The rows of the system's resolver for a purpose whose first reply is a full one, and whether it has the sign.
fn shown(features: &Features<'_>, purpose: Purpose, sign: Sign) -> Vec<(u32, bool)> {
    let by_system = with(features, purpose).filter(|lookup| lookup.dns.engine == Engine::System);
    let of = |lookup: &Lookup<'_>| {
        let is_full = |answer: &&DnsAnswer| answer.rcode.is_some_and(|code| FULL_REPLIES.contains(&code));
        let first = lookup.dns.answers.iter().find(|answer| answer.reply == 0).filter(is_full)?;
        Some((lookup.row.seq, sign(first)?))
    };
    by_system.filter_map(of).collect()
}

/// The same falsehood for a name below that cannot exist, or for the name above.
fn covers(features: &Features<'_>, known: &Known) -> Vec<Finding> {
    let falsehoods = known.falsehoods(&features.system);
    let denies = |lookup: &Lookup<'_>| lookup.row.outcome.failure() == Some(Failure::DnsNxdomainError);
    // Nothing is below a name that does not exist (RFC 8020), and the name is proven.
    let is_denied = !known.proven.is_empty() && features.system.iter().any(denies);
    let of = |purpose: Purpose, id: &str| {
        let is_covered = |lookup: &&Lookup<'_>| {
            lookup.dns.addresses().any(|address| falsehoods.contains(&address))
                || (purpose == Purpose::ParentName && is_denied && denies(lookup))
        };
        let lookup = with(features, purpose).find(is_covered)?;
        let fields: &[(&str, &dyn std::fmt::Display)] =
            &[("host", &features.host), ("other", &lookup.dns.hostname), ("said", &said(lookup))];
        Some(Finding::new(id, vec![lookup.row.seq], fields))
    };
    let below = of(Purpose::Subdomain, "dns.rule_covers_subdomains");
    below.into_iter().chain(of(Purpose::ParentName, "dns.rule_covers_parent")).collect()
}

fn is_answered(lookup: &Lookup<'_>) -> bool {
    lookup.dns.replies > 0
}

fn is_silence(failure: Failure) -> bool {
    matches!(failure, Failure::GenericTimeoutError | Failure::TimedOut)
}

/// A resolver that says such a thing is none that is broken.
fn is_word(failure: Failure) -> bool {
    matches!(failure, Failure::DnsNxdomainError | Failure::DnsNoAnswer | Failure::DnsBogonError)
}

fn is_cut(failure: Failure) -> bool {
    matches!(failure, Failure::ConnectionReset | Failure::ConnectionAborted)
}

fn ordered(rows: impl Iterator<Item = u32>) -> Vec<u32> {
    rows.collect::<BTreeSet<u32>>().into_iter().collect()
}
