//! What Ballista has to say, as far as it warns: to standard error, as all talk.

use log::{LevelFilter, Log, Metadata, Record};

use crate::say;

struct Aloud;

impl Log for Aloud {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            say(&format!("{}: {}", record.level().as_str().to_lowercase(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// From now on.
pub fn listen() {
    if log::set_logger(&Aloud).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
