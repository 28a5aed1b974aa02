//! Tests of services (`WhatsApp`, Telegram, Signal, Facebook Messenger, Riseup VPN): one part for each endpoint that they went to, so that
//! each gets a verdict of its own.
//!
//! Their engine told neither which connection a request used nor which name an address was dialled for. What it did tell is put
//! together again: a handshake names both its address and its host; a dial without one is given to a name whose answer holds its
//! address, the foremost answer and the latest question first. Address, port and outcome of each row are as they were told.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use url::Url;

use crate::model::{Availability, Endpoint, HealthSignal, Purpose};

use super::envelope::Envelope;
use super::flow::{Dial, Flow, Query, Shake};
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
    let mut names = Names::of(flow, groups);
    let mut dials: Vec<&Dial> = flow.dials.iter().collect();
    dials.sort_by(|a, b| a.mark.t_ms.total_cmp(&b.mark.t_ms));
    let mut shaken = vec![false; flow.shakes.len()];
    for dial in dials {
        let stood = dial.mark.failed.is_none();
        let of_dial = |shake: &Shake| stood && shake.to == Some(dial.to) && shake.mark.t_ms >= dial.mark.t_ms;
        let by_shake = (0..shaken.len()).find(|&place| !shaken[place] && of_dial(&flow.shakes[place]));
        let host = by_shake.and_then(|place| {
            shaken[place] = true;
            flow.shakes[place].tls.sni.clone()
        });
        let host = host.or_else(|| names.take(flow, dial)).unwrap_or_else(|| dial.to.ip().to_string());
        let port = dial.to.port();
        if stood {
            names.reached.insert((host.clone(), port));
        }
        let place = groups.iter().position(|group| group.host == host && group.port == port).unwrap_or_else(|| {
            groups.push(Group { host, port, url: None, flow: Flow::default() });
            groups.len() - 1
        });
        groups[place].flow.dials.push(dial.clone());
    }
}

/// Which names addresses were given for.
struct Names {
    /// Questions by the addresses of their answers, each with the address's place in the answer.
    by_address: HashMap<IpAddr, Vec<(usize, usize)>>,
    used: Vec<bool>,
    reached: HashSet<(String, u16)>,
    /// Hosts that requests were for, with their ports.
    requested: HashSet<(String, u16)>,
    hosts: HashSet<String>,
}

impl Names {
    fn of(flow: &Flow, groups: &[Group]) -> Self {
        let mut by_address: HashMap<IpAddr, Vec<(usize, usize)>> = HashMap::new();
        for (place, query) in flow.queries.iter().enumerate() {
            for (rank, ip) in query.addresses().enumerate() {
                by_address.entry(ip).or_default().push((rank, place));
            }
        }
        let requested = || groups.iter().filter(|group| group.url.is_some());
        Self {
            by_address,
            used: vec![false; flow.queries.len()],
            reached: HashSet::new(),
            requested: requested().map(|group| (group.host.clone(), group.port)).collect(),
            hosts: requested().map(|group| group.host.clone()).collect(),
        }
    }

    /// The name that an address was most likely dialled for: of questions that were asked before and that no dial was given to yet, one
    /// whose name was not reached at that port, the foremost answer, the latest question.
    fn take(&mut self, flow: &Flow, dial: &Dial) -> Option<String> {
        let port = dial.to.port();
        let is_free = |place: usize| {
            let query = &flow.queries[place];
            let key = (query.host.clone(), port);
            // What requests were for is dialled at their ports.
            let is_open = !self.hosts.contains(&query.host) || self.requested.contains(&key);
            !self.used[place] && query.mark.t0_ms <= dial.mark.t_ms && is_open
        };
        let order = |&(rank, place): &(usize, usize)| {
            let query = &flow.queries[place];
            (self.reached.contains(&(query.host.clone(), port)), rank, Reverse(query.mark.t_ms.to_bits()))
        };
        let given = self.by_address.get(&dial.to.ip())?;
        let (_, place) = given.iter().filter(|(_, place)| is_free(*place)).min_by_key(|one| order(one)).copied()?;
        self.used[place] = dial.mark.failed.is_none();
        Some(flow.queries[place].host.clone())
    }
}

/// Gives each question to every endpoint of its name; a name without any becomes one. The engine asked once for each connection:
/// answers that are alike are one.
fn assign_queries(queries: &[Query], groups: &mut Vec<Group>) {
    let mut told = HashSet::new();
    for query in queries {
        let mut addresses: Vec<IpAddr> = query.addresses().collect();
        addresses.sort_unstable();
        let failure = query.mark.failed.as_ref().map(|failed| failed.failure);
        if !told.insert((query.host.as_str(), query.kind, query.engine, failure, addresses)) {
            continue;
        }
        let mut of_name = groups.iter_mut().filter(|group| group.host == query.host).peekable();
        if of_name.peek().is_none() {
            let flow = Flow { queries: vec![query.clone()], ..Flow::default() };
            groups.push(Group { host: query.host.clone(), port: PORT, url: None, flow });
            continue;
        }
        of_name.for_each(|group| group.flow.queries.push(query.clone()));
    }
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
