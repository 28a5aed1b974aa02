//! Many healthy sites at the end of a path of 50 ms, with the probe's own limits on.

use std::path::Path;

use anyhow::Result;

use super::{Figure, Target, as_f64, measure, scenario, write_list};
use crate::scenario::{Links, Place, Site};
use crate::world::{Making, World};

/// Targets measured.
pub const TARGETS: usize = 1000;

/// The probe's defaults (design, section 6), given by name so that the bound and the run cannot differ.
const PARALLEL: usize = 16;
const RATE: usize = 20;

/// How much longer than the bound a run may take.
const FACTOR: f64 = 1.3;

/// Runs and compares with the bound.
pub fn figures(probe: &Path) -> Result<Vec<Figure>> {
    let links = Links::default();
    let sites = (0..TARGETS).map(|i| Site::named(&name(i))).collect();
    let world = World::start(&scenario("speed-path", sites, links.clone()), Making { seed: 1, ..Making::default() })?;
    let list = write_list(&world, (0..TARGETS).map(|i| format!("https://{}/", name(i))))?;
    let mut command = world.client_command(probe)?;
    command.arg("run").args(["--yes", "--quiet", "--parallel", &PARALLEL.to_string(), "--rate", &RATE.to_string()]);
    let measured = measure(&world, command, probe, &list)?;
    let (elapsed, bound) = (measured.elapsed.as_secs_f64(), bound(&links));
    let mut figures = measured.account.figures(TARGETS, measured.accepted)?;
    figures.extend([
        Figure::new("1,000 targets at 50 ms", elapsed, "s", Target::AtMost(bound * FACTOR)),
        Figure::new("the bound by rate and parallelism", bound, "s", Target::Any),
    ]);
    Ok(figures)
}

fn name(i: usize) -> String {
    format!("site{i:04}.speed.example")
}

/// The shortest time that the limits allow: one connection to each target at the given rate, or the chain of round
/// trips (DNS at the ISP; TCP, TLS and HTTP abroad) of every target, so many side by side, whichever is longer. What the
/// probe does besides (health checks, other resolvers) is its own affair and does not stretch the bound.
fn bound(links: &Links) -> f64 {
    let (access, abroad) = (links.access.delay(Place::Access), links.abroad.delay(Place::Abroad));
    let chain = 2.0 * (access + 3 * (access + abroad)).as_secs_f64();
    (as_f64(TARGETS) / as_f64(RATE)).max(as_f64(TARGETS) * chain / as_f64(PARALLEL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_rate_or_the_chain_whichever_is_longer() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(bound(&Links::default()), 50.0));
        assert!(near(
            bound(&Links {
                abroad: crate::scenario::Line { delay_ms: Some(498.0), ..Default::default() },
                ..Links::default()
            }),
            1000.0 * (0.004 + 3.0) / 16.0
        ));
    }
}
