//! The model as octets, for hashing: two things have the same octets only if they are the same. Kept nowhere, read by nobody.

use std::net::IpAddr;

use faultline_record::{
    Arrival, Dns, DnsAnswer, DnsRecord, HealthCheck, HealthSignal, Http, Network, Observation, Outcome, StepData,
    Target, Tls, Vpn, Witness, sha256,
};

/// Octets in the making. Texts and lists are preceded by their length, and what may be missing by whether it is.
#[derive(Debug)]
pub struct Bytes(Vec<u8>);

impl Default for Bytes {
    fn default() -> Self {
        Self(Vec::with_capacity(8 << 10))
    }
}

impl Bytes {
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Octets of a length that is always the same.
    pub fn raw(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    pub fn number(&mut self, number: impl Into<i128>) {
        self.raw(&number.into().to_le_bytes());
    }

    pub fn real(&mut self, number: f64) {
        self.raw(&number.to_bits().to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.raw(text.as_bytes());
    }

    fn maybe<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.raw(&[u8::from(value.is_some())]);
        if let Some(value) = value {
            put(self, value);
        }
    }

    pub fn each<T>(&mut self, values: &[T], put: impl Fn(&mut Self, &T)) {
        self.number(values.len() as u64);
        for value in values {
            put(self, value);
        }
    }

    fn maybe_text(&mut self, text: Option<&String>) {
        self.maybe(text, |bytes, text| bytes.text(text));
    }

    fn maybe_number(&mut self, number: Option<impl Into<i128>>) {
        self.maybe(number, Self::number);
    }

    fn flag(&mut self, flag: bool) {
        self.raw(&[u8::from(flag)]);
    }

    fn address(&mut self, address: IpAddr) {
        self.flag(address.is_ipv4());
        match address {
            IpAddr::V4(v4) => self.raw(&v4.octets()),
            IpAddr::V6(v6) => self.raw(&v6.octets()),
        }
    }

    fn outcome(&mut self, outcome: Outcome) {
        self.maybe(outcome.failure(), |bytes, failure| bytes.text(failure.name()));
        self.maybe(outcome.not_run(), |bytes, reason| bytes.text(reason.name()));
    }

    pub fn target(&mut self, target: &Target) {
        let Target { input, name, endpoint, category, list, availability, private_ca } = target;
        self.text(input);
        self.text(name);
        self.text(&endpoint.to_string());
        self.maybe_text(category.as_ref());
        self.maybe_text(list.as_ref());
        self.text(availability.name());
        self.flag(*private_ca);
    }

    pub fn network(&mut self, network: &Network) {
        let Network { asn, as_name, country, kind } = network;
        self.maybe_number(*asn);
        self.maybe_text(as_name.as_ref());
        self.maybe_text(country.as_ref());
        self.text(kind.name());
    }

    pub fn witness(&mut self, witness: &Witness) {
        let Witness { before, after, during, overloaded, run_clock_ms } = witness;
        self.maybe(before.as_deref(), Self::check);
        self.maybe(after.as_deref(), Self::check);
        self.each(during, |bytes, check| bytes.check(check));
        self.flag(*overloaded);
        self.maybe_number(*run_clock_ms);
    }

    fn check(&mut self, check: &HealthCheck) {
        let HealthCheck { id, run, reason, offset_ms, duration_ms, signals } = check;
        self.raw(id.as_bytes());
        self.raw(run.as_bytes());
        self.text(reason.name());
        self.real(*offset_ms);
        self.real(*duration_ms);
        self.each(signals, Self::signal);
    }

    fn signal(&mut self, signal: &HealthSignal) {
        let HealthSignal { kind, name, provider, family, address, outcome, value, duration_ms, detail } = signal;
        self.text(kind.name());
        self.text(name);
        self.maybe_text(provider.as_ref());
        self.maybe(*family, |bytes, family| bytes.text(family.name()));
        self.maybe(*address, Self::address);
        self.outcome(*outcome);
        self.maybe(*value, Self::real);
        self.real(*duration_ms);
        self.maybe_text(detail.as_ref());
    }

    /// But for the words that came with a failure, which are never counted.
    pub fn observation(&mut self, row: &Observation) {
        let Observation { seq, hop, purpose, connection, t0_ms, t_ms, outcome, detail: _, address, port, ttl, data } =
            row;
        self.number(*seq);
        self.number(*hop);
        self.text(purpose.name());
        self.maybe_number(*connection);
        self.real(*t0_ms);
        self.real(*t_ms);
        self.outcome(*outcome);
        self.maybe(*address, Self::address);
        self.maybe_number(*port);
        self.maybe_number(*ttl);
        self.text(data.step().name());
        match data {
            StepData::Tcp => {}
            StepData::Dns(dns) => self.dns(dns),
            StepData::Tls(tls) | StepData::Quic(tls) => self.tls(tls),
            StepData::Http(http) => self.http(http),
            StepData::Vpn(vpn) => self.vpn(vpn),
        }
    }

    fn dns(&mut self, dns: &Dns) {
        let Dns { engine, resolver, hostname, query_type, rcode, answers, replies } = dns;
        self.text(engine.name());
        self.text(resolver);
        self.text(hostname);
        self.text(query_type.name());
        self.maybe_number(*rcode);
        self.each(answers, Self::answer);
        self.number(*replies);
    }

    fn answer(&mut self, answer: &DnsAnswer) {
        let DnsAnswer { reply, rcode, after_ms, ttl, opt, case_kept, record } = answer;
        self.number(*reply);
        self.maybe_number(*rcode);
        self.number(*after_ms);
        self.maybe_number(*ttl);
        self.maybe(*opt, Self::flag);
        self.maybe(*case_kept, Self::flag);
        let (address, name) = match record {
            DnsRecord::Address(address) => (Some(*address), None),
            DnsRecord::Cname(name) => (None, Some(name)),
            DnsRecord::Empty => (None, None),
        };
        self.maybe(address, Self::address);
        self.maybe_text(name);
    }

    fn tls(&mut self, tls: &Tls) {
        let Tls { sni, version, cipher_suite, alpn, chain, bytes_received, first_bytes } = tls;
        for text in [sni, version, cipher_suite, alpn] {
            self.maybe_text(text.as_ref());
        }
        self.each(chain, |bytes, certificate| bytes.raw(&certificate.sha256));
        self.number(*bytes_received);
        self.maybe(*first_bytes, |bytes, first| bytes.text(first.name()));
    }

    fn http(&mut self, http: &Http) {
        let Http { url, protocol, status, headers, body, body_length, body_truncated, title, head_ms, arrivals } = http;
        self.text(url);
        self.maybe_text(protocol.as_ref());
        self.maybe_number(*status);
        self.each(headers, |bytes, (name, value)| {
            bytes.text(name);
            bytes.text(value);
        });
        self.maybe(body.as_deref(), |bytes, body| bytes.raw(&sha256(body)));
        self.number(*body_length);
        self.flag(*body_truncated);
        self.maybe_text(title.as_ref());
        self.maybe_number(*head_ms);
        self.each(arrivals, |bytes, Arrival { ms, bytes: count }| {
            bytes.number(*ms);
            bytes.number(*count);
        });
    }

    fn vpn(&mut self, vpn: &Vpn) {
        let Vpn { protocol, bytes_received, answer, proof, key } = vpn;
        self.text(protocol.name());
        self.number(*bytes_received);
        self.maybe(*answer, |bytes, answer| bytes.text(answer.name()));
        self.maybe(*proof, |bytes, proof| bytes.text(proof.name()));
        self.maybe(*key, |bytes, key| bytes.text(key.name()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(put: impl FnOnce(&mut Bytes)) -> Vec<u8> {
        let mut bytes = Bytes::default();
        put(&mut bytes);
        bytes.0
    }

    #[test]
    fn what_stands_in_another_field_or_is_missing_has_other_octets() {
        let names = |sni: Option<&str>, alpn: Option<&str>| {
            let tls = Tls { sni: sni.map(Into::into), alpn: alpn.map(Into::into), ..Tls::default() };
            of(|bytes| bytes.tls(&tls))
        };
        let all = [
            names(None, None),
            names(Some(""), None),
            names(None, Some("")),
            names(Some("a"), None),
            names(None, Some("a")),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(all[place + 1..].iter().all(|other| other != one), "{place}");
        }
        let headers = |pairs: &[(&str, &str)]| {
            let headers = pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect();
            of(|bytes| bytes.http(&Http { headers, ..Http::default() }))
        };
        assert_ne!(headers(&[("ab", "c")]), headers(&[("a", "bc")]));
        assert_ne!(headers(&[("a", "b"), ("c", "d")]), headers(&[("a", "b")]));
    }
}
