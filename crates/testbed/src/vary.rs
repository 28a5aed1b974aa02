//! Variations of a scenario, drawn by seed: other delays, some loss and jitter, longer or shorter paths, other parameters of
//! the censor, other names, another order.
//! What is true stays true.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};

use crate::scenario::{Action, Line, Scenario};
use crate::truth::Expectation;

/// Sites that the lists call highly available: one can stand for the other in any scenario.
const ALIKE: &[&str] = &[
    "x.com",
    "signal.org",
    "www.instagram.com",
    "www.tiktok.com",
    "www.youtube.com",
    "web.telegram.org",
    "web.whatsapp.com",
];

/// Reads the scenario file at `path` and draws the variation with this seed.
pub fn read(path: &Path, seed: u64) -> Result<Scenario> {
    let mut rng = StdRng::seed_from_u64(seed);
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let mut scenario = Scenario::parse(&renamed(&text, &mut rng), path)?;
    vary(&mut scenario, &mut rng);
    Ok(scenario)
}

/// Gives one of the sites that are alike the name of another, throughout.
fn renamed(text: &str, rng: &mut StdRng) -> String {
    let there: Vec<&&str> = ALIKE.iter().filter(|name| mentions(text, name)).collect();
    let absent: Vec<&&str> = ALIKE.iter().filter(|name| !mentions(text, name)).collect();
    match (&there[..], absent.choose(rng)) {
        (&[old], Some(new)) if !mentions_below(text, old) => {
            let in_lists = text.replace(&quoted(old), &quoted(new));
            in_lists.replace(&format!("://{old}/"), &format!("://{new}/"))
        }
        _ => text.to_owned(),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn mentions(text: &str, name: &str) -> bool {
    text.contains(&quoted(name))
}

/// Whether a name below this one occurs, or the name itself in some other way than as a whole string or a URL's host.
fn mentions_below(text: &str, name: &str) -> bool {
    let description = text.lines().filter(|line| !line.starts_with("description") && !line.starts_with('#'));
    let rest = description.collect::<Vec<_>>().join("\n");
    rest.replace(&quoted(name), "").replace(&format!("://{name}/"), "").contains(name)
}

fn vary(scenario: &mut Scenario, rng: &mut StdRng) {
    vary_line(&mut scenario.link.access, rng, 1.0..15.0, 1..5);
    vary_line(&mut scenario.link.abroad, rng, 10.0..75.0, 1..9);
    for censor in &mut scenario.censor {
        vary_action(&mut censor.action, rng);
        if let Some(residual) = &mut censor.residual {
            residual.seconds *= rng.random_range(0.7..2.0);
        }
    }
    shuffle(&mut scenario.truth.measure, rng);
}

/// Another order of the inputs. What is said of one input keeps its order: the first that fits a vantage and a phase holds.
fn shuffle(measure: &mut [Expectation], rng: &mut StdRng) {
    let mut inputs: Vec<String> = measure.iter().map(|expectation| expectation.input.clone()).collect();
    inputs.sort();
    inputs.dedup();
    inputs.shuffle(rng);
    measure.sort_by_key(|expectation| inputs.iter().position(|input| *input == expectation.input));
}

/// The share of packets that a line in order may lose, at most.
const USUAL_LOSS: f64 = 0.004;

/// Draws the delay and the number of routers if the scenario leaves them to the default, and some loss and jitter if it has
/// none of them.
fn vary_line(line: &mut Line, rng: &mut StdRng, delays_ms: Range<f64>, routers: Range<u8>) {
    let (delay, routers) = (rng.random_range(delays_ms), rng.random_range(routers));
    line.delay_ms.get_or_insert(delay);
    line.hops.get_or_insert(routers);
    let (is_clean, loss, jitter) =
        (rng.random_bool(0.5), rng.random_range(0.0..USUAL_LOSS), rng.random_range(0.0..6.0));
    if !line.is_uneven() && !is_clean {
        (line.loss, line.jitter_ms) = (loss, jitter);
    }
}

fn vary_action(action: &mut Action, rng: &mut StdRng) {
    match action {
        Action::Police { rate_kbit, .. } | Action::Shape { rate_kbit, .. } => {
            *rate_kbit = rate_kbit.saturating_mul(rng.random_range(70..140)) / 100;
        }
        Action::Degrade { delay_ms, .. } => *delay_ms = delay_ms.saturating_mul(rng.random_range(80..150)) / 100,
        Action::Freeze { after_kb: Some(kb), .. } => *kb = (kb.saturating_mul(rng.random_range(75..125)) / 100).max(1),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{FOLDER, Scenario};

    fn sni_reset(seed: u64) -> Scenario {
        let path = Scenario::path("sni-reset", Path::new(FOLDER)).unwrap();
        read(&path, seed).unwrap()
    }

    fn in_words(seed: u64) -> String {
        format!("{:?}", sni_reset(seed))
    }

    #[test]
    fn the_same_seed_draws_the_same_world_and_another_seed_another() {
        assert_eq!(in_words(1), in_words(1));
        assert_ne!(in_words(1), in_words(2));
    }

    #[test]
    fn a_new_name_is_new_everywhere() {
        for seed in 0..20 {
            let scenario = sni_reset(seed);
            let name = scenario.site[0].name.clone();
            assert!(ALIKE.contains(&name.as_str()));
            let inputs: Vec<&str> = scenario.truth.measure.iter().map(|measure| measure.input.as_str()).collect();
            assert!(inputs.contains(&format!("https://{name}/").as_str()), "{inputs:?} lack {name}");
            assert!(format!("{:?}", scenario.censor).contains(&name));
        }
    }

    #[test]
    fn what_is_said_of_one_input_keeps_its_order() {
        for (name, scenario) in
            ["outage-on-a-block", "block-starts-and-ends"].iter().flat_map(|n| (0..20).map(move |s| (n, s)))
        {
            let path = Scenario::path(name, Path::new(FOLDER)).unwrap();
            let (written, varied) = (Scenario::read(&path).unwrap(), read(&path, scenario).unwrap());
            let scopes = |scenario: &Scenario, number: usize| -> Vec<(Vec<String>, Vec<String>)> {
                let mut inputs: Vec<&String> = scenario.truth.measure.iter().map(|measure| &measure.input).collect();
                inputs.sort();
                inputs.dedup();
                let of = scenario.truth.measure.iter().filter(|measure| measure.input == *inputs[number]);
                of.map(|measure| (measure.vantages.clone(), measure.phases.clone())).collect()
            };
            // Wikipedia is the same in both; a renamed site may come before or after it.
            let wikipedia =
                |scenario: &Scenario| (0..2).map(|n| scopes(scenario, n)).collect::<std::collections::BTreeSet<_>>();
            assert_eq!(wikipedia(&written), wikipedia(&varied), "{name}");
        }
    }

    #[test]
    fn names_below_a_name_keep_it() {
        let text = "name = \"x.com\"\nnames = [\"api.x.com\"]\n";
        assert_eq!(renamed(text, &mut StdRng::seed_from_u64(3)), text);
    }

    #[test]
    fn what_a_scenario_says_itself_is_kept() {
        let mut line = Line { delay_ms: Some(7.0), hops: Some(3), loss: 0.1, ..Line::default() };
        let before = line;
        vary_line(&mut line, &mut StdRng::seed_from_u64(1), 10.0..20.0, 1..9);
        assert_eq!(line, before);
    }
}
