//! What the options mean: command line over environment over configuration file over default.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::CommandFactory;
use faultline_record::{Network, NetworkKind, Pattern};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::de::DeserializeOwned;
use url::Url;

use super::values::{Parallel, Rate};
use super::{Cli, ListArgs, MeasureArgs, OutputArgs, StoreArgs};
use crate::error::ProbeError;
use crate::follow_up::FollowUps;
use crate::lists::ListSource;
use crate::vpn_keys::VpnKeys;

/// Targets at a time, unless told otherwise.
const PARALLEL: usize = 16;
/// New connections a second, unless told otherwise.
const RATE: f64 = 20.0;

/// The configuration file, read: what it says for each group of options.
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    lists: ListArgs,
    measure: MeasureArgs,
    store: StoreArgs,
    output: OutputArgs,
}

/// How a run is made.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct MeasureOptions {
    /// Targets at a time.
    pub parallel: usize,
    /// New connections a second; `None` sets no limit.
    pub rate: Option<f64>,
    /// No target begins after this.
    pub max_time: Option<Duration>,
    /// No target begins after so many bytes.
    pub max_data: Option<u64>,
    /// Resolvers to compare with, besides the public ones.
    pub doh: Vec<Url>,
    /// A helper outside.
    pub helper: Option<Url>,
    /// Keys of tunnels.
    pub vpn_keys: VpnKeys,
    /// Roots to trust, besides the built-in ones.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Whether experiments follow what failed.
    pub follow_up: FollowUps,
    /// Whether sites that offer HTTP/3 are asked for the same over it.
    pub http3: bool,
    /// Only print the plan.
    pub dry_run: bool,
    /// Consent was given by option.
    pub yes: bool,
    /// Consent to tunnels, without being asked.
    pub yes_vpn: bool,
    /// The vantage as declared; the kind is guessed later when it was not.
    pub asn: Option<u32>,
    /// See `asn`.
    pub country: Option<String>,
    /// See `asn`.
    pub kind: Option<NetworkKind>,
}

/// Which targets.
#[derive(Clone, Debug)]
pub struct ListOptions {
    /// The lists.
    pub sources: Vec<ListSource>,
    /// Patterns to match; none matches all.
    pub only: Vec<Pattern>,
    /// Category codes as given.
    pub categories: Vec<String>,
}

/// How to print.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutputOptions {
    /// JSON lines.
    pub json: bool,
    /// Only what is not ok.
    pub quiet: bool,
}

impl ConfigFile {
    /// Reads the file named, or the one in the user's configuration folder if there is one.
    pub fn load(named: Option<&Path>) -> Result<Self, ProbeError> {
        let default = config_folder().map(|folder| folder.join("config.toml"));
        let Some(path) = named.map(Path::to_path_buf).or_else(|| default.filter(|path| path.exists())) else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| ProbeError::Usage(format!("{}: failed to read it: {error}", path.display())))?;
        Self::parse(&path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ProbeError> {
        refuse_unknown_keys(path, text)?;
        let mut file = Self {
            lists: part(path, text)?,
            measure: part(path, text)?,
            store: part(path, text)?,
            output: part(path, text)?,
        };
        file.anchor(path.parent().unwrap_or(Path::new("")));
        Ok(file)
    }

    /// Paths in the file are relative to the file, so that cron and a shell mean the same.
    fn anchor(&mut self, folder: &Path) {
        for path in [&mut self.store.db, &mut self.measure.ca_file, &mut self.measure.vpn_keys].into_iter().flatten() {
            *path = folder.join(&path);
        }
        for word in &mut self.lists.list {
            if let ListSource::File(path) = ListSource::parse(word) {
                *word = folder.join(path).to_string_lossy().into_owned();
            }
        }
    }

    /// The lists of a command.
    pub fn lists(&self, given: ListArgs) -> ListOptions {
        let or = |given: Vec<String>, file: &Vec<String>| if given.is_empty() { file.clone() } else { given };
        let mut sources: Vec<ListSource> =
            or(given.list, &self.lists.list).iter().map(|word| ListSource::parse(word)).collect();
        if sources.is_empty() {
            sources = ListSource::EMBEDDED.to_vec();
        }
        ListOptions {
            sources,
            only: or(given.only, &self.lists.only).iter().map(|text| Pattern::new(text)).collect(),
            categories: or(given.category, &self.lists.category),
        }
    }

    /// How a run is made.
    pub fn measure(&self, given: MeasureArgs) -> Result<MeasureOptions, ProbeError> {
        let file = self.measure.clone();
        let yes = |given: Option<bool>, file: Option<bool>| given.or(file).unwrap_or(false);
        let ca_file = given.ca_file.or(file.ca_file);
        let vpn_keys = given.vpn_keys.or(file.vpn_keys);
        let vpn_keys = vpn_keys.map(|path| VpnKeys::read(&path)).transpose();
        Ok(MeasureOptions {
            parallel: given.parallel.or(file.parallel).map_or(PARALLEL, Parallel::count),
            rate: given.rate.or(file.rate).map_or(Some(RATE), Rate::limit),
            max_time: given.max_time.or(file.max_time).map(|span| span.0),
            max_data: given.max_data.or(file.max_data).map(|size| size.0),
            doh: https_only(if given.doh.is_empty() { file.doh } else { given.doh })?,
            helper: given.helper.or(file.helper).map(web_only).transpose()?,
            vpn_keys: vpn_keys.map_err(|why| ProbeError::Usage(why.to_string()))?.unwrap_or_default(),
            extra_roots: ca_file.map_or_else(|| Ok(Vec::new()), |path| read_roots(&path))?,
            follow_up: follow_ups(yes(given.no_follow_up, file.no_follow_up), yes(given.locate, file.locate)),
            http3: yes(given.http3, file.http3),
            dry_run: yes(given.dry_run, file.dry_run),
            yes: yes(given.yes, file.yes),
            yes_vpn: yes(given.yes_vpn, file.yes_vpn),
            asn: given.asn.or(file.asn).map(|asn| asn.0),
            country: given.country.or(file.country).map(|country| country.0),
            kind: given.network_kind.or(file.network_kind).map(NetworkKind::from),
        })
    }

    /// The database.
    pub fn db(&self, given: StoreArgs) -> Result<PathBuf, ProbeError> {
        let default = || data_folder().map(|folder| folder.join("results.sqlite"));
        given.db.or_else(|| self.store.db.clone()).or_else(default).ok_or_else(|| {
            ProbeError::Usage("there is no home folder to keep results in: name a file with --db".into())
        })
    }

    /// How to print.
    pub fn output(&self, given: &OutputArgs) -> OutputOptions {
        let yes = |given: Option<bool>, file: Option<bool>| given.or(file).unwrap_or(false);
        OutputOptions { json: yes(given.json, self.output.json), quiet: yes(given.quiet, self.output.quiet) }
    }
}

impl MeasureOptions {
    /// The vantage, with a guess at the link where it was not declared.
    pub fn network(&self, guess: impl FnOnce() -> NetworkKind) -> Network {
        Network { asn: self.asn, as_name: None, country: self.country.clone(), kind: self.kind.unwrap_or_else(guess) }
    }
}

/// Keys that a configuration file may hold: the long options of the measuring commands.
fn known_keys() -> BTreeSet<String> {
    let cli = Cli::command();
    let longs = cli.get_subcommands().flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_long);
    longs.filter(|&name| name != "help" && name != "version").map(str::to_owned).collect()
}

fn refuse_unknown_keys(path: &Path, text: &str) -> Result<(), ProbeError> {
    let table: toml::Table = toml::from_str(text).map_err(|error| bad_file(path, text, &error))?;
    let known = known_keys();
    match table.keys().find(|&key| !known.contains(key)) {
        None => Ok(()),
        Some(key) => {
            let line =
                text.lines().position(|line| line.trim_start().trim_start_matches('[').starts_with(key.as_str()));
            let at = line.map(|line| format!(":{}", line + 1)).unwrap_or_default();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            Err(ProbeError::Usage(format!("{}{at}: unknown key {key:?}: known are {known}", path.display())))
        }
    }
}

fn part<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ProbeError> {
    toml::from_str(text).map_err(|error| bad_file(path, text, &error))
}

fn bad_file(path: &Path, text: &str, error: &toml::de::Error) -> ProbeError {
    let line = error.span().map_or(1, |span| 1 + text.bytes().take(span.start).filter(|&byte| byte == b'\n').count());
    ProbeError::Usage(format!("{}:{line}: {}", path.display(), error.message()))
}

fn https_only(urls: Vec<Url>) -> Result<Vec<Url>, ProbeError> {
    match urls.iter().find(|url| url.scheme() != "https" || url.host().is_none()) {
        Some(url) => Err(ProbeError::Usage(format!("--doh {url}: a https:// URL was expected"))),
        None => Ok(urls),
    }
}

/// A helper is asked over HTTP, within TLS or, in a network of one's own, without.
fn web_only(url: Url) -> Result<Url, ProbeError> {
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(ProbeError::Usage(format!("--helper {url}: a https:// or http:// URL was expected"))),
    }
}

/// The certificates of `--ca-file`.
pub fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, ProbeError> {
    let wrong = |reason: String| ProbeError::Usage(format!("--ca-file {}: {reason}", path.display()));
    let pem = std::fs::read(path).map_err(|error| wrong(format!("failed to read it: {error}")))?;
    let roots: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(format!("failed to read a certificate: {error}")))?;
    if roots.is_empty() {
        return Err(wrong("there is no PEM certificate in it".into()));
    }
    let mut store = rustls::RootCertStore::empty();
    for (root, number) in roots.iter().zip(1..) {
        store.add(root.clone()).map_err(|error| wrong(format!("certificate {number} is no root: {error}")))?;
    }
    Ok(roots)
}

/// `faultline` in the user's data folder (XDG Base Directory Specification 0.8).
pub fn data_folder() -> Option<PathBuf> {
    user_folder("XDG_DATA_HOME", ".local/share")
}

fn config_folder() -> Option<PathBuf> {
    user_folder("XDG_CONFIG_HOME", ".config")
}

fn user_folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    // The specification: a relative path in the variable is to be ignored.
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))?;
    Some(base.join("faultline"))
}

fn follow_ups(none: bool, located: bool) -> FollowUps {
    match (none, located) {
        (true, _) => FollowUps::None,
        (false, true) => FollowUps::Located,
        (false, false) => FollowUps::Usual,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const FILE: &str = r#"
db = "mine.sqlite"
list = ["pk", "sites.csv"]
parallel = 4
rate = 5
max-time = "10m"
max-data = "20MB"
json = true
quiet = true
country = "pk"
asn = 17557
network-kind = "mobile"
no-follow-up = true
helper = "https://helper.example/"
"#;

    fn parse(text: &str) -> Result<ConfigFile, ProbeError> {
        ConfigFile::parse(Path::new("/etc/faultline/config.toml"), text)
    }

    fn given(args: &[&str]) -> (ListArgs, MeasureArgs, StoreArgs, OutputArgs) {
        let cli = Cli::parse_from([&["probe", "run"], args].concat());
        let super::super::Command::Run { lists, measure, store, output } = cli.command else { unreachable!() };
        (lists, measure, store, output)
    }

    #[test]
    fn the_file_stands_where_the_command_line_is_silent() {
        let file = parse(FILE).unwrap();
        let (lists, measure, store, output) = given(&[]);
        let options = file.measure(measure).unwrap();
        assert_eq!((options.parallel, options.rate), (4, Some(5.0)));
        assert_eq!((options.max_time, options.max_data), (Some(Duration::from_mins(10)), Some(20_000_000)));
        assert_eq!(options.network(|| NetworkKind::Wired).kind, NetworkKind::Mobile);
        assert_eq!((options.asn, options.country.as_deref()), (Some(17557), Some("PK")));
        assert_eq!(options.follow_up, FollowUps::None);
        assert_eq!(options.helper.unwrap().as_str(), "https://helper.example/");
        assert!(file.output(&output).json);
        assert_eq!(file.db(store).unwrap(), Path::new("/etc/faultline/mine.sqlite"));
        let sources = file.lists(lists).sources;
        assert_eq!(sources, [ListSource::Pk, ListSource::File("/etc/faultline/sites.csv".into())]);
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = parse(FILE).unwrap();
        let (lists, measure, store, output) = given(&[
            "--parallel=2",
            "--rate=0",
            "--no-follow-up=false",
            "--json=no",
            "--db=a",
            "--list=websites",
            "--asn=AS1",
        ]);
        let options = file.measure(measure).unwrap();
        assert_eq!((options.parallel, options.rate, options.asn), (2, None, Some(1)));
        assert!(options.follow_up == FollowUps::Usual && !file.output(&output).json);
        assert_eq!(file.db(store).unwrap(), Path::new("a"));
        assert_eq!(file.lists(lists).sources, [ListSource::Websites]);
    }

    #[test]
    fn without_either_the_defaults_stand() {
        let (lists, measure, _, output) = given(&[]);
        let file = ConfigFile::default();
        let options = file.measure(measure).unwrap();
        assert_eq!((options.parallel, options.rate, options.follow_up), (16, Some(20.0), FollowUps::Usual));
        assert_eq!(options.network(|| NetworkKind::Wifi).kind, NetworkKind::Wifi);
        assert_eq!(file.lists(lists).sources, ListSource::EMBEDDED);
        assert!(!file.output(&output).json);
    }

    #[test]
    fn what_is_wrong_in_the_file_is_named_with_its_line() {
        for (text, words) in [
            ("\nparalel = 3", "config.toml:2: unknown key \"paralel\""),
            ("json = true\nparallel = 0", "config.toml:2: 0 targets at a time"),
            ("max-time = \"soon\"", "config.toml:1: \"soon\" is not a length of time"),
            ("json = maybe", "config.toml:1: "),
            ("[run]\njson = true", "config.toml:1: unknown key \"run\""),
            ("config = \"x\"", "unknown key \"config\""),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.code(), 2);
            assert!(error.to_string().contains(words), "{text:?}: {error}");
        }
    }

    #[test]
    fn every_option_has_its_variable_and_its_key() {
        let cli = Cli::command();
        for argument in cli.get_subcommands().flat_map(clap::Command::get_arguments) {
            let Some(long) = argument.get_long().filter(|&long| long != "help") else { continue };
            let variable = format!("FAULTLINE_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(variable.as_str()));
        }
        // A key that no part reads would be accepted and ignored: each must change something.
        for key in known_keys() {
            let wrong = format!("{key} = {{}}");
            assert!(parse(&wrong).is_err(), "{key} is not read by any part");
        }
    }

    #[test]
    fn a_resolver_must_be_https_and_roots_must_be_pem() {
        assert!(https_only(vec![Url::parse("http://dns.example/dns-query").unwrap()]).is_err());
        assert!(read_roots(Path::new("/nowhere.pem")).unwrap_err().to_string().contains("--ca-file /nowhere.pem"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.pem");
        std::fs::write(&path, "no certificate here").unwrap();
        assert!(read_roots(&path).unwrap_err().to_string().contains("no PEM certificate"));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(read_roots(&path).unwrap_err().to_string().contains("certificate 1 is no root"));
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
