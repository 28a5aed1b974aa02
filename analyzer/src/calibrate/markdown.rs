//! A fit as a page of Markdown.

use std::fmt::Write;

use super::{Check, Examples, Fit};
use crate::evaluate::Calibration;

/// Everything that was found.
pub fn page(examples: &Examples<'_>, fit: &Fit<'_>) -> String {
    let mut text = String::new();
    let [train, held_out] = fit.n;
    let _ = writeln!(text, "# Weights, set and fitted\n");
    let _ = writeln!(
        text,
        "Ruleset {}, weights {}. Fitted on {train} measurements of `train` families, checked on {held_out} of `test` families; {} have no \
         truth or verdict of ok, down or blocked, and {} were left out since their evidence does not give their probabilities again.",
        fit.table.version, fit.table.weights, examples.undecided, examples.unexplained
    );
    ridges(&mut text, fit);
    for check in &fit.checks {
        scores(&mut text, check);
    }
    let better = if fit.is_clearly_better() { "is" } else { "is not" };
    let _ = writeln!(text, "\nOn families that it never saw the fit {better} clearly better than the set weights.");
    weights(&mut text, fit);
    text
}

fn ridges(text: &mut String, fit: &Fit<'_>) {
    let _ = writeln!(text, "\n## How strongly weights are drawn to the set ones\n");
    let _ =
        writeln!(text, "Log loss at the table's prevalence, of each family by weights that were fitted without it.\n");
    let _ = writeln!(text, "| ridge | log loss |\n|---|---|\n| as set | {:.4} |", fit.as_set);
    for (ridge, loss) in &fit.losses {
        let taken = if (ridge - fit.ridge).abs() < 1e-12 { " (taken)" } else { "" };
        let _ = writeln!(text, "| {ridge}{taken} | {loss:.4} |");
    }
}

fn scores(text: &mut String, check: &Check) {
    let [set, fitted] = &check.plain;
    let _ = writeln!(text, "\n## `{}` families\n\n| | as set | fitted |\n|---|---|---|", check.split);
    let [loss_set, loss_fitted] = check.loss;
    let _ = writeln!(text, "| log loss, at the table's prevalence | {loss_set:.4} | {loss_fitted:.4} |");
    let [brier_set, brier_fitted] = check.brier;
    let _ = writeln!(text, "| Brier score, at the table's prevalence | {brier_set:.4} | {brier_fitted:.4} |");
    let mut row = |name: &str, figure: fn(&Calibration) -> f64| {
        let cell = |scores: &Option<Calibration>| {
            scores.as_ref().map_or_else(|| "-".to_owned(), |s| format!("{:.4}", figure(s)))
        };
        let _ = writeln!(text, "| {name} | {} | {} |", cell(set), cell(fitted));
    };
    row("log loss, as the scenarios are", |scores| scores.log_loss);
    row("Brier score, as the scenarios are", |scores| scores.brier);
    row("calibration error, as the scenarios are", |scores| scores.error);
    let [less, same, more] = check.families;
    let _ = writeln!(text, "\nThe fit loses less in {less} families, as much in {same}, more in {more}.");
    for (name, scores) in [("as set", set), ("fitted", fitted)] {
        let Some(scores) = scores else { continue };
        let _ = writeln!(text, "\nReliability {name}, bins of equal mass:\n\n| n | said | right |\n|---|---|---|");
        for bin in &scores.bins {
            let _ = writeln!(text, "| {} | {:.3} | {:.3} |", bin.n, bin.confidence, bin.right);
        }
    }
}

fn weights(text: &mut String, fit: &Fit<'_>) {
    let _ = writeln!(
        text,
        "\n## Weights\n\nlog10 likelihoods under blocked, down and ok. The rest had too few measurements or families.\n"
    );
    let _ = writeln!(text, "| rule | measurements | families | set | fitted |\n|---|---|---|---|---|");
    for weight in fit.weights() {
        let columns = |values: [f64; 3]| values.map(|value| format!("{:.2}", value + 0.0)).join(", ");
        let (measurements, families) = weight.support;
        let _ = writeln!(
            text,
            "| `{}` | {measurements} | {families} | {} | {} |",
            weight.rule,
            columns(weight.set),
            columns(weight.fitted)
        );
    }
}
