//! How soon the analyzer answers when it has nothing to read.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::time::Duration;

/// The project's bar for `analyzer --help`. Loading a debug build with the whole query engine in it takes its part.
const BAR: Duration = Duration::from_millis(50);
/// Starts that are measured together.
const STARTS: u32 = 20;
/// What the kernel counts processor time in for users (`USER_HZ`, time(7)).
const TICK: Duration = Duration::from_millis(10);

/// What the processors worked for the children waited for so far (`cutime` and `cstime`, the 16th and 17th field of
/// `/proc/PID/stat`, proc(5)): a clock would measure what else the machine does.
fn ticks() -> u32 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    after_name.split(' ').skip(13).take(2).map(|field| field.parse::<u32>().unwrap()).sum()
}

#[test]
fn commands_that_need_no_engine_do_not_wait_for_it() {
    for args in [vec!["--help"], vec!["--version"], vec!["verdicts", "--help"]] {
        let before = ticks();
        for _ in 0..STARTS {
            assert_eq!(support::analyzer(&args).code, 0);
        }
        let each = TICK * (ticks() - before) / STARTS;
        println!("{args:?}: {each:?}");
        assert!(each <= BAR, "{args:?} takes {each:?}");
    }
}
