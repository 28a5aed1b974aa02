//! The command line: what can be typed.

use std::path::PathBuf;

use clap::builder::{BoolishValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use faultline_record::{MeasurementId, RunId, hex};
use faultline_verdict::State;

use faultline_record::Pattern;

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
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the verdict of every measurement, each measurement once
    Verdicts(VerdictsArgs),
    /// Show how one verdict comes about, down to the rows it rests on
    Explain(ExplainArgs),
    /// Score verdicts against labels that say what is true
    Evaluate(EvaluateArgs),
    /// Ask a question in SQL, over measurements and verdicts
    #[cfg(feature = "engine")]
    Query(QueryArgs),
    /// Write measurements, observations, checks and verdicts as tables for other programs
    #[cfg(feature = "engine")]
    Export(ExportArgs),
    /// Make up measurements, to find out what many of them cost
    Generate(GenerateArgs),
    /// Bring measurements of several databases together in one
    Merge(MergeArgs),
    /// Bring another tool's measurements into a database
    Import(ImportArgs),
}

/// `analyzer verdicts`.
#[derive(Debug, Args)]
pub struct VerdictsArgs {
    /// Databases that probes wrote
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
    /// Print only measurements of this run
    #[arg(long, value_name = "ID", env = "FAULTLINE_RUN", hide_env = true)]
    pub run: Option<RunId>,
    /// Known block pages and forged answers, in the columns of OONI's lists, beside our own; several times
    #[arg(long, value_name = "FILE", env = "FAULTLINE_FINGERPRINTS", hide_env = true)]
    pub fingerprints: Vec<PathBuf>,
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

/// `analyzer explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A measurement's id, or the beginning or the end of one
    #[arg(value_name = "ID")]
    pub id: IdPart,
    /// Databases that probes wrote
    #[arg(value_name = "DB", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub files: Vec<PathBuf>,
    /// Print one JSON object instead of words
    #[arg(long, env = "FAULTLINE_JSON", hide_env = true, num_args = 0..=1, require_equals = true, value_name = "BOOL",
          default_missing_value = "true", value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    pub json: Option<bool>,
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

/// `analyzer export`.
#[cfg(feature = "engine")]
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Databases that probes wrote, or folders: every *.sqlite below
    #[arg(value_name = "DB", required = true, env = "FAULTLINE_DB", hide_env = true)]
    pub files: Vec<PathBuf>,
    /// How to write them
    #[arg(long, value_enum, env = "FAULTLINE_FORMAT", hide_env = true)]
    pub format: ExportFormat,
    /// Folder that receives a folder for each table; made if it is not there
    #[arg(short, long, value_name = "DIR", env = "FAULTLINE_OUTPUT", hide_env = true)]
    pub output: PathBuf,
    /// Known block pages and forged answers, in the columns of OONI's lists, beside our own; several times
    #[arg(long, value_name = "FILE", env = "FAULTLINE_FINGERPRINTS", hide_env = true)]
    pub fingerprints: Vec<PathBuf>,
}

/// Formats of an export.
#[cfg(feature = "engine")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Apache Parquet, which `analyzer query` reads as well
    Parquet,
    /// Comma-separated values with a header
    Csv,
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
    /// How many files they are spread over
    #[arg(long, value_name = "N", default_value_t = 40, env = "FAULTLINE_FILES", hide_env = true,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub files: u64,
    /// What decides everything: the same seed gives the same files
    #[arg(long, value_name = "N", default_value_t = 1, env = "FAULTLINE_SEED", hide_env = true)]
    pub seed: u64,
}

/// `analyzer merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Database that receives the measurements; made if it is not there
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// Databases to take them from; they are not changed
    #[arg(value_name = "IN", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Name inputs that cannot be read, and go on with the next
    #[arg(long, env = "FAULTLINE_SKIP_BAD", hide_env = true, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_missing_value = "true", value_parser = BoolishValueParser::new(),
          hide_possible_values = true)]
    pub skip_bad: Option<bool>,
}

/// `analyzer import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files, folders with all that is below them, or - for standard input: JSON, one or many, also in gzip, zstd or tar
    #[arg(value_name = "FILE", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Whose measurements they are
    #[arg(long, value_enum, env = "FAULTLINE_FORMAT", hide_env = true)]
    pub format: ImportFormat,
    /// Database that receives them; made if it is not there
    #[arg(long, value_name = "OUT", env = "FAULTLINE_DB", hide_env = true)]
    pub db: PathBuf,
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
