//! Where a list comes from: compiled in, or a file of the user's.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use faultline_record::{Target, sha256};

use super::problem::{ListErrors, ListProblem};
use super::{Catalog, csv_list, embedded, service, service_targets};

/// The embedded service files, as one list.
pub(super) const SERVICES_NAME: &str = "services";
/// The embedded files of providers of tunnels, as one list.
pub const VPN_NAME: &str = "vpn";
/// A list larger than this is a mistake: the longest national list is a fraction of a percent of it.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What `--list` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListSource {
    /// `services`.
    Services,
    /// `vpn`.
    Vpn,
    /// `websites`.
    Websites,
    /// `pk`.
    Pk,
    /// A file: a service file if its name ends in `.toml`, else Citizen Lab's columns.
    File(PathBuf),
}

impl ListSource {
    /// All that is compiled in, services first: where two lists hold an endpoint the first wins.
    pub const EMBEDDED: [Self; 4] = [Self::Services, Self::Vpn, Self::Websites, Self::Pk];

    /// What a word on the command line means.
    pub fn parse(word: &str) -> Self {
        match word {
            SERVICES_NAME => Self::Services,
            VPN_NAME => Self::Vpn,
            "websites" => Self::Websites,
            "pk" => Self::Pk,
            file => Self::File(file.into()),
        }
    }

    /// The name in rows and messages: for a file its name, without the folders that would tell of the user.
    pub fn name(&self) -> String {
        match self {
            Self::Services => SERVICES_NAME.into(),
            Self::Vpn => VPN_NAME.into(),
            Self::Websites => "websites".into(),
            Self::Pk => "pk".into(),
            Self::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        }
    }
}

/// A list, parsed.
#[derive(Clone, Debug)]
pub struct LoadedList {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its targets, in its order.
    pub targets: Vec<Target>,
}

/// Loads all lists; all that is wrong with any of them is reported together.
pub fn load_all(sources: &[ListSource], catalog: &Catalog) -> Result<Vec<LoadedList>, ListErrors> {
    let (mut lists, mut problems) = (Vec::new(), Vec::new());
    for source in sources {
        match load(source, catalog) {
            Ok(list) => lists.push(list),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(lists) } else { Err(ListErrors(problems)) }
}

fn load(source: &ListSource, catalog: &Catalog) -> Result<LoadedList, Vec<ListProblem>> {
    let name = source.name();
    match source {
        ListSource::Services => load_services(&name, embedded::SERVICES),
        ListSource::Vpn => load_services(&name, embedded::VPN),
        ListSource::Websites => load_csv(&name, &name, embedded::WEBSITES.as_bytes(), catalog),
        ListSource::Pk => load_csv(&name, &name, embedded::PK.as_bytes(), catalog),
        ListSource::File(path) => load_file(path, &name, catalog),
    }
}

fn load_services(name: &str, files: &[(&str, &str)]) -> Result<LoadedList, Vec<ListProblem>> {
    let (mut targets, mut bytes) = (Vec::new(), Vec::new());
    for (file, text) in files {
        targets.extend(service_targets(&service::parse(file, text.as_bytes())?, name));
        bytes.extend_from_slice(text.as_bytes());
    }
    Ok(LoadedList { name: name.into(), sha256: sha256(&bytes), targets })
}

fn load_csv(shown: &str, name: &str, bytes: &[u8], catalog: &Catalog) -> Result<LoadedList, Vec<ListProblem>> {
    let rows = csv_list::parse(shown, bytes)?;
    let targets = rows.into_iter().map(|row| catalog.row(row, name)).collect();
    Ok(LoadedList { name: name.into(), sha256: sha256(bytes), targets })
}

fn load_file(path: &Path, name: &str, catalog: &Catalog) -> Result<LoadedList, Vec<ListProblem>> {
    let shown = path.display().to_string();
    let bytes = read(path).map_err(|reason| vec![ListProblem::of_file(&shown, reason)])?;
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
        let targets = service_targets(&service::parse(&shown, &bytes)?, name);
        return Ok(LoadedList { name: name.into(), sha256: sha256(&bytes), targets });
    }
    load_csv(&shown, name, &bytes, catalog)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    if !path.exists() {
        return Err("no such file, and no embedded list of that name (services, vpn, websites, pk)".to_owned());
    }
    read_file(path)
}

/// Reads a file that is a list of some kind.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("failed to read it: {error}");
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("larger than {} MB", LARGEST / 1_048_576));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_list_parses() {
        let lists = load_all(&ListSource::EMBEDDED, &Catalog::embedded().unwrap()).unwrap();
        assert_eq!(lists.len(), 4);
        assert!(lists.iter().map(|list| list.targets.len()).sum::<usize>() >= 150);
    }

    #[test]
    fn the_problems_of_all_files_come_together() {
        let folder = tempfile::tempdir().unwrap();
        let (csv, toml) = (folder.path().join("a.csv"), folder.path().join("b.toml"));
        std::fs::write(&csv, "url\nftp://a.example/\n").unwrap();
        std::fs::write(&toml, "version = 1\n").unwrap();
        let sources = [ListSource::File(csv), ListSource::File(toml), ListSource::File("/nowhere/c.csv".into())];
        let problems = load_all(&sources, &Catalog::default()).unwrap_err().0;
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[2].reason.contains("no such file"));
    }

    #[test]
    fn a_folder_is_no_list() {
        let error = load_all(&[ListSource::File("/".into())], &Catalog::default()).unwrap_err();
        assert!(error.to_string().contains("failed to read it"), "{error}");
    }

    #[test]
    fn a_user_files_row_names_the_list_without_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.csv");
        std::fs::write(&path, "url,category_code\nhttps://x.com/,GRP\n").unwrap();
        let lists = load_all(&[ListSource::File(path)], &Catalog::embedded().unwrap()).unwrap();
        let target = &lists[0].targets[0];
        assert_eq!((target.name.as_str(), target.list.as_deref()), ("x/web", Some("mine.csv")));
    }
}
