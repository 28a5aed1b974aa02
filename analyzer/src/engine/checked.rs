//! Files that this process has checked: each is checked before its first slice is read, and again only when it is another file
//! than it was.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use faultline_record::{Checked, Reader, RecordError};
use faultline_verdict::Company;

/// By the names that plans have for them.
#[derive(Debug, Default)]
pub struct CheckedFiles(Mutex<HashMap<PathBuf, Entry>>);

/// Held while the file is checked, so that others wait for it and check nothing themselves.
type Entry = Arc<Mutex<Option<Known>>>;

/// What is known of a file as it was when it was checked.
#[derive(Debug)]
struct Known {
    stamp: Stamp,
    checked: Checked,
    /// What its measurements say of each other, by the snapshots of the fingerprints that they were held against.
    companies: HashMap<String, Arc<OnceLock<Company>>>,
}

/// What tells whether a file is still the one that was checked: its length and the time of its last change.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stamp(u64, Option<SystemTime>);

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        fs::metadata(file).ok().map(|found| Self(found.len(), found.modified().ok()))
    }
}

impl Known {
    fn new(stamp: Stamp, checked: Checked) -> Self {
        Self { stamp, checked, companies: HashMap::new() }
    }
}

impl CheckedFiles {
    /// Takes over what was checked already.
    pub fn know(&self, name: PathBuf, checked: Checked) {
        if let Some(stamp) = Stamp::of(checked.file()) {
            *lock(&self.entry(name)) = Some(Known::new(stamp, checked));
        }
    }

    /// Opens a file; checks it first if that was not done.
    ///
    /// # Errors
    /// It is not there, or not sound.
    pub fn open(&self, name: &Path) -> Result<Reader, RecordError> {
        let entry = self.entry(name.to_path_buf());
        let mut known = lock(&entry);
        let stamp = Stamp::of(name);
        match &*known {
            Some(known) if stamp.is_none_or(|now| now == known.stamp) => known.checked.open(),
            _ => {
                let reader = Reader::open(name)?;
                *known = stamp.map(|stamp| Known::new(stamp, reader.checked()));
                Ok(reader)
            }
        }
    }

    /// The place for what the measurements of a file that was opened say of each other, held against fingerprints of this snapshot.
    pub fn company(&self, name: &Path, snapshot: &str) -> Arc<OnceLock<Company>> {
        let entry = self.entry(name.to_path_buf());
        let mut known = lock(&entry);
        known
            .as_mut()
            .map(|known| Arc::clone(known.companies.entry(snapshot.to_owned()).or_default()))
            .unwrap_or_default()
    }

    /// Forgets all, and with them private copies of files in older formats.
    #[cfg(feature = "cluster")]
    pub fn forget(&self) {
        lock(&self.0).clear();
    }

    fn entry(&self, name: PathBuf) -> Entry {
        Arc::clone(lock(&self.0).entry(name).or_default())
    }
}

/// A panic elsewhere leaves nothing half done in there.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use faultline_record::Database;

    use super::*;

    #[test]
    fn a_file_is_checked_once_and_again_when_it_became_another() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.sqlite");
        let files = CheckedFiles::default();
        assert!(files.open(&file).unwrap_err().to_string().contains("a.sqlite"));
        drop(Database::open_or_create(&file).unwrap());
        files.open(&file).unwrap();
        let stamp = |files: &CheckedFiles| lock(&files.entry(file.clone())).as_ref().map(|known| known.stamp);
        let first = stamp(&files);
        files.open(&file).unwrap();
        assert_eq!(stamp(&files), first);
        fs::write(&file, "certainly no database").unwrap();
        assert!(files.open(&file).unwrap_err().to_string().contains("not a Faultline database"));
    }
}
