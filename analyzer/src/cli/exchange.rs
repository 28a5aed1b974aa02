//! What can be typed to bring files together, take in what others measured, and give out what we did.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

/// `analyzer merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Database that receives the measurements; made if it is not there
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// Databases to take them from, or folders: every *.sqlite below; they are not changed
    #[arg(value_name = "IN", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Exit with 0 though an input was refused; it is named all the same
    #[arg(long, env = "FAULTLINE_SKIP_BAD", hide_env = true, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_missing_value = "true", value_parser = BoolishValueParser::new(),
          hide_possible_values = true)]
    pub skip_bad: Option<bool>,
}

/// `analyzer import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files, folders with all that is below them, or - for standard input: JSON, one or many (feeds: also CSV), also in gzip, zstd or
    /// tar; with --again, databases
    #[arg(value_name = "FILE", required = true)]
    pub inputs: Vec<PathBuf>,
    /// What they are
    #[arg(long, value_enum, env = "FAULTLINE_FORMAT", hide_env = true, required_unless_present = "again")]
    pub format: Option<ImportFormat>,
    /// Database that receives them; made if it is not there
    #[arg(long, value_name = "OUT", env = "FAULTLINE_DB", hide_env = true)]
    pub db: PathBuf,
    /// Read again the texts of measurements that the databases FILE keep, into a new database
    #[arg(long, conflicts_with = "format")]
    pub again: bool,
    /// Leave out the texts of measurements, which are kept so that a better importer can read them again
    #[arg(long, env = "FAULTLINE_NO_RAW", hide_env = true, num_args = 0..=1, require_equals = true, value_name = "BOOL",
          default_missing_value = "true", value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub no_raw: Option<bool>,
    /// Feeds: who publishes it, where it does not say so itself
    #[arg(long, value_name = "NAME", help_heading = "What a feed does not say of itself")]
    pub source: Option<String>,
    /// Feeds: the country it is of, as two letters
    #[arg(long, value_name = "CODE", value_parser = country, help_heading = "What a feed does not say of itself")]
    pub country: Option<String>,
    /// Feeds: the part of the country it is of
    #[arg(long, value_name = "NAME", help_heading = "What a feed does not say of itself")]
    pub region: Option<String>,
    /// Feeds: the network it is of
    #[arg(long, value_name = "NUMBER", help_heading = "What a feed does not say of itself")]
    pub asn: Option<u32>,
    /// Feeds: what its values count
    #[arg(long, value_name = "WORDS", help_heading = "What a feed does not say of itself")]
    pub unit: Option<String>,
    /// Print the account as one JSON object to standard output, too
    #[arg(long, env = "FAULTLINE_JSON", hide_env = true, num_args = 0..=1, require_equals = true, value_name = "BOOL",
          default_missing_value = "true", value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub json: Option<bool>,
}

/// Formats that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// OONI Probe's measurements, of every test since 2015
    Ooni,
    /// Censored Planet's: Quack and Hyperquack (v1, v2), Satellite (v1, v2)
    CensoredPlanet,
    /// Signals of connectivity and announcements of outages: IODA's, Cloudflare Radar's, or a table
    Outages,
    /// Dated numbers of what is wanted, such as sign-ups for VPNs, with or without a baseline
    Demand,
}

fn country(text: &str) -> Result<String, &'static str> {
    let code = text.to_ascii_uppercase();
    let fits = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if fits { Ok(code) } else { Err("a country is two letters, as in PK") }
}

/// `analyzer export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Databases that probes wrote, or folders: every *.sqlite below
    #[arg(value_name = "DB", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub files: Vec<PathBuf>,
    /// Which format
    #[arg(long, value_enum, env = "FAULTLINE_FORMAT", hide_env = true)]
    pub format: ExportFormat,
    /// Folder that receives the files (of tables, a folder for each); made if it is not there
    #[arg(short, long, value_name = "DIR", env = "FAULTLINE_OUTPUT", hide_env = true)]
    pub output: PathBuf,
    /// Known block pages and forged answers, in the columns of OONI's lists, beside our own, for the table of verdicts; several times
    #[cfg(feature = "engine")]
    #[arg(long, value_name = "FILE", env = "FAULTLINE_FINGERPRINTS", hide_env = true)]
    pub fingerprints: Vec<PathBuf>,
}

/// Formats that measurements can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// OONI's JSON, one measurement a line (ooni.jsonl), without the addresses of tunnels' servers
    Ooni,
    /// Tables in Apache Parquet, which `analyzer query` reads as well
    #[cfg(feature = "engine")]
    Parquet,
    /// Tables as comma-separated values with a header
    #[cfg(feature = "engine")]
    Csv,
}

#[cfg(feature = "engine")]
impl ExportFormat {
    /// Whether it is made of tables, which the engine writes.
    pub fn is_tables(self) -> bool {
        self != Self::Ooni
    }
}

/// `analyzer feeds`.
#[derive(Debug, Args)]
pub struct FeedsArgs {
    /// Databases into which feeds were imported, or folders: every *.sqlite below
    #[arg(value_name = "DB", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub files: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t, env = "FAULTLINE_FORMAT", hide_env = true)]
    pub format: ListFormat,
}

/// `analyzer ledger`.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    /// Databases into which others were merged or imported, or folders: every *.sqlite below
    #[arg(value_name = "DB", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub files: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t, env = "FAULTLINE_FORMAT", hide_env = true)]
    pub format: ListFormat,
}

/// How lists are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Plain lines
    #[default]
    Table,
    /// One JSON object a line
    Jsonl,
}
