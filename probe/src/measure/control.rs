//! The helper's word beside the vantage's own rows: when it is asked, and the rows its answer becomes.

use std::net::{IpAddr, SocketAddr};

use faultline_record::{
    Dns, DnsAnswer, Engine, Failure, Family, HostName, Http, Outcome, Purpose, StepData, Tls, Vpn, VpnProtocol,
};

use super::Walk;
use super::connect::{By, Goal, Reached};
use super::log::Place;
use super::resolve::query_type;
use super::steps::sni_of;
use super::wireguard::NoKey;
use crate::drive::{Scrubber, is_bogon};
use crate::helper::message::{
    ADDRESSES, HEADERS, HelperAddress, HelperAnswer, HelperNames, HelperPage, HelperQuestion,
};

/// The name of the helper's own resolver in rows.
const RESOLVER: &str = "helper";

/// Whether what was reached needs no control: a certificate that is valid for the name, and an answer behind it; a
/// connection, where that is all there is; or a redirect to where certificates will tell.
pub(super) fn speaks_for_itself(end: &Reached, goal: &Goal) -> bool {
    let answered = end.fetch.as_ref().is_some_and(|fetch| fetch.outcome.is_ok());
    let leads_to_tls = || {
        let fetch = end.fetch.as_ref().filter(|fetch| matches!(fetch.seen.status, Some(301 | 302 | 303 | 307 | 308)));
        fetch.and_then(|fetch| fetch.location.as_deref()).is_some_and(|location| location.starts_with("https://"))
    };
    match (&goal.tls, &goal.url) {
        (None, Some(_)) => answered && leads_to_tls(),
        (Some(_), Some(_)) => end.at_goal && answered,
        (_, None) => end.at_goal,
    }
}

impl Walk {
    /// Asks the helper, if there is one, and writes down what it saw. Never fails: a helper that cannot be asked is a
    /// row, and no evidence.
    pub(super) async fn ask_helper(&self, hop: u16, host: &HostName, goal: &Goal, given: &[IpAddr]) {
        let Some(helper) = &self.helper else { return };
        let place = Place { hop, purpose: Purpose::Helper, connection: None, address: None, ttl: None };
        let errand = |status| StepData::Http(Http { url: helper.place(), status, ..Http::default() });
        let Ok(datagram) = self.datagram_for_helper(goal).await else { return };
        let question = HelperQuestion { datagram, ..self.question(hop, host, goal, given) };
        let ticket = self.log.begin();
        match self.cut.guard(Box::pin(helper.ask(&self.drive, &question))).await {
            Ok(Ok(answer)) => {
                self.log.end(ticket, place, Outcome::Ok, None, errand(Some(200)));
                self.write_down(place, host, goal, &answer);
            }
            Ok(Err(fault)) => self.log.end(ticket, place, fault.outcome, fault.detail, errand(None)),
            Err(reason) => self.log.end(ticket, place, Outcome::NotRun(reason), None, errand(None)),
        }
    }

    /// What the helper has to send for us, where it could not make the first message itself. Where we cannot either, it is not
    /// asked.
    async fn datagram_for_helper(&self, goal: &Goal) -> Result<Option<String>, NoKey> {
        match goal.by {
            By::Tunnel(VpnProtocol::Wireguard) => self.first_message_for_helper().await.map(Some),
            // The helper has no key, and a server that wants one is silent to it.
            By::Tunnel(_) if self.openvpn_key.is_some() => Err(NoKey),
            By::Tunnel(VpnProtocol::Shadowsocks | VpnProtocol::Obfs4) => Err(NoKey),
            By::Tcp | By::Quic | By::Tunnel(_) => Ok(None),
        }
    }

    /// The question: the endpoint, and the addresses that the vantage was given and that anybody can try. The query of a
    /// redirect's destination stays here: a site may have put into it what it knows of the visitor.
    fn question(&self, hop: u16, host: &HostName, goal: &Goal, given: &[IpAddr]) -> HelperQuestion {
        let plain = plain(host);
        let scheme = match goal.by {
            By::Quic => "quic",
            By::Tunnel(protocol) => protocol.name(),
            By::Tcp if goal.tls.is_none() => "tcp",
            By::Tcp => "tls",
        };
        // Over QUIC the handshake is what is held against the helper's.
        let url = goal.url.as_ref().filter(|_| goal.by == By::Tcp);
        let endpoint = match (url, &goal.tls) {
            (Some(url), _) => {
                let mut url = url.clone();
                url.set_fragment(None);
                if hop > 0 {
                    url.set_query(None);
                }
                url.into()
            }
            (None, Some(offer)) if offer.host == plain => format!("{scheme}://{host}:{}", goal.port),
            (None, Some(offer)) => format!("{scheme}://{host}:{}?sni={}", goal.port, offer.host),
            (None, None) => format!("{scheme}://{host}:{}", goal.port),
        };
        let public = given.iter().copied().filter(|&address| self.dials_bogons || !is_bogon(address));
        HelperQuestion::new(endpoint, plain, public.take(ADDRESSES).collect())
    }

    fn write_down(&self, place: Place, host: &HostName, goal: &Goal, answer: &HelperAnswer) {
        if let HostName::Name(name) = host {
            self.write_names(place, name, &answer.dns);
        }
        for tried in &answer.addresses {
            let page = answer.http.as_ref().filter(|page| page.address == Some(tried.address));
            self.write_connection(place, goal, tried, page);
        }
    }

    fn write(&self, place: Place, outcome: Outcome, detail: Option<String>, data: StepData) {
        self.log.end(self.log.begin(), place, outcome, detail, data);
    }

    /// One row a family that has an address; where none has, one row with the failure.
    fn write_names(&self, place: Place, name: &str, names: &HelperNames) {
        let row = |family, addresses: Vec<IpAddr>, outcome| {
            let dns = Dns {
                engine: Engine::System,
                resolver: RESOLVER.to_owned(),
                hostname: name.to_owned(),
                query_type: query_type(family),
                rcode: None,
                replies: u16::from(!addresses.is_empty()),
                answers: addresses.into_iter().map(DnsAnswer::told).collect(),
            };
            self.write(place, outcome, None, StepData::Dns(dns));
        };
        if names.addresses.is_empty() {
            return row(Family::V4, Vec::new(), failed(names.failure.0));
        }
        for &family in Family::ALL {
            let own = names.addresses.iter().copied().filter(|&address| Family::of(address) == family);
            let own: Vec<IpAddr> = own.collect();
            if !own.is_empty() {
                row(family, own, Outcome::Ok);
            }
        }
    }

    fn write_connection(&self, place: Place, goal: &Goal, tried: &HelperAddress, page: Option<&HelperPage>) {
        let address = Some(SocketAddr::new(tried.address, tried.port));
        let place = Place { connection: Some(self.log.connection()), address, ..place };
        let end = if tried.verified { Outcome::Ok } else { failed(tried.tls.0) };
        if let By::Tunnel(protocol) = goal.by {
            let vpn = Vpn::planned(protocol);
            return self.write(place, end, None, StepData::Vpn(vpn));
        }
        if goal.by == By::Tcp {
            self.write(place, tried.tcp.0, None, StepData::Tcp);
        }
        if let Some(offer) = &goal.tls {
            let tls = Tls { sni: sni_of(offer), ..Tls::default() };
            let data = if goal.by == By::Quic { StepData::Quic(tls) } else { StepData::Tls(tls) };
            self.write(place, end, None, data);
        }
        if let (Some(url), Some(page)) = (&goal.url, page) {
            let http = Http {
                url: Scrubber::default().place(url.as_str()),
                status: page.status,
                headers: headers_of(page),
                body_length: page.body_length,
                title: page.title.clone(),
                ..Http::default()
            };
            self.write(place, page.failure.0, None, StepData::Http(http));
        }
    }
}

/// Where a redirect leads, and the names of the other headers: their values stay with the helper.
fn headers_of(page: &HelperPage) -> Vec<(String, String)> {
    let location = page.location.iter().map(|location| ("location".to_owned(), location.clone()));
    let names = page.headers.iter().filter(|name| *name != "location").take(HEADERS);
    location.chain(names.map(|name| (name.clone(), String::new()))).collect()
}

/// What did not come to its end did not end well: an answer cannot claim both.
fn failed(outcome: Outcome) -> Outcome {
    if outcome.is_ok() { Outcome::Failed(Failure::UnknownFailure) } else { outcome }
}

fn plain(host: &HostName) -> String {
    match host {
        HostName::Name(name) => name.clone(),
        HostName::Address(address) => address.to_string(),
    }
}
