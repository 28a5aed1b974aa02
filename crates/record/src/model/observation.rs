//! What was seen: one flat row a step.

use std::net::IpAddr;
use std::sync::Arc;

use super::arrival::Arrival;
use super::certificate::Certificate;
use super::vpn::Vpn;
use crate::failure::Failure;
use crate::names::named;

named! {
    /// A step of a measurement.
    pub enum Step {
        /// A question to a resolver.
        Dns = "dns",
        /// A TCP connection.
        Tcp = "tcp",
        /// A TLS handshake over that connection.
        Tls = "tls",
        /// A request and its response over that connection.
        Http = "http",
        /// A QUIC handshake (RFC 9000, RFC 9001).
        Quic = "quic",
        /// The first message to a tunnel's server, and its answer.
        Vpn = "vpn",
    }
}

named! {
    /// Why a step was done.
    pub enum Purpose {
        /// The measurement proper.
        Main = "main",
        /// Resolving the name by someone else than the system's resolver.
        Comparison = "comparison",
        /// Follow-up: the target's own name once more, on a fresh connection to the same address.
        Retry = "retry",
        /// Follow-up: an innocent name, on a fresh connection to the same address.
        InnocentSni = "innocent_sni",
        /// What a helper outside this network saw of the same target in the same minute (`--helper`). Never the vantage's
        /// own: it is the control that the vantage is held against. The row with neither address nor connection is the
        /// errand to the helper itself.
        Helper = "helper",
        /// Follow-up: a plain request for an innocent host, on a fresh connection to the same address.
        InnocentHost = "innocent_host",
        /// Follow-up: what was asked for in the clear once more, over TLS that is verified.
        HttpsCopy = "https_copy",
        /// Follow-up: a name that cannot exist, asked of the system's resolver.
        RandomName = "random_name",
        /// Follow-up: what only an unrelated operator can answer, asked at the target's address.
        ProxyCheck = "proxy_check",
        /// Follow-up: what was wanted once more, over a connection whose TCP takes small segments only.
        SmallSegments = "small_segments",
        /// Follow-up: the name, asked of a host that is no resolver: the target's own, at an address that was proven.
        NoResolver = "no_resolver",
        /// Follow-up: the target's own handshake without a server name; the certificate is held against the name all the same.
        NoSni = "no_sni",
        /// Follow-up: the target's own `ClientHello`, cut in the middle of the name into two TCP segments.
        SplitSegments = "split_segments",
        /// Follow-up: the target's own `ClientHello` in many small TLS records.
        SplitRecords = "split_records",
        /// Follow-up: the target's own handshake once more, that is sent only so many routers far.
        Locate = "locate",
        /// Follow-up: a handshake for an innocent name, that is sent only so many routers far.
        LocateInnocent = "locate_innocent",
        /// Follow-up: the target's name, offered to a host that has nothing to do with it.
        Elsewhere = "elsewhere",
        /// Follow-up: that host's own name, on a fresh connection to the same address; and the question for that address.
        ElsewhereInnocent = "elsewhere_innocent",
        /// Follow-up: the target's own handshake with the letters of the name in changing case (RFC 4343: names are the same
        /// whatever the case).
        MixedCase = "mixed_case",
        /// Follow-up: a handshake for the target's name with the innocent one's labels behind it.
        LongerName = "longer_name",
        /// Follow-up: the target's own handshake in TLS 1.2 only.
        Tls12 = "tls12",
        /// Follow-up: the target's own handshake with the name encrypted (ECH), by the configuration that its HTTPS record gives.
        Ech = "ech",
        /// Follow-up: an innocent name at an address at which everything failed, after a quiet time.
        QuietInnocent = "quiet_innocent",
        /// Follow-up: the target's own name, once the innocent one was answered there again.
        QuietOwn = "quiet_own",
        /// Follow-up: the innocent name right after that.
        QuietAgain = "quiet_again",
        /// Follow-up: a tunnel's first message behind a datagram of noise, or cut in two: filters that look at a flow's first packet
        /// do not know it then, and servers do.
        JunkFirst = "junk_first",
        /// Follow-up: as many random octets as a tunnel's first message has, to the same port over TCP.
        RandomBytes = "random_bytes",
        /// Follow-up: as many printable characters, to the same port over TCP.
        PrintableBytes = "printable_bytes",
        /// Follow-up: as many octets that begin as TLS does, to the same port over TCP.
        TlsBytes = "tls_bytes",
        /// Follow-up: a tunnel's first message at another of the protocol's usual ports of the same host.
        OtherPort = "other_port",
        /// Follow-up: a TCP connection to the target's host at another common port: whoever answers, the host lives.
        HostAlive = "host_alive",
        /// Follow-up: the same name at the same address over TCP and TLS, where QUIC failed.
        TcpCopy = "tcp_copy",
        /// Follow-up: a server that has nothing to do with the target, and a plain request there for a host that nobody has.
        InnocentServer = "innocent_server",
        /// Follow-up: a plain request for the target's host at that server.
        HostAnywhere = "host_anywhere",
        /// Follow-up: the name, asked of a resolver over TCP or TLS that was asked over UDP.
        OtherTransport = "other_transport",
        /// Follow-up: an unrelated name, asked of the resolver whose answer for the target's is in dispute.
        InnocentName = "innocent_name",
        /// Follow-up: the target's name once more, with its letters in changing case, asked of that resolver.
        ChangedCase = "changed_case",
        /// Follow-up: the target's name, or one below the unrelated name, asked without recursion: a resolver can answer that out
        /// of itself, at once.
        NoRecursion = "no_recursion",
        /// Follow-up: a name below the target's that cannot exist, asked of that resolver.
        Subdomain = "subdomain",
        /// Follow-up: the name above the target's, asked of that resolver.
        ParentName = "parent_name",
        /// Follow-up: a handshake with an address that a resolver gave and that nobody had tried.
        AddressCheck = "address_check",
        /// Follow-up: a QUIC packet of a version that nobody speaks, where a handshake was not answered: a server of QUIC answers
        /// with the versions that it speaks, whatever name it is asked for (RFC 9000 section 6). No handshake is begun.
        VersionNegotiation = "version_negotiation",
        /// Follow-up: the same, and a name, asked of unrelated operators' resolvers at their own addresses, which answer both: does
        /// UDP pass here at all?
        QuicElsewhere = "quic_elsewhere",
        /// Follow-up, only with `--http3`: the same page over HTTP/3, where the site offers it (RFC 7838).
        Http3Copy = "http3_copy",
    }
}

named! {
    /// Why a step was never done. Never counted as a failure.
    pub enum NotRun {
        /// The user or a signal ended the run.
        Interrupted = "interrupted",
        /// `--max-time` was reached.
        MaxTime = "max_time",
        /// `--max-data` was reached.
        MaxData = "max_data",
        /// The target's own deadline was reached (60 s).
        TargetDeadline = "target_deadline",
        /// There was no address to connect to.
        NoAddress = "no_address",
        /// The address is private, loopback or otherwise not public: a probe does not knock there.
        BogonAddress = "bogon_address",
        /// The vantage has no IPv6 route.
        NoIpv6 = "no_ipv6",
        /// The step before it failed.
        PreviousStepFailed = "previous_step_failed",
        /// More addresses than are tested side by side.
        AddressCap = "address_cap",
        /// There is no network; nothing was sent.
        NoNetwork = "no_network",
        /// A follow-up was left out: the target's or the run's budget for them was spent.
        Budget = "budget",
        /// A follow-up or comparison was not needed or was switched off.
        NotNeeded = "not_needed",
        /// A limit of this machine (file descriptors, memory) stood in the way.
        LocalLimit = "local_limit",
        /// The protocol needs a key of the server's that was not given (`--vpn-keys`, `?pubkey=`).
        NoKey = "no_key",
        /// This machine's clock is wrong, and a message dated in the future would make a server ignore the key from then on.
        ClockWrong = "clock_wrong",
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Ok,
    /// It was tried and failed.
    Failed(Failure),
    /// It was never tried.
    NotRun(NotRun),
}

impl Outcome {
    /// The failure, if it was one.
    pub fn failure(self) -> Option<Failure> {
        if let Self::Failed(failure) = self { Some(failure) } else { None }
    }

    /// The reason it was not run, if it was not.
    pub fn not_run(self) -> Option<NotRun> {
        if let Self::NotRun(reason) = self { Some(reason) } else { None }
    }

    /// Whether it succeeded.
    pub fn is_ok(self) -> bool {
        self == Self::Ok
    }
}

/// One step, tried or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Position in the measurement, from 1.
    pub seq: u32,
    /// Redirect hop, from 0.
    pub hop: u16,
    /// Why it was done.
    pub purpose: Purpose,
    /// Steps over one connection share this number; `None` for DNS.
    pub connection: Option<u32>,
    /// Start, milliseconds since the measurement's start (monotonic).
    pub t0_ms: f64,
    /// End, milliseconds since the measurement's start (monotonic).
    pub t_ms: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// Whose words came with a failure; the vantage's own addresses are scrubbed. Never counted.
    pub detail: Option<String>,
    /// Where the packets went; `None` for a resolver reached through the system's configuration.
    pub address: Option<IpAddr>,
    /// Port of `address`.
    pub port: Option<u16>,
    /// Time to live (IPv4) or hop limit (IPv6) of what was sent in the step, where it was set.
    pub ttl: Option<u8>,
    /// What the step itself saw.
    pub data: StepData,
}

/// What a step saw, by step.
#[derive(Clone, Debug, PartialEq)]
pub enum StepData {
    /// See [`Dns`].
    Dns(Dns),
    /// A TCP connection has nothing to add.
    Tcp,
    /// See [`Tls`].
    Tls(Tls),
    /// See [`Http`].
    Http(Http),
    /// A QUIC handshake, which is one of TLS inside UDP (RFC 9001), or a negotiation of versions, which is none: see [`Tls`];
    /// `first_bytes` stays empty.
    Quic(Tls),
    /// See [`Vpn`].
    Vpn(Vpn),
}

impl StepData {
    /// Which step this is.
    pub fn step(&self) -> Step {
        match self {
            Self::Dns(_) => Step::Dns,
            Self::Tcp => Step::Tcp,
            Self::Tls(_) => Step::Tls,
            Self::Http(_) => Step::Http,
            Self::Quic(_) => Step::Quic,
            Self::Vpn(_) => Step::Vpn,
        }
    }
}

named! {
    /// How a question was asked.
    pub enum Engine {
        /// The system's resolver configuration, as applications use it.
        System = "system",
        /// Our own UDP query.
        Udp = "udp",
        /// DNS over HTTPS (RFC 8484).
        Doh = "doh",
        /// DNS over TCP (RFC 7766), by our own query.
        Tcp = "tcp",
        /// DNS over TLS (RFC 7858).
        Dot = "dot",
    }
}

named! {
    /// Record type asked for.
    pub enum QueryType {
        /// IPv4 addresses.
        A = "A",
        /// IPv6 addresses.
        Aaaa = "AAAA",
        /// The keys with which a handshake encrypts the name (RFC 9460; the answer holds none of them, only whether there are any).
        Https = "HTTPS",
    }
}

/// A question and everything that came back for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// How it was asked.
    pub engine: Engine,
    /// The resolver's stable name (`system`, `resolver/quad9`, or the DoH URL).
    pub resolver: String,
    /// The name asked for.
    pub hostname: String,
    /// The type asked for.
    pub query_type: QueryType,
    /// RCODE of the first reply (RFC 1035, 4.1.1), where it can be seen.
    pub rcode: Option<u16>,
    /// Records of the first reply, then of every later one (`reply` counts from 0).
    pub answers: Vec<DnsAnswer>,
    /// How many replies came; more than one to one question betrays an injector.
    pub replies: u16,
}

/// One record of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAnswer {
    /// Which reply, from 0.
    pub reply: u16,
    /// RCODE of that reply.
    pub rcode: Option<u16>,
    /// Milliseconds after the question that this reply came, rounded down.
    pub after_ms: u32,
    /// Time to live, seconds.
    pub ttl: Option<u32>,
    /// Whether that reply carried an OPT record (RFC 6891); every question of ours does.
    pub opt: Option<bool>,
    /// Whether that reply spelled the name with the very letters of the question, capitals and small ones.
    pub case_kept: Option<bool>,
    /// What the record holds.
    pub record: DnsRecord,
}

/// A record's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsRecord {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Cname(String),
    /// The reply held no record (its RCODE says why).
    Empty,
}

impl DnsAnswer {
    /// An address of the first reply, of which nothing else is told.
    pub fn told(address: IpAddr) -> Self {
        let record = DnsRecord::Address(address);
        Self { reply: 0, rcode: None, after_ms: 0, ttl: None, opt: None, case_kept: None, record }
    }
}

impl Dns {
    /// Addresses of the first reply.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses_of(|reply| reply == 0)
    }

    /// Addresses of later replies.
    pub fn late_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses_of(|reply| reply > 0)
    }

    fn addresses_of(&self, wanted: impl Fn(u16) -> bool + 'static) -> impl Iterator<Item = IpAddr> + '_ {
        self.answers.iter().filter(move |answer| wanted(answer.reply)).filter_map(|answer| match answer.record {
            DnsRecord::Address(address) => Some(address),
            _ => None,
        })
    }
}

/// A TLS handshake.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// Server name offered (RFC 6066, section 3); `None` when none was.
    pub sni: Option<String>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: Option<String>,
    /// IANA name of the cipher suite.
    pub cipher_suite: Option<String>,
    /// Negotiated application protocol (RFC 7301).
    pub alpn: Option<String>,
    /// The peer's chain, leaf first, kept also when verification failed. The handshake's outcome holds the verdict on it
    /// (`ssl_*`), judged against our own roots for the name offered.
    pub chain: Vec<Arc<Certificate>>,
    /// Bytes received before the end of the handshake; 0 with a failure means that the peer never spoke.
    pub bytes_received: u64,
    /// What the first bytes received were.
    pub first_bytes: Option<FirstBytes>,
}

named! {
    /// What the first bytes of a TLS peer were (RFC 8446, 5.1 and 6).
    pub enum FirstBytes {
        /// A handshake record.
        Handshake = "handshake",
        /// An alert record.
        Alert = "alert",
        /// Another well-formed TLS record.
        OtherRecord = "other_record",
        /// HTTP in the clear.
        Http = "http",
        /// Anything else.
        NotTls = "not_tls",
    }
}

/// A request and its response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Http {
    /// The URL asked for.
    pub url: String,
    /// `http/1.1` or `h2`.
    pub protocol: Option<String>,
    /// Status code, once a response came.
    pub status: Option<u16>,
    /// Response headers in order, names in lower case, values lossy UTF-8, scrubbed.
    pub headers: Vec<(String, String)>,
    /// The body as far as it was kept (at most 256 KiB).
    pub body: Option<Arc<[u8]>>,
    /// Bytes of body that were received.
    pub body_length: u64,
    /// The body was longer than what is kept.
    pub body_truncated: bool,
    /// The page's title where somebody else saw it and passed it on (a helper): own pages have their body.
    pub title: Option<String>,
    /// Milliseconds from the request to the end of the response's head, rounded down.
    pub head_ms: Option<u32>,
    /// When bytes came after the request; see [`Arrival`].
    pub arrivals: Vec<Arrival>,
}

impl Http {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Observation {
    /// Which step this is.
    pub fn step(&self) -> Step {
        self.data.step()
    }

    /// The DNS part.
    pub fn dns(&self) -> Option<&Dns> {
        if let StepData::Dns(dns) = &self.data { Some(dns) } else { None }
    }

    /// The TLS part.
    pub fn tls(&self) -> Option<&Tls> {
        if let StepData::Tls(tls) = &self.data { Some(tls) } else { None }
    }

    /// The QUIC part.
    pub fn quic(&self) -> Option<&Tls> {
        if let StepData::Quic(tls) = &self.data { Some(tls) } else { None }
    }

    /// The tunnel's part.
    pub fn vpn(&self) -> Option<&Vpn> {
        if let StepData::Vpn(vpn) = &self.data { Some(vpn) } else { None }
    }

    /// The HTTP part.
    pub fn http(&self) -> Option<&Http> {
        if let StepData::Http(http) = &self.data { Some(http) } else { None }
    }
}
