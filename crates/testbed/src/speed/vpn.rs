//! Two hundred tunnels' servers, half of them dead: how long a run takes beside its slowest ladder, and how much memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Figure, Target, as_f64, measure, results, scenario, write_list};
use crate::scenario::{Links, Site, Vpn};
use crate::world::{Making, World};

/// Servers that answer, and servers that do not. An IKE daemon answers at every address of its host.
const ALIVE: usize = 100;
const DEAD: usize = 100;
/// How much longer than its slowest ladder a run may take (issue).
const FACTOR: f64 = 1.1;
/// Beside the targets: the checks of the vantage before and after.
const CHECKS: f64 = 3.0;

/// Runs and compares with the slowest ladder.
pub fn figures(probe: &Path) -> Result<Vec<Figure>> {
    let address = |number: usize| format!("151.101.{}.{}", 100 + number / 100, 1 + number % 100);
    let site = |number| -> Result<Site> {
        Ok(Site { addresses: vec![address(number).parse()?], ..Site::named(&address(number)) })
    };
    let site = (0..ALIVE).map(site).collect::<Result<Vec<_>>>()?;
    let scenario = crate::scenario::Scenario { vpn: vec![Vpn::Ikev2], ..scenario("speed-vpn", site, Links::default()) };
    let world = World::start(&scenario, Making { seed: 1, ..Making::default() })?;
    let alive = (0..ALIVE).map(|number| format!("ikev2://{}:500", address(number)));
    let dead = (0..DEAD).map(|number| format!("openvpn+udp://151.101.150.{}:1194", number + 1));
    let list = write_list(&world, alive.chain(dead))?;
    let mut command = world.client_command(probe)?;
    command.arg("run").args(["--yes", "--yes-vpn", "--quiet"]);
    let measured = measure(&world, command, probe, &list)?;
    let megabytes = as_f64(usize::try_from(measured.usage.max_rss()).unwrap_or(0)) * 1024.0 / 1e6;
    let lines = measurements(probe, &world.folder().join("speed.sqlite"))?;
    let gap = least_gap(&lines).context("no server was asked twice, though half of them are dead")?;
    let slowest = lines.iter().map(length).fold(0.0, f64::max);
    let elapsed = measured.elapsed.as_secs_f64();
    Ok(vec![
        Figure::new("targets measured", measured.account.measured, "targets", Target::AtLeast(as_f64(ALIVE + DEAD))),
        Figure::new("targets found to be ok", as_f64(measured.account.ok), "targets", Target::AtLeast(as_f64(ALIVE))),
        Figure::new("the slowest ladder", slowest, "s", Target::Any),
        Figure::new("200 tunnels", elapsed, "s", Target::AtMost(slowest * FACTOR + CHECKS)),
        Figure::new("peak memory for 200 tunnels", megabytes, "MB", Target::AtMost(64.0)),
        Figure::new("least time between two handshakes with a server", gap, "s", Target::AtLeast(0.999)),
    ])
}

fn measurements(probe: &Path, database: &Path) -> Result<Vec<Value>> {
    let runs = results(probe, database, &["list"])?;
    let run = runs.first().and_then(|run| run["id"].as_str()).context("there is no run")?;
    results(probe, database, &["show", run, "--with-endpoints"])
}

fn rows(line: &Value) -> impl Iterator<Item = &Value> {
    line["observations"].as_array().into_iter().flatten()
}

/// Seconds until the last row of a measurement ended.
fn length(line: &Value) -> f64 {
    rows(line).filter_map(|row| row["t_ms"].as_f64()).fold(0.0, f64::max) / 1_000.0
}

/// Seconds between the closest two handshakes with one server, in one measurement: no other knows the server here. `None` if none was
/// asked twice.
fn least_gap(lines: &[Value]) -> Option<f64> {
    let gaps = lines.iter().flat_map(|line| {
        let mut by_server: HashMap<IpAddr, Vec<f64>> = HashMap::new();
        for row in rows(line).filter(|row| row["step"] == "vpn" && row["not_run"].is_null()) {
            let address = row["address"].as_str().and_then(|text| text.parse().ok());
            if let (Some(address), Some(at)) = (address, row["t0_ms"].as_f64()) {
                by_server.entry(address).or_default().push(at / 1_000.0);
            }
        }
        by_server.into_values().flat_map(|mut times| {
            times.sort_by(f64::total_cmp);
            times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
        })
    });
    gaps.reduce(f64::min)
}
