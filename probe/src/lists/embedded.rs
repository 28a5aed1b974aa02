//! The test-lists that are compiled in. Nothing else of the program knows where they lie.

/// `websites.csv`: sites of general interest.
pub const WEBSITES: &str = include_str!("../../../test-lists/websites.csv");
/// `pk.csv`: sites that matter in Pakistan.
pub const PK: &str = include_str!("../../../test-lists/pk.csv");
/// `categories.toml`.
pub const CATEGORIES: &str = include_str!("../../../test-lists/categories.toml");
/// `controls.toml`.
pub const CONTROLS: &str = include_str!("../../../test-lists/controls.toml");

macro_rules! services {
    ($($name:literal),* $(,)?) => {
        /// The service files, by file name.
        pub const SERVICES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../test-lists/services/", $name)))),*];
    };
}

services!(
    "instagram.toml",
    "messenger.toml",
    "resolvers.toml",
    "signal.toml",
    "telegram.toml",
    "tiktok.toml",
    "whatsapp.toml",
    "wikipedia.toml",
    "x.toml",
    "youtube.toml",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_file_of_the_folder_is_compiled_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../test-lists/services");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        assert_eq!(files, SERVICES.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
    }
}
