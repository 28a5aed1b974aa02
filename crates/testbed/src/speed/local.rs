//! As many measurements as the processor allows: literal addresses on the probe's own host, no delay, no limits.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use nix::sys::resource::Usage;
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::{Account, Figure, Target, as_f64, measure, scenario, write_list};
use crate::scenario::{Line, Links, Site};
use crate::world::{Making, World};

/// Targets measured.
pub const TARGETS: usize = 10_000;

/// Addresses that they are spread over.
const ADDRESSES: u8 = 32;

/// Lines that take no time.
fn links() -> Links {
    let line = Line { delay_ms: Some(0.0), ..Line::default() };
    Links { access: line, isp: line, home: line, abroad: line }
}

/// Runs and gives processor time and memory.
pub fn figures(probe: &Path) -> Result<Vec<Figure>> {
    let addresses: Vec<String> = (1..=ADDRESSES).map(|i| format!("151.101.200.{i}")).collect();
    let site =
        |address: &String| -> Result<Site> { Ok(Site { addresses: vec![address.parse()?], ..Site::named(address) }) };
    let sites = addresses.iter().map(site).collect::<Result<Vec<_>>>()?;
    let world = World::start(&scenario("speed-local", sites, links()), Making { seed: 1, ..Making::default() })?;
    let urls = addresses.iter().cycle().take(TARGETS).enumerate();
    let list = write_list(&world, urls.map(|(i, address)| format!("https://{address}/{i}")))?;
    let mut command = world.abroad_command(probe);
    command.arg("run").args(["--yes", "--quiet", "--parallel", "64", "--rate", "0"]);
    let measured = measure(&world, command, probe, &list)?;
    let mut figures = measured.account.figures(TARGETS, measured.accepted)?;
    figures.extend(costs(&measured.account, &measured.usage, measured.elapsed));
    Ok(figures)
}

fn costs(account: &Account, usage: &Usage, elapsed: Duration) -> [Figure; 4] {
    let seconds = |time: TimeVal| Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or(0));
    let processor = (seconds(usage.user_time()) + seconds(usage.system_time())).as_secs_f64();
    let megabytes = as_f64(usize::try_from(usage.max_rss()).unwrap_or(0)) * 1024.0 / 1e6;
    [
        Figure::new("TLS + GET + row", account.measured / processor, "per CPU-second", Target::AtLeast(1500.0)),
        Figure::new("processor time", processor, "s", Target::Any),
        Figure::new("wall time", elapsed.as_secs_f64(), "s", Target::Any),
        Figure::new("peak memory for 10,000 targets", megabytes, "MB", Target::AtMost(64.0)),
    ]
}
