//! The plan of a run: fixed before anything is sent, printable, hashed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use faultline_record::{Endpoint, Network, RunId, Target, hex, sha256};
use faultline_verdict::{Withheld, is_withheld};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::Serialize;

use crate::cli::config::MeasureOptions;
use crate::follow_up::FollowUps;
use crate::helper::HelperClient;
use crate::limits::Limits;
use crate::lists::{Controls, LoadedList, Selection, VPN_LIST};

/// What a run will do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The run.
    pub run: RunId,
    /// Targets, in the order in which they are begun.
    pub targets: Vec<Target>,
    /// What was left out, by category that is off.
    pub left_out: Vec<(String, u32)>,
    /// SHA-256 over the lists' own hashes.
    pub lists_sha256: [u8; 32],
    /// The vantage.
    pub network: Network,
    /// Deadlines and caps.
    pub limits: Limits,
    /// Targets at a time.
    pub parallel: usize,
    /// New connections a second.
    pub rate: Option<f64>,
    /// No target begins after this.
    pub max_time: Option<Duration>,
    /// No target begins after so many bytes.
    pub max_data: Option<u64>,
    /// Which experiments follow what failed.
    pub follow_up: FollowUps,
    /// Whether sites that offer HTTP/3 are asked for the same over it.
    pub http3: bool,
    /// The helper that is asked, without its secrets.
    pub helper: Option<String>,
    /// Names of what is asked to prove the vantage, and of the resolvers compared with.
    pub controls: Vec<String>,
}

/// The hash that stands for the lists measured.
pub fn lists_hash(lists: &[LoadedList]) -> [u8; 32] {
    let all: Vec<u8> = lists.iter().flat_map(|list| list.sha256).collect();
    sha256(&all)
}

/// The hash that stands for inputs given on the command line.
pub fn inputs_hash(inputs: &[String]) -> [u8; 32] {
    sha256(inputs.join("\n").as_bytes())
}

impl Plan {
    /// Makes the plan. The order of the targets is drawn anew for each run, from its id.
    pub fn new(
        selection: Selection,
        lists_sha256: [u8; 32],
        options: &MeasureOptions,
        network: Network,
        controls: &Controls,
    ) -> Self {
        let run = RunId::new();
        let mut targets = selection.targets;
        targets.shuffle(&mut StdRng::from_seed(sha256(run.as_bytes())));
        Self {
            run,
            targets,
            left_out: selection.left_out.into_iter().collect(),
            lists_sha256,
            network,
            limits: Limits::default(),
            parallel: options.parallel,
            rate: options.rate,
            max_time: options.max_time,
            max_data: options.max_data,
            follow_up: options.follow_up,
            http3: options.http3,
            helper: options.helper.as_ref().map(|url| HelperClient::new(url).place()),
            controls: names_of(controls, options),
        }
    }

    /// Whether it speaks protocols of tunnels, or to what only serves them.
    pub fn tries_tunnels(&self) -> bool {
        let is_site = |target: &Target| matches!(target.endpoint, Endpoint::Web(_));
        let serves_them = |target: &Target| target.list.as_deref() == Some(VPN_LIST) && !is_site(target);
        self.targets.iter().any(|target| is_withheld(target) || serves_them(target))
    }

    /// How many rows were left out.
    pub fn left_out_rows(&self) -> u32 {
        self.left_out.iter().map(|(_, count)| count).sum()
    }

    /// SHA-256 of the plan as printed in JSON.
    pub fn sha256(&self) -> [u8; 32] {
        sha256(self.to_json().as_bytes())
    }

    /// The plan as one object, on one line.
    pub fn to_json(&self) -> String {
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        let target = |target| PrintedTarget::of(target);
        let printed = Printed {
            schema: "faultline/plan/1",
            run: self.run,
            network: &self.network,
            lists_sha256: hex(&self.lists_sha256),
            parallel: self.parallel,
            rate: self.rate,
            max_time_ms: self.max_time.map(ms),
            max_data: self.max_data,
            follow_up: self.follow_up.are_made(),
            locate: self.follow_up.locate(),
            http3: self.http3,
            limits: PrintedLimits::of(&self.limits),
            helper: self.helper.as_deref(),
            controls: &self.controls,
            left_out: self.left_out.iter().map(|(code, rows)| (code.as_str(), *rows)).collect(),
            targets: self.targets.iter().map(target).collect(),
        };
        // Only a map with keys that are no strings could fail; there is none.
        serde_json::to_string(&printed).unwrap_or_default()
    }

    /// The plan for a reader.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let rate = self
            .rate
            .map_or_else(|| "no limit on new connections".into(), |rate| format!("{rate} new connections a second"));
        let _ = writeln!(text, "{} targets, {} at a time, {rate}", self.targets.len(), self.parallel);
        for (limit, value) in [
            ("at most this long", self.max_time.map(|time| format!("{time:?}"))),
            ("at most this much", self.max_data.map(|bytes| format!("{bytes} bytes"))),
            ("follow-ups", Some(words(self.follow_up).to_owned())),
            ("HTTP/3", self.http3.then(|| "where a site offers it".to_owned())),
            ("helper", self.helper.clone()),
            ("controls", Some(self.controls.join(" "))),
            ("left out", self.left_out_words()),
        ] {
            if let Some(value) = value {
                let _ = writeln!(text, "{limit}: {value}");
            }
        }
        let width = self.targets.iter().map(|target| target.name.chars().count()).max().unwrap_or(0).min(40);
        for target in &self.targets {
            let _ = writeln!(text, "{:<width$}  {:<22}  {}", target.name, steps(&target.endpoint), input_of(target));
        }
        text
    }

    /// What was left out, in words; `None` when nothing was.
    pub fn left_out_words(&self) -> Option<String> {
        let rows = self.left_out_rows();
        let codes: Vec<&str> = self.left_out.iter().map(|(code, _)| code.as_str()).collect();
        (rows > 0).then(|| {
            format!(
                "{rows} targets in {} categories that are off until named with --category: {}",
                codes.len(),
                codes.join(" ")
            )
        })
    }
}

#[derive(Serialize)]
struct Printed<'a> {
    schema: &'static str,
    run: RunId,
    network: &'a Network,
    lists_sha256: String,
    parallel: usize,
    rate: Option<f64>,
    max_time_ms: Option<f64>,
    max_data: Option<u64>,
    follow_up: bool,
    locate: bool,
    http3: bool,
    limits: PrintedLimits,
    helper: Option<&'a str>,
    controls: &'a [String],
    left_out: BTreeMap<&'a str, u32>,
    targets: Vec<PrintedTarget<'a>>,
}

#[derive(Serialize)]
struct PrintedTarget<'a> {
    input: Cow<'a, str>,
    target: &'a str,
    category: Option<&'a str>,
}

impl<'a> PrintedTarget<'a> {
    fn of(target: &'a Target) -> Self {
        Self { input: input_of(target), target: &target.name, category: target.category.as_deref() }
    }
}

/// What is printed of an input: of a tunnel's server on a list not where it is.
pub fn input_of(target: &Target) -> Cow<'_, str> {
    match &target.list {
        Some(_) => Withheld::of_target(target).text(&target.input),
        None => Cow::Borrowed(&target.input),
    }
}

#[derive(Serialize)]
struct PrintedLimits {
    dns_ms: f64,
    late_dns_ms: f64,
    tcp_ms: f64,
    tls_ms: f64,
    follow_up_tls_ms: f64,
    tunnel_data_ms: f64,
    http_ms: f64,
    target_ms: f64,
    body: usize,
    redirects: u16,
    addresses: usize,
}

impl PrintedLimits {
    fn of(limits: &Limits) -> Self {
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        Self {
            dns_ms: ms(limits.dns),
            late_dns_ms: ms(limits.late_dns),
            tcp_ms: ms(limits.tcp),
            tls_ms: ms(limits.tls),
            follow_up_tls_ms: ms(limits.follow_up_tls),
            tunnel_data_ms: ms(limits.tunnel_data),
            http_ms: ms(limits.http),
            target_ms: ms(limits.target),
            body: limits.body,
            redirects: limits.redirects,
            addresses: limits.addresses,
        }
    }
}

fn words(follow_ups: FollowUps) -> &'static str {
    match follow_ups {
        FollowUps::None => "no",
        FollowUps::Usual => "yes",
        FollowUps::Located => "yes, and where on the path somebody answers",
    }
}

/// The steps that an endpoint is taken through.
fn steps(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Web(url) if url.scheme() == "https" => "dns, tcp, tls, http",
        Endpoint::Web(_) => "dns, tcp, http",
        Endpoint::Tcp { .. } => "dns, tcp",
        Endpoint::Tls { .. } => "dns, tcp, tls",
        Endpoint::Quic { path: Some(_), .. } => "dns, quic, http",
        Endpoint::Quic { .. } => "dns, quic",
        Endpoint::Vpn { protocol, .. } if protocol.has_tls_step() => "dns, tcp, tls, vpn",
        Endpoint::Vpn { protocol, .. } if protocol.is_tcp() => "dns, tcp, vpn",
        Endpoint::Vpn { .. } => "dns, vpn",
        Endpoint::Dns { .. } => "dns",
        Endpoint::Foreign(_) => "nothing",
    }
}

fn names_of(controls: &Controls, options: &MeasureOptions) -> Vec<String> {
    let captive = controls.captive.iter().map(|check| check.name.clone());
    let targets = controls.control.iter().map(|control| control.name.clone());
    let resolvers = controls.resolver.iter().map(|resolver| resolver.name.clone());
    let own = options.doh.iter().map(ToString::to_string);
    captive.chain(targets).chain(resolvers).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::config::ConfigFile;
    use crate::lists::{Catalog, Categories, ListSource, load_all, select};

    fn plan() -> Plan {
        let options = ConfigFile::default().measure(crate::cli::MeasureArgs::default()).unwrap();
        let lists = load_all(&ListSource::EMBEDDED, &Catalog::embedded().unwrap()).unwrap();
        let hash = lists_hash(&lists);
        let selection = select(lists, &Categories::embedded().unwrap().choose(&[]).unwrap(), &[]);
        Plan::new(selection, hash, &options, Network::default(), &Controls::embedded().unwrap())
    }

    #[test]
    fn two_runs_take_the_same_targets_in_different_orders() {
        let (one, other) = (plan(), plan());
        let names = |plan: &Plan| plan.targets.iter().map(|target| target.input.clone()).collect::<Vec<_>>();
        assert_ne!(names(&one), names(&other));
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        assert_eq!(sorted(names(&one)), sorted(names(&other)));
        assert_eq!(one.lists_sha256, other.lists_sha256);
        assert_ne!(one.sha256(), other.sha256());
    }

    #[test]
    fn a_plan_with_a_server_of_tunnels_in_it_says_so() {
        let with = |input: &str, list: Option<&str>| {
            let target = Catalog::embedded().unwrap().target(input, Endpoint::parse(input).unwrap(), None, list);
            Plan { targets: vec![target], ..plan() }.tries_tunnels()
        };
        assert!(with("wireguard://vpn.example:51820", None) && with("tls://128.31.0.39:9201", Some("vpn")));
        assert!(!with("https://x.com/", None) && !with("https://mullvad.net/", Some("vpn")));
        assert!(!plan().tries_tunnels(), "what is measured unasked has no tunnels in it");
    }

    #[test]
    fn the_printed_plan_names_every_target_every_limit_and_what_was_left_out() {
        let plan = plan();
        let text = plan.to_text();
        assert!(plan.targets.iter().all(|target| text.contains(&target.input)));
        assert!(text.contains("16 at a time, 20 new connections a second"));
        assert!(text.contains("categories that are off until named"));
        let json: serde_json::Value = serde_json::from_str(&plan.to_json()).unwrap();
        assert_eq!(json["targets"].as_array().unwrap().len(), plan.targets.len());
        assert_eq!(json["limits"]["target_ms"], 60_000.0);
    }
}
