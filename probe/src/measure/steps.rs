//! The steps of a measurement: each makes one row, whatever happens.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use faultline_record::{Dns, Failure, Http, NotRun, Outcome, Purpose, StepData, Tls};
use tokio_rustls::client::TlsStream;
use url::Url;

use super::Walk;
use super::connect::Round;
use super::log::Place;
use crate::drive::{Admission, Alpn, Answered, Channel, Fetch, Hello, QuicChannel, Scrubber, Tapped, is_bogon};
use crate::vpn_keys::Authority;

/// What is offered in a handshake.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// A name, offered as SNI and verified; or a literal address, verified only.
    pub(super) host: String,
    pub(super) alpn: Alpn,
}

impl Walk {
    /// A question to a resolver. `Err` says why the steps after it cannot be made.
    pub(super) async fn dns(
        &self,
        hop: u16,
        purpose: Purpose,
        planned: Dns,
        asking: impl Future<Output = Answered>,
    ) -> Result<Answered, NotRun> {
        let ticket = self.log.begin();
        let place = |address| Place { hop, purpose, connection: None, address, ttl: None };
        match self.cut.guard(asking).await {
            Ok(mut answered) => {
                self.judge_addresses(&mut answered);
                let Answered { outcome, detail, seen, server } = answered.clone();
                self.log.end(ticket, place(server), outcome, detail, StepData::Dns(seen));
                outcome.not_run().map_or(Ok(answered), Err)
            }
            Err(reason) => {
                self.log.end(ticket, place(None), Outcome::NotRun(reason), None, StepData::Dns(planned));
                Err(reason)
            }
        }
    }

    /// An answer with an address that cannot be public is no answer, unless that was asked for.
    fn judge_addresses(&self, answered: &mut Answered) {
        let is_wrong = answered.outcome.is_ok() && answered.seen.addresses().any(is_bogon);
        if is_wrong && !self.dials_bogons {
            answered.outcome = Outcome::Failed(Failure::DnsBogonError);
        }
    }

    /// Why an address is not dialled, if so.
    pub(super) fn refusal(&self, address: IpAddr) -> Option<NotRun> {
        if is_bogon(address) && !self.dials_bogons {
            return Some(NotRun::BogonAddress);
        }
        self.out_of_reach(address)
    }

    /// Why no packet can reach an address from here, if so.
    pub(super) fn out_of_reach(&self, address: IpAddr) -> Option<NotRun> {
        let is_out_of_reach = address.is_ipv6() && !self.drive.config().ipv6 && !address.is_loopback();
        is_out_of_reach.then_some(NotRun::NoIpv6)
    }

    /// Leave to dial an address, when the pace allows it; or why it is not dialled.
    pub(super) async fn admission(&self, address: IpAddr) -> Result<Admission, NotRun> {
        match self.refusal(address) {
            Some(reason) => Err(reason),
            None => self.cut.guard(self.drive.admit()).await,
        }
    }

    /// A TCP connection. `Err` says why the next step cannot be made.
    pub(super) async fn tcp(&self, place: Place, address: SocketAddr, round: Round) -> Result<Tapped, NotRun> {
        let admission = self.admission(address.ip()).await;
        self.dial(admission, place, address, round).await
    }

    /// The same, once leave was given or not.
    pub(super) async fn dial(
        &self,
        admission: Result<Admission, NotRun>,
        place: Place,
        address: SocketAddr,
        round: Round,
    ) -> Result<Tapped, NotRun> {
        let admission = admission.inspect_err(|&reason| self.log.skip(place, reason, StepData::Tcp))?;
        let ticket = self.log.begin();
        let end = |outcome, detail| self.log.end(ticket, place, outcome, detail, StepData::Tcp);
        match self.cut.guard(self.drive.connect_in(admission, address, round.tcp, round.segments)).await {
            Ok(Ok(stream)) => {
                end(Outcome::Ok, None);
                Ok(stream)
            }
            Ok(Err(fault)) => {
                end(fault.outcome, fault.detail);
                Err(reason_after(fault.outcome))
            }
            Err(reason) => {
                end(Outcome::NotRun(reason), None);
                Err(reason)
            }
        }
    }

    /// Leave to ask a tunnel's server, when the pace allows it and the server has had its rest.
    pub(super) async fn turn(&self, address: IpAddr, is_tcp: bool) -> Result<Admission, NotRun> {
        let admission = match self.refusal(address) {
            Some(reason) => return Err(reason),
            None if is_tcp => self.cut.guard(self.drive.admit()).await?,
            None => self.cut.guard(self.drive.admit_datagrams()).await?,
        };
        let wait = self.drive.manners().reserve(address);
        if !wait.is_zero() {
            self.rest(wait).await;
        }
        self.cut.guard(std::future::ready(admission)).await
    }

    /// A QUIC handshake. `Err` says why nothing can follow it.
    pub(super) async fn quic(
        &self,
        place: Place,
        address: SocketAddr,
        offer: &Offer,
        round: Round,
    ) -> Result<Option<QuicChannel>, NotRun> {
        let planned = || StepData::Quic(Tls { sni: sni_of(offer), ..Tls::default() });
        let admission = self.admission(address.ip()).await;
        let admission = admission.inspect_err(|&reason| self.log.skip(place, reason, planned()))?;
        let ticket = self.log.begin();
        // As large as a handshake over TCP.
        let handshake = Box::pin(self.drive.quic(admission, address, &offer.host, round.tls));
        match self.cut.guard(handshake).await {
            Ok(done) => {
                self.log.end(ticket, place, done.outcome, done.detail, StepData::Quic(done.seen));
                if self.is_trusted(done.outcome) { Ok(done.channel) } else { Err(reason_after(done.outcome)) }
            }
            Err(reason) => {
                self.log.end(ticket, place, Outcome::NotRun(reason), None, planned());
                Err(reason)
            }
        }
    }

    /// A TLS handshake. `Err` says why the next step cannot be made.
    pub(super) async fn tls(
        &self,
        place: Place,
        stream: Tapped,
        offer: &Offer,
        round: Round,
    ) -> Result<TlsStream<Tapped>, NotRun> {
        self.tls_and_trust(place, stream, offer, round).await.map(|(stream, _)| stream)
    }

    /// The same, with whether the certificate was one that is trusted for the name.
    pub(super) async fn tls_and_trust(
        &self,
        place: Place,
        stream: Tapped,
        offer: &Offer,
        round: Round,
    ) -> Result<(TlsStream<Tapped>, bool), NotRun> {
        let scrubber = Scrubber::new(stream.stream().local_addr().ok());
        let place = Place { ttl: round.ttl, ..place };
        let ticket = self.log.begin();
        if let Some(Err(error)) = round.ttl.map(|ttl| stream.sends_as_far_as(ttl)) {
            // The system does not allow it: nothing was sent.
            let tls = StepData::Tls(Tls { sni: sni_of(offer), ..Tls::default() });
            self.log.end(ticket, place, Outcome::NotRun(NotRun::LocalLimit), Some(error.to_string()), tls);
            return Err(NotRun::LocalLimit);
        }
        let handshake = self.drive.handshake_by(stream, &offer.host, offer.alpn, round.tls, round.hello);
        // The future of a handshake is large, and lives across everything that this one does.
        match self.cut.guard(Box::pin(handshake)).await {
            Ok(done) => {
                let detail = done.detail.map(|detail| scrubber.text(&detail).into_owned());
                let has_issued = |own: &Arc<Authority>| own.has_issued(&done.seen.chain, &self.server_name);
                let is_known = done.outcome.is_ok() || self.authority.as_ref().is_some_and(has_issued);
                self.log.end(ticket, place, done.outcome, detail, StepData::Tls(done.seen));
                match done.stream {
                    Some(stream) if round.trusts_anyone || self.is_trusted(done.outcome) => Ok((stream, is_known)),
                    _ => Err(reason_after(done.outcome)),
                }
            }
            Err(reason) => {
                let sni = sni_of(offer).filter(|_| round.hello != Hello::NoName);
                let tls = Tls { sni, ..Tls::default() };
                self.log.end(ticket, place, Outcome::NotRun(reason), None, StepData::Tls(tls));
                Err(reason)
            }
        }
    }

    /// Whether a request may follow. For a target with an authority of its own an unknown one is what is expected.
    fn is_trusted(&self, outcome: Outcome) -> bool {
        outcome.is_ok() || (self.private_ca && outcome.failure() == Some(Failure::SslUnknownAuthority))
    }

    /// A request.
    pub(super) async fn http(&self, place: Place, channel: Channel, url: &Url, round: Round) -> Result<Fetch, NotRun> {
        let most = self.drive.config().limits.body;
        let get = self.drive.get_at_most(channel, url, round.http, round.body.unwrap_or(most).min(most));
        self.request(place, url, Box::pin(get)).await
    }

    /// A request that somebody makes.
    pub(super) async fn request(
        &self,
        place: Place,
        url: &Url,
        get: impl Future<Output = Fetch>,
    ) -> Result<Fetch, NotRun> {
        let ticket = self.log.begin();
        match self.cut.guard(get).await {
            Ok(mut done) => {
                let seen = std::mem::take(&mut done.seen);
                done.seen.status = seen.status;
                self.log.end(ticket, place, done.outcome, done.detail.take(), StepData::Http(seen));
                Ok(done)
            }
            Err(reason) => {
                self.log.end(ticket, place, Outcome::NotRun(reason), None, planned_request(url));
                Err(reason)
            }
        }
    }
}

/// The name that a handshake was to offer.
pub(super) fn sni_of(offer: &Offer) -> Option<String> {
    let is_name = offer.host.parse::<IpAddr>().is_err();
    is_name.then(|| offer.host.clone())
}

/// The row's content of a request that was not made.
pub(super) fn planned_request(url: &Url) -> StepData {
    StepData::Http(Http { url: Scrubber::default().place(url.as_str()), ..Http::default() })
}

/// Why the step after this one is not made: a step that was not run hands its reason on.
pub(super) fn reason_after(outcome: Outcome) -> NotRun {
    outcome.not_run().unwrap_or(NotRun::PreviousStepFailed)
}
