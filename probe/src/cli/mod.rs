//! The command line: what was typed. What it means is decided in `config`.
//!
//! Every option is also `FAULTLINE_*` in the environment and a key of the configuration file: one definition makes all
//! three (a test holds them together).

pub mod config;
pub mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use faultline_record::NetworkKind;
use serde::Deserialize;
use url::Url;

use values::{Asn, Country, Parallel, Rate, Size, Span};

/// Words under the help text.
const AFTER_HELP: &str = "\
Exit codes: 0 done, whatever the verdicts; 1 internal error; 2 usage; 3 nothing could be measured or read; 4 storage; \
130 interrupted, what was measured is kept.
Every option can also be set as FAULTLINE_NAME in the environment, or as a key of the configuration file \
($XDG_CONFIG_HOME/faultline/config.toml): option over environment over file.";

/// Measures whether sites and apps can be reached, and tells blocking from outages.
#[derive(Debug, Parser)]
#[command(name = "probe", version, after_help = AFTER_HELP, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Read this configuration file instead of the one in the user's configuration folder
    #[arg(long, global = true, value_name = "FILE", env = "FAULTLINE_CONFIG", hide_env = true)]
    pub config: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure lists of targets
    Run {
        /// Which targets.
        #[command(flatten)]
        lists: ListArgs,
        /// How.
        #[command(flatten)]
        measure: MeasureArgs,
        /// Where to.
        #[command(flatten)]
        store: StoreArgs,
        /// How to print.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Measure what is named here: URLs or host names
    Check {
        /// URLs (https, http, tcp, tls, dns) or host names
        #[arg(required = true, value_name = "INPUT")]
        inputs: Vec<String>,
        /// How.
        #[command(flatten)]
        measure: MeasureArgs,
        /// Where to.
        #[command(flatten)]
        store: StoreArgs,
        /// How to print.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Look at what was measured before
    #[command(subcommand)]
    Results(Results),
    /// Look at lists of targets, without measuring
    #[command(subcommand)]
    Targets(Targets),
    /// Help probes in other networks
    #[command(subcommand)]
    Helper(Helper),
}

/// `probe helper`.
#[derive(Debug, Subcommand)]
pub enum Helper {
    /// Try targets from here for probes that ask, until ended: run it outside the network that is measured
    Serve {
        /// Address and port to listen on, as in 127.0.0.1:8080
        #[arg(long, value_name = "ADDR:PORT", env = "FAULTLINE_LISTEN", hide_env = true)]
        listen: std::net::SocketAddr,
        /// Trust these certificate authorities too, besides the built-in ones
        #[arg(long, value_name = "PEM", env = "FAULTLINE_CA_FILE", hide_env = true)]
        ca_file: Option<PathBuf>,
        /// Try private addresses and this machine's own too: never where strangers can ask
        #[arg(long, env = "FAULTLINE_ALLOW_PRIVATE", hide_env = true)]
        allow_private: bool,
    },
}

/// `probe results`.
#[derive(Debug, Subcommand)]
pub enum Results {
    /// List the runs
    List {
        /// Where from.
        #[command(flatten)]
        store: StoreArgs,
        /// How to print.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show a run, or everything seen in one measurement
    Show {
        /// Id of a run or a measurement, or the beginning of one
        #[arg(value_name = "ID")]
        id: String,
        /// Tell where servers of tunnels are that came from a list
        #[arg(long)]
        with_endpoints: bool,
        /// Where from.
        #[command(flatten)]
        store: StoreArgs,
        /// How to print.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print measurements for others, one JSON object a line: where servers of tunnels are is left out
    Export {
        /// Only this run: its id, or the beginning or end of it
        #[arg(long, value_name = "ID")]
        run: Option<String>,
        /// Tell where servers of tunnels are
        #[arg(long)]
        with_endpoints: bool,
        /// Where from.
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// `probe targets`.
#[derive(Debug, Subcommand)]
pub enum Targets {
    /// List the targets that a run would measure
    List {
        /// Which targets.
        #[command(flatten)]
        lists: ListArgs,
        /// How to print.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Check list files: every bad row is named with its line
    Validate {
        /// List files; the embedded lists when none is given
        #[arg(value_name = "FILE")]
        files: Vec<String>,
    },
    /// Make a list of a provider's own list of servers (JSON, as Mullvad, Nord or IVPN publish it), for --list
    Import {
        /// The provider's file, fetched by you
        #[arg(long, value_name = "FILE")]
        provider_list: PathBuf,
        /// The list to write; only you can read it
        #[arg(short, long, value_name = "FILE.toml")]
        output: PathBuf,
        /// Servers of each protocol and country at most
        #[arg(long, value_name = "N", default_value = "2")]
        most: std::num::NonZeroUsize,
    },
}

/// Which targets.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ListArgs {
    /// List to measure: a CSV file in Citizen Lab's columns, a service file (.toml), or services, vpn, websites or pk;
    /// several times or with commas [default: all embedded lists]
    #[arg(long, value_name = "FILE|NAME", env = "FAULTLINE_LIST", value_delimiter = ',', hide_env = true)]
    pub list: Vec<String>,
    /// Measure only targets whose name or URL matches, * standing for any text
    #[arg(long, value_name = "PATTERN", env = "FAULTLINE_ONLY", value_delimiter = ',', hide_env = true)]
    pub only: Vec<String>,
    /// Measure only these categories, and so choose one that is off; `default` stands for all that are on
    #[arg(long, value_name = "CODE", env = "FAULTLINE_CATEGORY", value_delimiter = ',', hide_env = true)]
    pub category: Vec<String>,
}

/// Where results are kept.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct StoreArgs {
    /// Database of results [default: faultline/results.sqlite in the user's data folder]
    #[arg(long, value_name = "FILE", env = "FAULTLINE_DB", hide_env = true)]
    pub db: Option<PathBuf>,
}

/// How to print.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct OutputArgs {
    /// Print one JSON object a line
    #[arg(long, env = "FAULTLINE_JSON", hide_env = true, num_args = 0..=1, require_equals = true, value_name = "BOOL",
          default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(), hide_possible_values = true)]
    pub json: Option<bool>,
    /// No progress, no summary, and of the table only what is not ok
    #[arg(long, env = "FAULTLINE_QUIET", hide_env = true, num_args = 0..=1, require_equals = true, value_name = "BOOL",
          default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(), hide_possible_values = true)]
    pub quiet: Option<bool>,
}

/// How to measure.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct MeasureArgs {
    /// Targets measured at the same time [default: 16]
    #[arg(long, value_name = "N", env = "FAULTLINE_PARALLEL", hide_env = true)]
    pub parallel: Option<Parallel>,
    /// New connections a second, 0 for no limit [default: 20]
    #[arg(long, value_name = "PER_SECOND", env = "FAULTLINE_RATE", hide_env = true)]
    pub rate: Option<Rate>,
    /// Begin no more targets after this time, as in 90s or 10m
    #[arg(long, value_name = "DURATION", env = "FAULTLINE_MAX_TIME", hide_env = true)]
    pub max_time: Option<Span>,
    /// Begin no more targets after this much data, as in 20MB
    #[arg(long, value_name = "SIZE", env = "FAULTLINE_MAX_DATA", hide_env = true)]
    pub max_data: Option<Size>,
    /// A DNS-over-HTTPS resolver to compare with, besides the public ones; several times or with commas
    #[arg(long, value_name = "URL", env = "FAULTLINE_DOH", value_delimiter = ',', hide_env = true)]
    pub doh: Vec<Url>,
    /// A helper outside this network to compare with, for targets that do not plainly work (see `probe helper serve`)
    #[arg(long, value_name = "URL", env = "FAULTLINE_HELPER", hide_env = true)]
    pub helper: Option<Url>,
    /// Keys of tunnels, for endpoints that answer nobody without one: a TOML file, of which nothing is printed or recorded
    #[arg(long, value_name = "FILE", env = "FAULTLINE_VPN_KEYS", hide_env = true)]
    pub vpn_keys: Option<PathBuf>,
    /// Trust these certificate authorities too, besides the built-in ones
    #[arg(long, value_name = "PEM", env = "FAULTLINE_CA_FILE", hide_env = true)]
    pub ca_file: Option<PathBuf>,
    /// Make no experiments that would settle what failed
    #[arg(long, env = "FAULTLINE_NO_FOLLOW_UP", hide_env = true, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(),
          hide_possible_values = true)]
    pub no_follow_up: Option<bool>,
    /// Find out how far away somebody cuts handshakes off: up to forty more connections for each name that is reset
    #[arg(long, env = "FAULTLINE_LOCATE", hide_env = true, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(),
          hide_possible_values = true, conflicts_with = "no_follow_up")]
    pub locate: Option<bool>,
    /// Ask sites that offer HTTP/3 for the same page over it, too: a QUIC handshake and a request for each
    #[arg(long, env = "FAULTLINE_HTTP3", hide_env = true, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(),
          hide_possible_values = true, conflicts_with = "no_follow_up")]
    pub http3: Option<bool>,
    /// Print what would be measured, and send nothing
    #[arg(long, env = "FAULTLINE_DRY_RUN", hide_env = true, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(),
          hide_possible_values = true)]
    pub dry_run: Option<bool>,
    /// Consent without being asked, as for cron; it is recorded
    #[arg(long, env = "FAULTLINE_YES", hide_env = true, num_args = 0..=1, require_equals = true, value_name = "BOOL",
          default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(), hide_possible_values = true)]
    pub yes: Option<bool>,
    /// Consent to trying tunnels (VPNs, proxies, Tor) without being asked; it is recorded
    #[arg(long, env = "FAULTLINE_YES_VPN", hide_env = true, num_args = 0..=1, require_equals = true, value_name = "BOOL",
          default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(), hide_possible_values = true)]
    pub yes_vpn: Option<bool>,
    /// The network's autonomous system number; it is never looked up
    #[arg(long, value_name = "NUMBER", env = "FAULTLINE_ASN", hide_env = true)]
    pub asn: Option<Asn>,
    /// The country, as two letters; it is never looked up
    #[arg(long, value_name = "CODE", env = "FAULTLINE_COUNTRY", hide_env = true)]
    pub country: Option<Country>,
    /// The access link: wired, wifi, mobile or unknown [default: guessed from the interface of the default route]
    #[arg(long, value_name = "KIND", env = "FAULTLINE_NETWORK_KIND", hide_env = true, hide_possible_values = true)]
    pub network_kind: Option<LinkKind>,
}

/// The kind of access link, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// Cable
    Wired,
    /// Wireless LAN
    Wifi,
    /// Cellular
    Mobile,
    /// Not known
    Unknown,
}

impl From<LinkKind> for NetworkKind {
    fn from(kind: LinkKind) -> Self {
        match kind {
            LinkKind::Wired => Self::Wired,
            LinkKind::Wifi => Self::Wifi,
            LinkKind::Mobile => Self::Mobile,
            LinkKind::Unknown => Self::Unknown,
        }
    }
}
