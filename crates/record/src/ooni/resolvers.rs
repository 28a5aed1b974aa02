//! Tests of resolvers: `dnsping`, `dnscheck`, `dns_consistency`. Each resolver is a target of its own.

use std::net::{IpAddr, SocketAddr};

use url::Url;

use crate::model::{Endpoint, Purpose};

use super::envelope::Envelope;
use super::flow::{Flow, Query, list, members};
use super::json::Json;
use super::kinds::{Parts, foreign};
use super::oddities::Oddities;
use super::part::{Part, answered};
use super::reader::{FlowReader, REPLIES, parse_address};
use super::rows::{Again, Goal, Rows};

/// The control resolver's answers that are held beside each resolver's own.
const CONTROLS: usize = 16;

pub(super) fn dnsping(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let mut queries = Vec::new();
    for ping in list(keys, "pings", odd) {
        let mut reader = FlowReader::new(odd);
        let Some(mut query) = reader.query(ping.get("query")) else { continue };
        for key in ["delayed_response", "delayed_responses"] {
            for late in ping.get(key).elements().iter().take(REPLIES) {
                let after = late.get("t").number().map_or(0.0, |seconds| seconds * 1_000.0 - query.mark.t0_ms);
                let records = reader.records(late);
                query.late.push((after, records));
            }
        }
        queries.push(query);
    }
    let mut names: Vec<String> = queries.iter().map(|query| query.host.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let part = |name: &String| {
        let own: Vec<_> = queries.iter().filter(|query| query.host == *name).collect();
        let server = own.iter().find_map(|query| query.server)?;
        let mut rows = Rows::default();
        for query in &own {
            rows.query(0, Purpose::Main, query);
        }
        let endpoint = Endpoint::Dns { resolver: server.ip(), name: name.clone() };
        let input = endpoint.to_string();
        Some(Part::new(endpoint, &input, rows))
    };
    let parts: Vec<Part> = names.iter().filter_map(part).collect();
    let signals = answered(&Flow { queries, ..Flow::default() }, None);
    (if parts.is_empty() { foreign(envelope, Rows::default()) } else { parts }, signals)
}

pub(super) fn dnscheck(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let domain = keys.get("domain").word().unwrap_or("example.org").to_ascii_lowercase();
    let bootstrap = Flow::read(keys.get("bootstrap"), odd);
    let mut all = bootstrap.clone();
    let mut parts = Vec::new();
    if !bootstrap.queries.is_empty() {
        let mut rows = Rows::default();
        bootstrap.queries.iter().for_each(|query| rows.query(0, Purpose::Main, query));
        parts.extend(Part::foreign(&envelope.test, &format!("bootstrap/{}", bootstrap.queries[0].host), rows));
    }
    for (key, lookup) in members(keys, "lookups", odd) {
        let mut flow = Flow::read(lookup, odd);
        let is_asked = |query: &Query| query.host == domain && query.resolver != "system";
        let literal = Url::parse(key).ok().and_then(|url| url.host_str().and_then(parse_address));
        let resolver = literal.or_else(|| flow.queries.iter().find_map(|query| query.server).map(|to| to.ip()));
        let resolver = resolver.or_else(|| flow.dials.first().map(|dial| dial.to.ip()));
        flow.queries.retain(is_asked);
        let mut rows = Rows::default();
        // Connections are to the resolver, whatever addresses it gave.
        let queries = std::mem::take(&mut flow.queries);
        for query in &queries {
            rows.query(0, Purpose::Main, query);
        }
        rows.hop(0, Goal { url: None, again: Again::Connections }, &flow);
        flow.queries = queries;
        parts.extend(match resolver {
            Some(resolver) => Some(Part::new(Endpoint::Dns { resolver, name: domain.clone() }, key, rows)),
            None => Part::foreign(&envelope.test, key, rows),
        });
        all.extend(flow);
    }
    (if parts.is_empty() { foreign(envelope, Rows::default()) } else { parts }, answered(&all, None))
}

pub(super) fn dns_consistency(envelope: &Envelope, keys: &Json<'_>, odd: &mut Oddities) -> Parts {
    let flow = Flow::read(keys, odd);
    let control = keys.get("control_resolver").word().unwrap_or_default();
    let control: Option<IpAddr> =
        control.parse::<SocketAddr>().ok().map(|to| to.ip()).or_else(|| parse_address(control));
    let mut servers: Vec<IpAddr> = flow.queries.iter().filter_map(|query| query.server).map(|to| to.ip()).collect();
    servers.sort_unstable();
    servers.dedup();
    let part = |server: IpAddr| {
        let of =
            |wanted: IpAddr| flow.queries.iter().filter(move |query| query.server.is_some_and(|to| to.ip() == wanted));
        let name = of(server).next()?.host.clone();
        let mut rows = Rows::default();
        of(server).for_each(|query| rows.query(0, Purpose::Main, query));
        for query in control.into_iter().flat_map(of).take(CONTROLS) {
            rows.query(0, Purpose::Comparison, query);
        }
        let endpoint = Endpoint::Dns { resolver: server, name };
        let input = endpoint.to_string();
        Some(Part::new(endpoint, &input, rows))
    };
    let parts: Vec<Part> = servers.into_iter().filter(|&server| Some(server) != control).filter_map(part).collect();
    (if parts.is_empty() { foreign(envelope, Rows::default()) } else { parts }, answered(&flow, None))
}
