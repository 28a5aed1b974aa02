//! How soon the analyzer answers when it has nothing to read.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The project's bar for `analyzer --help`. Loading a debug build with the whole query engine in it takes its part.
const BAR: Duration = Duration::from_millis(50);
/// What a program that does nothing may take: where its fastest start takes longer, the machine is busy with other things.
const BUSY: Duration = Duration::from_millis(3);
/// Starts of which the fastest counts: it is the program's own time, the others are the machine's load.
const STARTS: usize = 20;

fn fastest(mut command: impl FnMut() -> Command) -> Duration {
    let start = || {
        let begin = Instant::now();
        assert!(command().stdout(Stdio::null()).status().unwrap().success());
        begin.elapsed()
    };
    std::iter::repeat_with(start).take(STARTS).min().unwrap()
}

#[test]
fn commands_that_need_no_engine_do_not_wait_for_it() {
    for args in [vec!["--help"], vec!["--version"], vec!["verdicts", "--help"]] {
        let taken = fastest(|| support::command(&args));
        if taken <= BAR {
            continue;
        }
        let nothing = fastest(|| Command::new("true"));
        assert!(nothing > BUSY, "{args:?} takes {taken:?}, where a program that does nothing takes {nothing:?}");
        println!("skipped: the machine is too busy to tell, a program that does nothing takes {nothing:?}");
        return;
    }
}
