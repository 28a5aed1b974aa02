//! An evaluation as a page of Markdown: the figures with their counts and intervals, the worst first.

use std::fmt::Write;

use faultline_verdict::words::{clean, counted};

use super::calibration::Calibration;
use super::cost::{Cost, Costs};
use super::detection::Detection;
use super::matrix::Matrix;
use super::scores::{Basis, Evaluation, FamilyScores, Scores, Wrong};
use super::share::Share;

/// Kinds of wrong verdicts that the page lists; the JSON has them all.
const WRONG: usize = 50;

/// Families that are named as the worst.
const WORST: usize = 5;

/// So many of the figures tell something of a baseline that knows no state but `blocked` and `ok`.
const BASELINE: usize = 5;

/// A figure of detection with the words for it.
type Figure = (&'static str, fn(&Detection) -> Share);

const FIGURES: [Figure; 17] = [
    ("state is among the accepted", |of| of.accept),
    ("sensitivity: blocked or likely blocked, of what is blocked", |of| of.sensitivity),
    ("specificity: neither, of what is benign", |of| of.specificity),
    ("predictive value: blocked, of what is called so", |of| of.ppv),
    ("outage called blocking", |of| of.outage_called_blocking),
    ("state is the true one", |of| of.exact),
    ("cause is among the accepted", |of| of.accept_cause),
    ("strict sensitivity: `blocked`, of what is blocked", |of| of.sensitivity_strict),
    ("strict specificity: not `blocked`, of what is benign", |of| of.specificity_strict),
    ("strict predictive value: blocked, of what is called `blocked`", |of| of.ppv_strict),
    ("blocking called outage (`down` or `insufficient`)", |of| of.blocking_called_outage),
    ("blocking called `down`", |of| of.blocking_called_down),
    ("blocking called `insufficient`", |of| of.blocking_called_insufficient),
    ("interference found: called blocked or named as the cause, of all of it", |of| of.interference_found),
    ("healthy target called blocked", |of| of.healthy_called_blocking),
    ("failure of the site's own called `down` or laid to the site", |of| of.site_side_named),
    ("called blocked where interference holds beside something else", |of| of.neither_called_blocking),
];

/// The whole page.
pub fn page(evaluation: &Evaluation) -> String {
    let mut page = String::from("# Evaluation\n\n");
    page += &basis(evaluation);
    let mut sets = vec![("all", &evaluation.all)];
    sets.extend(["train", "test"].into_iter().filter_map(|split| Some((split, evaluation.splits.get(split)?))));
    sets.retain(|(_, scores)| scores.n > 0);
    page += "\n## Blocked or not\n\n";
    page += &figures(&FIGURES, &sets, |scores| &scores.detection);
    page += "\n### Baseline on the same measurements: any failure is blocking\n\n\
             A step of the measurement proper failed, or the name had no address of either family.\n\n";
    page += &figures(&FIGURES[..BASELINE], &sets, |scores| &scores.baseline);
    page += "\n## Families, the worst first\n\n";
    page += &families(&evaluation.families);
    page += &matrices("States", &sets, |scores| &scores.states);
    page += &matrices("Causes", &sets, |scores| &scores.causes);
    page += &mechanisms(&sets);
    page += &two_causes(&sets);
    page += &probabilities(&sets);
    page += &risk(&sets);
    page += &costs(&evaluation.costs);
    page + &wrong(&evaluation.wrong)
}

/// A set of measurements with its name.
type Sets<'a> = [(&'static str, &'a Scores)];

fn basis(evaluation: &Evaluation) -> String {
    let basis = &evaluation.basis;
    let mut text = format!(
        "It rests on {} ({}) from {} of {} in {}; {} read. Ruleset {}.\n",
        counted(basis.labelled, "labelled measurement"),
        set_sizes(evaluation),
        counted(basis.worlds, "world"),
        counted(basis.scenarios, "scenario"),
        families_counted(basis.families),
        counted(basis.files, "file"),
        basis.rulesets.iter().map(|version| clean(version)).collect::<Vec<_>>().join(", "),
    );
    text += &left_out(basis);
    if !evaluation.in_both_splits.is_empty() {
        let names: Vec<String> = evaluation.in_both_splits.iter().map(|name| cell(name)).collect();
        let _ = writeln!(text, "\n**Not held out:** families with labels of both splits: {}.", names.join(", "));
    }
    text + "\nFigures are k of n with Wilson intervals at 95 %, which take measurements as independent; those of one world \
            are not quite. No error in n bounds the rate of errors by 3/n and not lower. Networks made on a machine prove \
            a method, not how it fares in the field.\n"
}

fn families_counted(n: u64) -> String {
    if n == 1 { "1 family".into() } else { format!("{n} families") }
}

fn set_sizes(evaluation: &Evaluation) -> String {
    let sizes: Vec<String> = evaluation.splits.iter().map(|(name, of)| format!("{} marked {name}", of.n)).collect();
    sizes.join(", ")
}

fn left_out(basis: &Basis) -> String {
    let left: Vec<String> = [
        (basis.unlabelled, "measurement", "without a label"),
        (basis.missing, "label", "without a measurement"),
        (basis.measurements_again, "measurement", "met again and counted once"),
        (basis.labels_again, "label", "met again and counted once"),
    ]
    .iter()
    .filter(|(n, ..)| *n > 0)
    .map(|(n, what, why)| format!("{} {why}", counted(*n, what)))
    .collect();
    if left.is_empty() { String::new() } else { format!("Left out: {}.\n", left.join("; ")) }
}

fn figures(figures: &[Figure], sets: &Sets, detection: fn(&Scores) -> &Detection) -> String {
    let rows = figures.iter().map(|(name, share)| {
        let shares = sets.iter().map(|(_, scores)| shown(share(detection(scores))));
        std::iter::once((*name).to_owned()).chain(shares).collect()
    });
    table(&header("figure", sets), rows)
}

fn header(title: &str, sets: &Sets) -> Vec<String> {
    std::iter::once(title.to_owned()).chain(sets.iter().map(|(name, _)| (*name).to_owned())).collect()
}

/// `97/100 = 0.970 [0.915, 0.990]`.
pub(super) fn shown(share: Share) -> String {
    let Share { k, n } = share;
    match (share.value(), share.interval()) {
        (Some(value), Some((low, high))) => format!("{k}/{n} = {value:.3} [{low:.3}, {high:.3}]"),
        _ => "0/0".into(),
    }
}

/// `97/100 = 0.970`.
fn brief(share: Share) -> String {
    share.value().map_or_else(|| "-".into(), |value| format!("{}/{} = {value:.3}", share.k, share.n))
}

fn families(families: &[FamilyScores]) -> String {
    let is_wrong = |family: &&FamilyScores| family.detection.accept.k < family.detection.accept.n;
    let worst = families.iter().filter(is_wrong).take(WORST);
    let worst: Vec<String> = worst.map(|of| format!("{} ({})", cell(&of.family), brief(of.detection.accept))).collect();
    let names = [
        "family",
        "split",
        "state accepted",
        "cause accepted",
        "sensitivity",
        "specificity",
        "outage called blocking",
        "mechanism",
        "mechanism where it can be known",
        "interference found",
        "healthy called blocked",
        "laid to the site",
    ];
    let rows = families.iter().map(|of| {
        let split = of.splits.iter().map(|split| split.name()).collect::<Vec<_>>().join(", ");
        let told = &of.detection;
        let shares = [told.accept, told.accept_cause, told.sensitivity, told.specificity, told.outage_called_blocking];
        let who = [told.interference_found, told.healthy_called_blocking, told.site_side_named];
        let shares =
            shares.into_iter().chain([of.mechanisms.prefix, of.mechanisms.prefix_knowable]).chain(who).map(brief);
        [cell(&of.family), split].into_iter().chain(shares).collect()
    });
    let table = table(&names.map(String::from), rows);
    if worst.is_empty() {
        return format!("Worst families: none; every state said is accepted.\n\n{table}");
    }
    format!("Worst families: {}.\n\n{table}", worst.join("; "))
}

fn matrices(title: &str, sets: &Sets, matrix: fn(&Scores) -> &Matrix) -> String {
    let mut text = format!("\n## {title}\n\nRows are true, columns were said.\n");
    for (name, scores) in sets {
        let matrix = matrix(scores);
        let saids: Vec<&str> = matrix.saids().collect();
        let head: Vec<String> = [*name].iter().chain(&saids).chain(&["n"]).map(|&name| name.to_owned()).collect();
        let rows = matrix.truths().map(|(truth, n)| {
            let counts = saids.iter().map(|said| matrix.count(truth, said).to_string());
            std::iter::once(truth.to_owned()).chain(counts).chain([n.to_string()]).collect()
        });
        let _ = write!(text, "\n{}", table(&head, rows));
    }
    text
}

fn mechanisms(sets: &Sets) -> String {
    let line = |name: &str, share: fn(&Scores) -> String| {
        std::iter::once(name.to_owned()).chain(sets.iter().map(|(_, scores)| share(scores))).collect()
    };
    let rows: [Vec<String>; 7] = [
        line("hierarchical precision", |of| shown(of.mechanisms.precision)),
        line("the same to the label's depth", |of| shown(of.mechanisms.precision_to_depth)),
        line("hierarchical recall", |of| shown(of.mechanisms.recall)),
        line("F1", |of| of.mechanisms_f1.map_or_else(|| "-".into(), |f1| format!("{f1:.3}"))),
        line("right layer, of labels with a mechanism", |of| shown(of.mechanisms.layer)),
        line("right mechanism or a prefix of it beyond the layer", |of| shown(of.mechanisms.prefix)),
        line("the same, where the label accepts interference alone as the cause", |of| {
            shown(of.mechanisms.prefix_knowable)
        }),
    ];
    let head = header("nodes with their ancestors", sets);
    format!("\n## Mechanisms\n\n{}", table(&head, rows.into_iter()))
}

fn two_causes(sets: &Sets) -> String {
    let rows = sets.iter().map(|(name, scores)| {
        let two = &scores.two_causes;
        vec![(*name).to_owned(), shown(two.accept), shown(two.accept_cause), shown(two.both_named)]
    });
    let head = ["", "state accepted", "cause accepted", "both named, each likelier than not"].map(String::from);
    format!("\n## Two causes at once\n\nInterference, while something else is out of order.\n\n{}", table(&head, rows))
}

fn probabilities(sets: &Sets) -> String {
    let mut text = "\n## Probabilities\n\nOf ok, down and blocked, where one of them is true and the verdict is not \
                    `insufficient`. Log loss in nats; Brier score summed over the three states (0 to 2); calibration \
                    error of the likeliest state, ten bins of equal mass.\n\n"
        .to_owned();
    let scored: Vec<(&str, &Calibration)> =
        sets.iter().filter_map(|(name, scores)| Some((*name, scores.calibration.as_ref()?))).collect();
    let rows = scored.iter().map(|(name, of)| {
        let figures = [of.log_loss, of.brier, of.error].map(|score| format!("{score:.4}"));
        [(*name).to_owned(), of.n.to_string()].into_iter().chain(figures).collect()
    });
    text += &table(&["", "n", "log loss", "Brier", "calibration error"].map(String::from), rows);
    for (name, of) in scored {
        let bins = of.bins.iter();
        let rows =
            bins.map(|bin| vec![bin.n.to_string(), format!("{:.3}", bin.confidence), format!("{:.3}", bin.right)]);
        let head = [format!("{name}: n"), "mean confidence".into(), "right".into()];
        let _ = write!(text, "\n{}", table(&head, rows));
    }
    text
}

fn risk(sets: &Sets) -> String {
    let mut text =
        "\n## Risk and coverage\n\nWrong verdicts (state not accepted) when only those are heard that have at \
                    least this probability of the state they name.\n"
            .to_owned();
    for (name, scores) in sets {
        let rows = scores.risk.iter().map(|point| {
            let confidence = format!("{:.4}", point.confidence);
            vec![format!("{} %", point.coverage), confidence, brief(point.heard), shown(point.wrong)]
        });
        let head = [format!("{name}: coverage"), "confidence at least".into(), "heard".into(), "wrong".into()];
        let _ = write!(text, "\n{}", table(&head, rows));
        if let Some(area) = scores.risk_area {
            let _ = writeln!(text, "\nMean risk over all coverages: {area:.4}.");
        }
    }
    text
}

fn costs(costs: &[Costs]) -> String {
    let rows = costs.iter().map(|of| {
        let cost = |cost: &Cost| format!("{:.0}, {:.0}, {:.1}", cost.connections, cost.bytes, cost.seconds);
        vec![of.said.name().to_owned(), of.n.to_string(), cost(&of.median), cost(&of.most)]
    });
    let head = ["said", "n", "median", "most"].map(String::from);
    format!(
        "\n## Cost of follow-ups\n\nBeyond the measurement proper, the other resolvers and the helper: connections and \
         questions, bytes received in handshakes and bodies, seconds from the first to the last.\n\n{}",
        table(&head, rows)
    )
}

fn wrong(wrong: &[Wrong]) -> String {
    if wrong.is_empty() {
        return "\n## Wrong verdicts\n\nNone.\n".into();
    }
    let head =
        ["n", "family", "scenario", "vantage, phase", "input", "true", "said", "accepted", "example"].map(String::from);
    let rows = wrong.iter().take(WRONG).map(|of| {
        let words = [&of.family, &of.scenario, &of.at, &of.input].map(|word| cell(word));
        let accepted = if of.accepted { "yes" } else { "no" };
        let said = [of.truth.name(), of.said.name(), accepted, &of.example].map(String::from);
        [of.n.to_string()].into_iter().chain(words).chain(said).collect()
    });
    let table = table(&head, rows);
    let mut text = format!(
        "\n## Wrong verdicts\n\nThe state said is not accepted; or it is, since the label says that it cannot be known from \
         there, and yet blocked was missed or a false alarm raised.\n\n{table}"
    );
    if let Some(more @ 1..) = wrong.len().checked_sub(WRONG) {
        let _ = writeln!(text, "\nAnd {more} kinds more, in the JSON.");
    }
    text
}

fn table(head: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// A word from a file, which cannot break the table or steer a terminal.
fn cell(word: &str) -> String {
    clean(word).replace('\\', "\\\\").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::scores::tests::evaluation;

    #[test]
    fn the_page_says_on_how_many_it_rests_and_what_it_left_out() {
        let page = page(&evaluation());
        let wanted = "It rests on 4 labelled measurements (1 marked test, 3 marked train) from 3 worlds of 3 scenarios \
                      in 3 families; 2 files read.";
        assert!(page.contains("Left out: 1 measurement without a label; 3 labels without a measurement.\n"), "{page}");
        assert!(page.contains(wanted), "{page}");
    }

    #[test]
    fn the_worst_families_are_named_and_figures_have_counts_and_intervals() {
        let page = page(&evaluation());
        assert!(page.contains("Worst families: poor (0/1 = 0.000); half (1/2 = 0.500).\n"), "{page}");
        assert!(page.contains("| 1/2 = 0.500 [0.095, 0.905] |"), "{page}");
        assert!(
            page.contains("| all | blocked | down | ok | n |\n|---|---|---|---|---|\n| blocked | 1 | 1 | 0 | 2 |\n")
        );
    }

    #[test]
    fn every_table_has_as_many_cells_in_each_row_as_in_its_head() {
        let page = page(&evaluation());
        let mut width = None;
        for line in page.lines() {
            let cells = line.starts_with('|').then(|| line.matches('|').count());
            assert!(width.is_none() || cells.is_none() || cells == width, "{line}");
            width = cells;
        }
        assert!(page.matches("|---|").count() > 10);
    }

    #[test]
    fn a_word_from_a_file_cannot_break_a_table() {
        assert_eq!(cell("a|b\u{1b}[2J\\"), "a\\|b\\\\u{1b}[2J\\\\");
    }
}
