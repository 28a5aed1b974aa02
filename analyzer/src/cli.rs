//! The command line: what can be typed.

#[cfg(feature = "cluster")]
mod cluster;
mod exchange;

use std::path::PathBuf;

use clap::builder::{BoolishValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use faultline_record::{MeasurementId, RunId, hex};
use faultline_verdict::{Rung, State};

use faultline_record::Pattern;

use crate::group::{By, Window};
#[cfg(feature = "cluster")]
pub use cluster::{ClusterArgs, ExecutorArgs, Role, SchedulerArgs};
pub use exchange::{ExportArgs, ExportFormat, FeedsArgs, ImportArgs, ImportFormat, LedgerArgs, ListFormat, MergeArgs};

/// Words under the help text.
const AFTER_HELP: &str = "\
Exit codes: 0 done, whatever the verdicts; 1 internal error, or figures worse than \
committed; 2 usage; 3 nothing could be read; 4 storage, which includes \
a file among several that could not be read; 130 interrupted.
Options can also be set as FAULTLINE_NAME in the environment; what is typed wins.";

/// Reads what probes measured and says what was reachable, blocked or down, and on which evidence.
#[derive(Debug, Parser)]
#[command(name = "analyzer", version, after_help = AFTER_HELP, max_term_width = 110)]
pub struct Cli {
    /// Let the executors of this cluster do the work of `query` and of `export` of tables; all else is done here
    #[cfg(feature = "cluster")]
    #[arg(long, global = true, value_name = "df://HOST:PORT", env = "FAULTLINE_CLUSTER", hide_env = true)]
    pub cluster: Option<crate::cluster::Address>,
    /// With --cluster: cut a step of a query into so many parts at most; as many as the executors have cores, or a few times that
    #[cfg(feature = "cluster")]
    #[arg(long, global = true, value_name = "N", default_value_t = 16, env = "FAULTLINE_PARTITIONS", hide_env = true,
          value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub partitions: u16,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[cfg(feature = "engine")]
impl Cli {
    /// Where queries run.
    pub fn place(&self) -> crate::engine::Place {
        #[cfg(feature = "cluster")]
        if let Some(scheduler) = self.cluster.clone() {
            let partitions = usize::from(self.partitions);
            return crate::engine::Place::Cluster(crate::cluster::client::Cluster { scheduler, partitions });
        }
        crate::engine::Place::Here
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the verdict of every measurement, each measurement once
    Verdicts(VerdictsArgs),
    /// Show how one verdict comes about, down to the rows it rests on
    Explain(ExplainArgs),
    /// Bring verdicts together by target, network and hour, each judged in the light of all others
    Cells(CellsArgs),
    /// Tell what happened: blocks, outages, shutdowns; where, from when to when, and by which evidence
    Events(EventsArgs),
    /// List the verdicts that another ruleset changes
    Diff(DiffArgs),
    /// Fit the weights of rules to labels, and check what probabilities are worth
    Calibrate(CalibrateArgs),
    /// Score verdicts against labels that say what is true
    Evaluate(EvaluateArgs),
    /// Ask a question in SQL, over measurements and verdicts
    #[cfg(feature = "engine")]
    Query(QueryArgs),
    /// Make up measurements, to find out what many of them cost
    Generate(GenerateArgs),
    /// Bring measurements of several databases together in one
    Merge(MergeArgs),
    /// Bring other tools' measurements, or feeds of outages and demand, into a database
    Import(ImportArgs),
    /// Write measurements in another tool's format, or as tables for other programs
    Export(ExportArgs),
    /// List what others publish of places: series, outages
    Feeds(FeedsArgs),
    /// List what came into a database from which file
    Ledger(LedgerArgs),
    /// Run a part of a cluster, which answers queries too large for one machine
    #[cfg(feature = "cluster")]
    Cluster(ClusterArgs),
}

#[cfg(feature = "cluster")]
impl Command {
    /// Whether a cluster can do the work.
    pub fn runs_on_clusters(&self) -> bool {
        match self {
            Self::Query(_) => true,
            Self::Export(options) => options.format.is_tables(),
            _ => false,
        }
    }
}

/// `analyzer verdicts`.
#[derive(Debug, Args)]
pub struct VerdictsArgs {
    /// Databases that probes wrote, or folders: every *.sqlite below
    #[arg(value_name = "DB", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub files: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t, env = "FAULTLINE_FORMAT", hide_env = true)]
    pub format: Format,
    /// Print only verdicts of this state; several times or with commas
    #[arg(long, env = "FAULTLINE_STATE", hide_env = true, value_delimiter = ',', value_parser = states())]
    pub state: Vec<State>,
    /// Print only targets whose name or URL matches: * stands for any text, ? for one character
    #[arg(long, value_name = "GLOB", env = "FAULTLINE_TARGET", hide_env = true)]
    pub target: Option<Pattern>,
    /// Judge each in the light of all others: the files are read twice
    #[arg(long, env = "FAULTLINE_CONTEXT", hide_env = true, num_args = 0..=1, require_equals = true, value_name = "BOOL",
          default_missing_value = "true", value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub context: Option<bool>,
    /// How other measurements are taken into account, with --context
    #[command(flatten)]
    pub others: ContextArgs,
    /// Print only measurements of this run
    #[arg(long, value_name = "ID", env = "FAULTLINE_RUN", hide_env = true)]
    pub run: Option<RunId>,
    /// Known block pages and forged answers, in the columns of OONI's lists, beside our own; several times
    #[arg(long, value_name = "FILE", env = "FAULTLINE_FINGERPRINTS", hide_env = true)]
    pub fingerprints: Vec<PathBuf>,
    /// Tell where servers of tunnels are: their addresses, names and public keys, which are otherwise left out
    #[arg(long, env = "FAULTLINE_WITH_ENDPOINTS", hide_env = true, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_missing_value = "true", value_parser = BoolishValueParser::new(),
          hide_possible_values = true)]
    pub with_endpoints: Option<bool>,
    /// Put together what belongs together: service, or label:registration
    #[arg(long, value_name = "WHAT", env = "FAULTLINE_BY", hide_env = true, conflicts_with = "state")]
    pub by: Option<By>,
    /// With --by: over which time, as in 15m or 1h, or run for each run apart
    #[arg(long, value_name = "TIME", env = "FAULTLINE_WINDOW", hide_env = true, requires = "by", default_value_t = Window::HOUR)]
    pub window: Window,
    /// With --by: service files beside our own, such as lists of servers; several times
    #[arg(long, value_name = "FILE", env = "FAULTLINE_SERVICES", hide_env = true, requires = "by")]
    pub services: Vec<PathBuf>,
    /// With --by: labels of providers beside our own, in the columns of test-lists/vpn/registration-pk.csv; several times
    #[arg(long, value_name = "FILE", env = "FAULTLINE_LABEL_FILE", hide_env = true, requires = "by")]
    pub label_file: Vec<PathBuf>,
}

/// How verdicts are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table on a terminal, else plain lines
    #[default]
    Table,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
}

/// `analyzer cells`.
#[derive(Debug, Args)]
pub struct CellsArgs {
    /// Databases that probes wrote, or folders: every *.sqlite below
    #[arg(value_name = "DB", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub files: Vec<PathBuf>,
    /// Bring together by network, by resolver (what was said of names), by service (all its endpoints), by country, or by service and
    /// country
    #[arg(long, env = "FAULTLINE_BY", hide_env = true, default_value = "network", value_parser = rungs())]
    pub by: Rung,
    /// Length of a cell in hours
    #[arg(long, value_name = "N", env = "FAULTLINE_HOURS", hide_env = true, default_value_t = 1,
          value_parser = clap::value_parser!(i64).range(1..=8_784))]
    pub hours: i64,
    /// How to print
    #[arg(long, value_enum, default_value_t, env = "FAULTLINE_FORMAT", hide_env = true)]
    pub format: Format,
    /// How measurements are brought together
    #[command(flatten)]
    pub together: TogetherArgs,
}

/// What `cells` and `events` are made by.
#[derive(Debug, Args)]
pub struct TogetherArgs {
    /// Say nothing that fewer independent submitters say; 1 only for files that are all your own
    #[arg(long, value_name = "N", env = "FAULTLINE_FLOOR", hide_env = true, default_value_t = 2,
          value_parser = clap::value_parser!(u8).range(1..=8))]
    pub floor: u8,
    /// Service files beside our own, such as lists of servers: which endpoints belong to one service; several times
    #[arg(long, value_name = "FILE", env = "FAULTLINE_SERVICES", hide_env = true)]
    pub services: Vec<PathBuf>,
    /// How other measurements are taken into account
    #[command(flatten)]
    pub context: ContextArgs,
    /// Known block pages and forged answers, in the columns of OONI's lists, beside our own; several times
    #[arg(long, value_name = "FILE", env = "FAULTLINE_FINGERPRINTS", hide_env = true)]
    pub fingerprints: Vec<PathBuf>,
}

/// `analyzer events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Databases that probes wrote, or folders: every *.sqlite below
    #[arg(value_name = "DB", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub files: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t, env = "FAULTLINE_FORMAT", hide_env = true)]
    pub format: EventsFormat,
    /// Print no events but how well they were found, by this file of what happened, which generate --campaign wrote
    #[arg(long, value_name = "FILE", env = "FAULTLINE_SCORE", hide_env = true, conflicts_with = "format")]
    pub score: Option<PathBuf>,
    /// How measurements are brought together
    #[command(flatten)]
    pub together: TogetherArgs,
}

/// How events are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EventsFormat {
    /// A paragraph for each, for people
    #[default]
    Table,
    /// One JSON array
    Json,
}

/// What a context is made by.
#[derive(Debug, Args)]
pub struct ContextArgs {
    /// Who counts as one submitter: who handed in a file; what the ledger of a file says was merged into it, only where you
    /// merged it yourself; or a run, only where you know that runs are of different people, as in an import of your own making
    #[arg(long, value_enum, default_value_t, env = "FAULTLINE_SUBMITTERS", hide_env = true)]
    pub submitters: Submitters,
    /// Trust these certificate authorities as well when chains are verified anew (PEM); several times
    #[arg(long, value_name = "PEM", env = "FAULTLINE_CA_FILE", hide_env = true)]
    pub ca_file: Vec<PathBuf>,
    /// Databases into which you imported feeds of outages yourself: one source of theirs is believed, whereas feeds in other files count
    /// only where two sources in files of different submitters say the same; several times
    #[arg(long, value_name = "DB", env = "FAULTLINE_FEEDS", hide_env = true)]
    pub feeds: Vec<PathBuf>,
}

/// Who counts as one submitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Submitters {
    /// Whoever handed in a file
    #[default]
    File,
    /// Whoever handed in a file that was merged into one, by its ledger
    Ledger,
    /// Whoever made a run
    Run,
}

/// `analyzer diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Databases that probes wrote, or folders: every *.sqlite below
    #[arg(value_name = "DB", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub files: Vec<PathBuf>,
    /// The two rulesets: files in the form of crates/verdict/rules.toml, or the version that is built in
    #[arg(long, value_names = ["BEFORE", "AFTER"], num_args = 2, required = true)]
    pub ruleset: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t, env = "FAULTLINE_FORMAT", hide_env = true)]
    pub format: Format,
    /// Known block pages and forged answers, in the columns of OONI's lists, beside our own; several times
    #[arg(long, value_name = "FILE", env = "FAULTLINE_FINGERPRINTS", hide_env = true)]
    pub fingerprints: Vec<PathBuf>,
}

/// `analyzer explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A measurement's id, or the beginning or the end of one
    #[arg(value_name = "ID")]
    pub id: IdPart,
    /// Databases that probes wrote, or folders: every *.sqlite below
    #[arg(value_name = "DB", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub files: Vec<PathBuf>,
    /// Judge it in the light of all others, and tell what each of them says: the files are read twice
    #[arg(long, env = "FAULTLINE_CONTEXT", hide_env = true, num_args = 0..=1, require_equals = true, value_name = "BOOL",
          default_missing_value = "true", value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub context: Option<bool>,
    /// How other measurements are taken into account, with --context
    #[command(flatten)]
    pub others: ContextArgs,
    /// Print one JSON object instead of words
    #[arg(long, env = "FAULTLINE_JSON", hide_env = true, num_args = 0..=1, require_equals = true, value_name = "BOOL",
          default_missing_value = "true", value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub json: Option<bool>,
    /// Tell where servers of tunnels are: their addresses, names and public keys, which are otherwise left out
    #[arg(long, env = "FAULTLINE_WITH_ENDPOINTS", hide_env = true, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_missing_value = "true", value_parser = BoolishValueParser::new(),
          hide_possible_values = true)]
    pub with_endpoints: Option<bool>,
    /// Known block pages and forged answers, in the columns of OONI's lists, beside our own; several times
    #[arg(long, value_name = "FILE", env = "FAULTLINE_FINGERPRINTS", hide_env = true)]
    pub fingerprints: Vec<PathBuf>,
}

/// `analyzer evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Databases that probes wrote, or folders: every *.sqlite below
    #[arg(value_name = "DB", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub files: Vec<PathBuf>,
    /// Labels, one JSON object a line, or a folder: every labels.jsonl below; several times
    #[arg(long, value_name = "FILE", required = true, env = "FAULTLINE_LABELS", hide_env = true)]
    pub labels: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t, env = "FAULTLINE_FORMAT", hide_env = true)]
    pub format: EvaluateFormat,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE", env = "FAULTLINE_OUTPUT", hide_env = true)]
    pub output: Option<PathBuf>,
    /// Compare with figures written by --write-check; exit with 1 if one is worse by more than its tolerance
    #[arg(long, value_name = "FILE", env = "FAULTLINE_CHECK", hide_env = true)]
    pub check: Option<PathBuf>,
    /// Write the figures for --check; tolerances of a file that is there are kept
    #[arg(long, value_name = "FILE", env = "FAULTLINE_WRITE_CHECK", hide_env = true, conflicts_with = "check")]
    pub write_check: Option<PathBuf>,
    /// Known block pages and forged answers, in the columns of OONI's lists, beside our own; several times
    #[arg(long, value_name = "FILE", env = "FAULTLINE_FINGERPRINTS", hide_env = true)]
    pub fingerprints: Vec<PathBuf>,
}

/// `analyzer calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// Databases that probes wrote, or folders: every *.sqlite below
    #[arg(value_name = "DB", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub files: Vec<PathBuf>,
    /// Labels, one JSON object a line, or a folder: every labels.jsonl below; several times
    #[arg(long, value_name = "FILE", required = true, env = "FAULTLINE_LABELS", hide_env = true)]
    pub labels: Vec<PathBuf>,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE", env = "FAULTLINE_OUTPUT", hide_env = true)]
    pub output: Option<PathBuf>,
    /// Known block pages and forged answers, in the columns of OONI's lists, beside our own; several times
    #[arg(long, value_name = "FILE", env = "FAULTLINE_FINGERPRINTS", hide_env = true)]
    pub fingerprints: Vec<PathBuf>,
}

/// How scores are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EvaluateFormat {
    /// A page of Markdown
    #[default]
    Markdown,
    /// One JSON object
    Json,
}

/// `analyzer query`.
#[cfg(feature = "engine")]
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// The question
    #[arg(
        value_name = "SQL",
        help = "The question; the tables are measurements, observations, dns_answers, health_checks and verdicts"
    )]
    pub sql: String,
    /// A database that a probe wrote, or a folder: every *.sqlite below, and tables in Parquet; several times
    #[arg(long, value_name = "PATH", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub db: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t, env = "FAULTLINE_FORMAT", hide_env = true)]
    pub format: QueryFormat,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE", env = "FAULTLINE_OUTPUT", hide_env = true)]
    pub output: Option<PathBuf>,
    /// Known block pages and forged answers, in the columns of OONI's lists, beside our own; several times
    #[arg(long, value_name = "FILE", env = "FAULTLINE_FINGERPRINTS", hide_env = true)]
    pub fingerprints: Vec<PathBuf>,
}

/// How the rows of a query are printed.
#[cfg(feature = "engine")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum QueryFormat {
    /// A table on a terminal, else lines with tabs
    #[default]
    Table,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
    /// Apache Parquet, to a file
    Parquet,
}

/// `analyzer generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Folder that receives the files, volunteer-0000.sqlite and so on; made if it is not there
    #[arg(short, long, value_name = "DIR", env = "FAULTLINE_OUTPUT", hide_env = true)]
    pub output: PathBuf,
    /// How many measurements in all
    #[arg(long, value_name = "N", default_value_t = 10_000, env = "FAULTLINE_MEASUREMENTS", hide_env = true)]
    pub measurements: u64,
    /// Instead: volunteers, one a file, who measure the same sites every hour for so many days, while what happens is written to
    /// events.json in the folder, for events --score
    #[arg(long, value_name = "DAYS", env = "FAULTLINE_CAMPAIGN", hide_env = true, conflicts_with = "measurements",
          value_parser = clap::value_parser!(u64).range(2..=366))]
    pub campaign: Option<u64>,
    /// How many files they are spread over
    #[arg(long, value_name = "N", default_value_t = 40, env = "FAULTLINE_FILES", hide_env = true,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub files: u64,
    /// What decides everything: the same seed gives the same files
    #[arg(long, value_name = "N", default_value_t = 1, env = "FAULTLINE_SEED", hide_env = true)]
    pub seed: u64,
}

/// The beginning or the end of an id, as lower-case hexadecimal digits without hyphens; all 32 of them name one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdPart(String);

impl IdPart {
    /// Whether an id begins or ends like this.
    pub fn fits(&self, id: MeasurementId) -> bool {
        let digits = hex(id.as_bytes());
        digits.starts_with(&self.0) || digits.ends_with(&self.0)
    }

    /// The digits.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for IdPart {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: String = text.trim().chars().filter(|&c| c != '-').map(|c| c.to_ascii_lowercase()).collect();
        let fits = (1..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if fits { Ok(Self(digits)) } else { Err("an id is at most 32 hexadecimal digits, with or without hyphens") }
    }
}

fn rungs() -> impl TypedValueParser<Value = Rung> {
    let names = PossibleValuesParser::new(Rung::ALL.iter().map(|rung| rung.name()));
    names.try_map(|name| Rung::from_name(&name).ok_or("there is no such rung"))
}

fn states() -> impl TypedValueParser<Value = State> {
    let names = PossibleValuesParser::new(State::ALL.iter().map(|state| state.name()));
    names.try_map(|name| State::from_name(&name).ok_or("there is no such state"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_id_is_known_by_its_beginning_or_end_with_or_without_hyphens() {
        let id = "0192f3a1-7b2c-7000-8000-0000000000ab".parse().unwrap();
        let fits = |part: &str| part.parse::<IdPart>().unwrap().fits(id);
        assert!(
            fits("0192F3A1-7b") && fits("0192f3a17b") && fits("ab") && fits("0192f3a1-7b2c-7000-8000-0000000000AB")
        );
        assert!(!fits("0192f3a1-7c") && !fits("7000"));
        for wrong in ["", "-", "https://x.com/", &"0".repeat(33)] {
            assert!(wrong.parse::<IdPart>().is_err(), "{wrong}");
        }
    }
}
