//! Tests of services (`WhatsApp`, Telegram, Signal, Facebook Messenger, Riseup VPN): one part for each endpoint that they went to, so that
//! each gets a verdict of its own.
//!
//! Their engine told neither which connection a request used nor which name an address was dialled for. What it did tell is put
//! together again: a handshake names both its address and its host; a dial without one is given to a name whose answer holds its
//! address, the foremost answer and the latest question first. Address, port and outcome of each row are as they were told.

use std::net::IpAddr;

use url::Url;

use crate::model::{Availability, Endpoint, HealthSignal, Purpose};

use super::envelope::Envelope;
use super::flow::{Dial, Flow, Query};
use super::json::Json;
use super::oddities::Oddities;
use super::part::{Part, answered, arrange};
use super::rows::{Again, Rows};

/// What is known of a service's endpoints: test, host, role. A host that begins with a dot stands for names below it.
const ROLES: &[(&str, &str, &str)] = &[
    ("facebook_messenger", "b-api.facebook.com", "messenger/b-api"),
    ("facebook_messenger", "b-graph.facebook.com", "messenger/b-graph"),
    ("facebook_messenger", "edge-mqtt.facebook.com", "messenger/chat"),
    ("facebook_messenger", "external.xx.fbcdn.net", "messenger/external"),
    ("facebook_messenger", "scontent.xx.fbcdn.net", "messenger/scontent"),
    ("facebook_messenger", "star.c10r.facebook.com", "messenger/star"),
    ("signal", "api.directory.signal.org", "signal/contacts"),
    ("signal", "cdsi.signal.org", "signal/contacts"),
    ("signal", "chat.signal.org", "signal/chat"),
    ("signal", "textsecure-service.whispersystems.org", "signal/chat"),
    ("signal", "storage.signal.org", "signal/storage"),
    ("signal", "sfu.voip.signal.org", "signal/calls"),
    ("signal", "cdn.signal.org", "signal/cdn"),
    ("signal", "cdn2.signal.org", "signal/cdn2"),
    ("telegram", "web.telegram.org", "telegram/web"),
    ("whatsapp", "web.whatsapp.com", "whatsapp/web"),
    ("whatsapp", "v.whatsapp.net", "whatsapp/registration"),
];

/// Telegram's data centres, whose numbers are part of the stable names.
const CENTRES: &[(&str, u8)] = &[
    ("149.154.175.50", 1),
    ("149.154.167.51", 2),
    ("149.154.175.100", 3),
    ("149.154.167.91", 4),
    ("149.154.171.5", 5),
];

/// The port of names that were asked for and never dialled.
const PORT: u16 = 443;

/// One endpoint that was gone to.
struct Group {
    host: String,
    port: u16,
    url: Option<Url>,
    flow: Flow,
}

/// The parts of a service's measurement, and what answered in it.
pub(super) fn parts(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> (Vec<Part>, Vec<HealthSignal>) {
    let flow = Flow::read(keys, odd);
    let signals = answered(&flow, None);
    let mut parts: Vec<Part> = groups(&flow).iter().filter_map(|group| part(envelope, group)).collect();
    if parts.is_empty() {
        parts.extend(Part::foreign(&envelope.test, "", Rows::default()));
    }
    (parts, signals)
}

/// Sorts a flow's steps by endpoint.
fn groups(flow: &Flow) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for fetch in flow.fetches.iter().cloned() {
        let (host, port) = place_of(&fetch.url);
        let url = fetch.url.clone();
        let known = groups.iter().position(|group| group.of_url(&url));
        let place = known.unwrap_or_else(|| {
            groups.push(Group { host, port, url: Some(url), flow: Flow::default() });
            groups.len() - 1
        });
        groups[place].flow.fetches.push(fetch);
    }
    assign_dials(flow, &mut groups);
    for shake in flow.shakes.iter().cloned() {
        let fits = |group: &&mut Group| {
            shake.tls.sni.as_deref().is_none_or(|sni| sni == group.host)
                && shake.to.is_none_or(|to| group.flow.dials.iter().any(|dial| dial.to == to))
        };
        if let Some(group) = groups.iter_mut().find(fits) {
            group.flow.shakes.push(shake);
            continue;
        }
        let port = shake.to.map_or(PORT, |to| to.port());
        let host = shake.tls.sni.clone().or_else(|| shake.to.map(|to| to.ip().to_string())).unwrap_or_default();
        groups.push(Group { host, port, url: None, flow: Flow { shakes: vec![shake], ..Flow::default() } });
    }
    assign_queries(&flow.queries, &mut groups);
    groups
}

/// Gives each dial to one endpoint.
fn assign_dials(flow: &Flow, groups: &mut Vec<Group>) {
    let mut used = vec![false; flow.queries.len()];
    let mut dials: Vec<&Dial> = flow.dials.iter().collect();
    dials.sort_by(|a, b| a.mark.t_ms.total_cmp(&b.mark.t_ms));
    let mut shaken = vec![false; flow.shakes.len()];
    for dial in dials {
        let by_shake = flow.shakes.iter().enumerate().find(|(place, shake)| {
            !shaken[*place]
                && shake.to == Some(dial.to)
                && dial.mark.failed.is_none()
                && shake.mark.t_ms >= dial.mark.t_ms
        });
        let host = match by_shake {
            Some((place, shake)) => {
                shaken[place] = true;
                shake.tls.sni.clone()
            }
            None => None,
        };
        let host =
            host.or_else(|| best_query(flow, dial, groups, &mut used)).unwrap_or_else(|| dial.to.ip().to_string());
        let port = dial.to.port();
        let place = groups.iter().position(|group| group.host == host && group.port == port).unwrap_or_else(|| {
            groups.push(Group { host, port, url: None, flow: Flow::default() });
            groups.len() - 1
        });
        groups[place].flow.dials.push(dial.clone());
    }
}

/// The name that an address was most likely dialled for.
fn best_query(flow: &Flow, dial: &Dial, groups: &[Group], used: &mut [bool]) -> Option<String> {
    let ip = dial.to.ip();
    // Only what was requested in the clear, or not at all, is dialled without a handshake.
    let is_open = |host: &str| {
        let mut of_host = groups.iter().filter(|group| group.host == host && group.url.is_some()).peekable();
        of_host.peek().is_none() || of_host.any(|group| group.port == dial.to.port())
    };
    let rank = |query: &Query| query.addresses().position(|given| given == ip);
    let candidates = flow.queries.iter().enumerate().filter(|(place, query)| {
        !used[*place] && query.mark.t0_ms <= dial.mark.t_ms && rank(query).is_some() && is_open(&query.host)
    });
    let was_reached = |query: &Query| {
        let of = |group: &&Group| group.host == query.host && group.port == dial.to.port();
        groups.iter().filter(of).any(|group| group.flow.dials.iter().any(|dial| dial.mark.failed.is_none()))
    };
    let best = candidates.min_by(|(_, a), (_, b)| {
        let first = (was_reached(a), rank(a)).cmp(&(was_reached(b), rank(b)));
        first.then_with(|| b.mark.t_ms.total_cmp(&a.mark.t_ms))
    });
    let (place, query) = best?;
    if dial.mark.failed.is_none() {
        used[place] = true;
    }
    Some(query.host.clone())
}

/// Gives each question to every endpoint of its name; a name without any becomes one.
fn assign_queries(queries: &[Query], groups: &mut Vec<Group>) {
    for query in queries {
        let mut is_placed = false;
        for group in groups.iter_mut().filter(|group| group.host == query.host) {
            if !group.flow.queries.iter().any(|known| says_the_same(known, query)) {
                group.flow.queries.push(query.clone());
            }
            is_placed = true;
        }
        if !is_placed {
            let flow = Flow { queries: vec![query.clone()], ..Flow::default() };
            groups.push(Group { host: query.host.clone(), port: PORT, url: None, flow });
        }
    }
}

/// Whether two answers are alike: the engine asked once for each connection.
fn says_the_same(one: &Query, other: &Query) -> bool {
    let sorted = |query: &Query| {
        let mut all: Vec<IpAddr> = query.addresses().collect();
        all.sort_unstable();
        all
    };
    (one.kind, one.engine, one.mark.failed.as_ref().map(|f| f.failure))
        == (other.kind, other.engine, other.mark.failed.as_ref().map(|f| f.failure))
        && sorted(one) == sorted(other)
}

fn place_of(url: &Url) -> (String, u16) {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    (host, url.port_or_known_default().unwrap_or(PORT))
}

impl Group {
    fn of_url(&self, url: &Url) -> bool {
        let (host, port) = place_of(url);
        self.url.is_some() && self.host == host && self.port == port
    }

    /// Whether nothing but questions is known of it, and they were answered: nobody went there.
    fn is_name_only(&self) -> bool {
        self.flow.dials.is_empty() && self.flow.shakes.is_empty() && self.flow.fetches.is_empty()
    }
}

fn part(envelope: &Envelope, group: &Group) -> Option<Part> {
    let test = envelope.test.as_str();
    let role =
        ROLES.iter().find(|(of, host, _)| *of == test && *host == group.host).map(|(_, _, role)| (*role).to_owned());
    let pool = role.is_none().then(|| pool(test, group)).flatten();
    let mut rows = Rows::default();
    if group.is_name_only() && role.is_none() && pool.is_none() {
        group.flow.queries.iter().for_each(|query| rows.query(0, Purpose::Main, query));
        return Part::foreign(test, &group.host, rows);
    }
    let endpoint = endpoint(test, group)?;
    let url = if let Endpoint::Web(url) = &endpoint { Some(url) } else { group.url.as_ref() };
    arrange(&group.flow, url, Again::Connections, &mut rows);
    let input = endpoint.to_string();
    let mut part = Part::new(endpoint, &input, rows);
    part.target.private_ca = test == "signal";
    if role.is_some() {
        // Each stands alone; of a pool, one that is down goes unnoticed.
        part.target.availability = Availability::High;
    }
    let is_plain = group.url.as_ref().is_some_and(|url| url.scheme() == "http");
    let role = role.map(|role| if is_plain { format!("{role}-{}", group.port) } else { role });
    if let Some(name) = role.or(pool) {
        part.target.name = name;
    }
    Some(part)
}

/// The name of one of several endpoints that stand in for each other.
fn pool(test: &str, group: &Group) -> Option<String> {
    match test {
        "whatsapp" => {
            let number = group.host.strip_prefix('e')?.strip_suffix(".whatsapp.net")?.parse::<u8>().ok()?;
            Some(format!("whatsapp/chat-{number}-{}", group.port))
        }
        "telegram" => {
            let number = CENTRES.iter().find(|(address, _)| *address == group.host).map(|(_, number)| *number);
            let is_address = group.host.parse::<IpAddr>().is_ok();
            match number {
                Some(number) => Some(format!("telegram/dc-{number}-{}", group.port)),
                None => is_address.then(|| format!("telegram/{}:{}", group.host, group.port)),
            }
        }
        _ => None,
    }
}

/// What was gone to. Where any answer at all is as good as another (an endpoint of an app's, which serves no pages), the handshake is
/// all that is wanted.
fn endpoint(test: &str, group: &Group) -> Option<Endpoint> {
    let host = if group.host.contains(':') { format!("[{}]", group.host) } else { group.host.clone() };
    let port = group.port;
    let is_web = !(test == "signal" || group.host == "v.whatsapp.net");
    let written = match &group.url {
        Some(url) if is_web => url.to_string(),
        Some(_) => format!("tls://{host}:{port}"),
        None if test == "signal" || !group.flow.shakes.is_empty() => format!("tls://{host}:{port}"),
        None => format!("tcp://{host}:{port}"),
    };
    Endpoint::parse(&written).ok()
}
