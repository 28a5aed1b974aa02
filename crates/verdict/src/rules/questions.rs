//! Rules on names in dispute: does the resolver lie or somebody on the way to it, is it the name that is not answered, and
//! how far does the rule go?

use std::collections::BTreeSet;
use std::net::IpAddr;

use faultline_record::{DnsAnswer, Engine, Failure, Purpose};

use super::dns::is_about_names;
use super::{Finding, listed, resolver};
use crate::features::{Features, Lookup, is_denial, resolver_names};

/// Failures of one name before it counts as never answered (design, section 5: alternating, at least three rounds).
pub(super) const ROUNDS: usize = 3;
/// Answers of either kind before one is taken for the rule.
const TWICE: usize = 2;
/// NOERROR and NXDOMAIN (RFC 1035, 4.1.1): with other codes some servers leave the OPT record out.
const FULL_REPLIES: [u16; 2] = [0, 3];

/// Fires on what was asked because a name was in dispute.
pub(super) fn fire(features: &Features<'_>, found: &mut Vec<Finding>) {
    let known = Known::of(features);
    found.extend(on_the_way(features, &known));
    found.extend(same_over_tcp(features, &known));
    found.extend(tcp_differential(features));
    found.extend(resolver::of_the_name(features));
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

pub(super) fn with<'f, 'a>(
    features: &'f Features<'a>,
    purpose: Purpose,
) -> impl Iterator<Item = &'f Lookup<'a>> + Clone {
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

pub(super) fn is_answered(lookup: &Lookup<'_>) -> bool {
    lookup.dns.replies > 0
}

fn is_cut(failure: Failure) -> bool {
    matches!(failure, Failure::ConnectionReset | Failure::ConnectionAborted)
}

pub(super) fn ordered(rows: impl Iterator<Item = u32>) -> Vec<u32> {
    rows.collect::<BTreeSet<u32>>().into_iter().collect()
}
