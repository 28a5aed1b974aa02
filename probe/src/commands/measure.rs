//! `probe run` and `probe check`: from what was typed to a run, and from its records to what is printed.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use faultline_record::{Database, Endpoint, Filter, Reader, RunEnd, RunId, Witnessed};
use faultline_verdict::{HealthState, Verdict, local_health};

use super::targets;
use crate::cli::config::{ConfigFile, MeasureOptions, OutputOptions, data_folder};
use crate::cli::{ListArgs, MeasureArgs, OutputArgs, StoreArgs};
use crate::consent::{self, Subject, make_private_folder};
use crate::error::{Exit, ProbeError};
use crate::health::{LinkFacts, lets_targets_begin};
use crate::lists::{Catalog, Controls, Selection};
use crate::plan::{Plan, inputs_hash};
use crate::report::resolvers::Unheard;
use crate::report::table::{Listing, Row};
use crate::report::{self, Told, for_each_judged, say, stdout};
use crate::run::{self, Ended, Progress, Session, account};

/// The options that both commands have.
pub struct Given {
    /// How to measure.
    pub measure: MeasureArgs,
    /// Where to keep it.
    pub store: StoreArgs,
    /// How to print it.
    pub output: OutputArgs,
}

/// What a command measures.
struct Wanted {
    selection: Selection,
    hash: [u8; 32],
    /// The inputs in the order given, when they were named one by one.
    inputs: Option<Vec<String>>,
}

/// `probe run`.
pub fn run(config: &ConfigFile, lists: ListArgs, given: Given) -> Result<Exit, ProbeError> {
    let (hash, selection) = targets::choose(&config.lists(lists))?;
    if selection.targets.is_empty() {
        let left_out = selection.left_out_rows();
        let why = if left_out > 0 { "; their categories are off until named with --category" } else { "" };
        return Err(ProbeError::Usage(format!("no target of the lists was chosen ({left_out} left out{why})")));
    }
    go(config, Wanted { selection, hash, inputs: None }, given)
}

/// `probe check`.
pub fn check(config: &ConfigFile, inputs: Vec<String>, given: Given) -> Result<Exit, ProbeError> {
    let catalog = Catalog::embedded()?;
    let target = |input: &String| {
        Endpoint::parse(input)
            .map(|endpoint| catalog.target(input, endpoint, None, None))
            .map_err(|why| why.to_string())
    };
    let (good, bad): (Vec<_>, Vec<_>) = inputs.iter().map(target).partition(Result::is_ok);
    if !bad.is_empty() {
        let bad: Vec<String> = bad.into_iter().filter_map(Result::err).collect();
        return Err(ProbeError::Usage(bad.join("\n")));
    }
    let selection = Selection { targets: good.into_iter().flatten().collect(), ..Selection::default() };
    go(config, Wanted { selection, hash: inputs_hash(&inputs), inputs: Some(inputs) }, given)
}

fn go(config: &ConfigFile, wanted: Wanted, given: Given) -> Result<Exit, ProbeError> {
    let (options, output) = (config.measure(given.measure)?, config.output(&given.output));
    let file = config.db(given.store)?;
    let controls = Controls::embedded().map_err(|error| ProbeError::embedded(&error))?;
    let network = options.network(|| LinkFacts::read().kind());
    let plan = Plan::new(wanted.selection, wanted.hash, &options, network, &controls);
    if options.dry_run {
        return Ok(print_plan(&plan, output));
    }
    if wanted.inputs.is_none()
        && !consent::is_given(Subject::Sites, options.yes, data_folder().as_deref())
        && !LinkFacts::read().is_connected()
    {
        // Nobody need consent to nothing: without a network not a packet would be sent.
        say_unmeasured(HealthState::NoNetwork);
        return Ok(Exit::Nothing);
    }
    let session = session(plan, controls, options, output, wanted.inputs.is_some())?;
    let database = open(&file)?;
    let lock = database.lock_for_run()?;
    let ended = run::execute(&session, database)?;
    drop(lock);
    conclude(&session, &file, &ended, output, wanted.inputs.as_deref())
}

fn session(
    plan: Plan,
    controls: Controls,
    options: MeasureOptions,
    output: OutputOptions,
    record_unmeasured: bool,
) -> Result<Session, ProbeError> {
    let folder = data_folder();
    let consent = consent::obtain(Subject::Sites, options.yes, folder.as_deref())?;
    if plan.tries_tunnels() {
        consent::obtain(Subject::Tunnels, options.yes_vpn, folder.as_deref())?;
    }
    Ok(Session {
        consent,
        progress: Progress::new(plan.targets.len(), output.quiet),
        plan,
        controls: Arc::new(controls),
        doh: options.doh,
        helper: options.helper,
        vpn_keys: Arc::new(options.vpn_keys),
        extra_roots: options.extra_roots,
        record_unmeasured,
    })
}

/// The default database's folder is made; a folder that the user named must be there.
fn open(file: &Path) -> Result<Database, ProbeError> {
    if let Some(folder) = file.parent().filter(|folder| data_folder().as_deref() == Some(folder)) {
        make_private_folder(folder)
            .map_err(|error| ProbeError::Internal(format!("failed to make {}: {error}", folder.display())))?;
    }
    Ok(Database::open_or_create(file)?)
}

fn print_plan(plan: &Plan, output: OutputOptions) -> Exit {
    let mut out = stdout();
    let written = if output.json { writeln!(out, "{}", plan.to_json()) } else { write!(out, "{}", plan.to_text()) };
    let _ = written.and_then(|()| out.flush());
    Exit::Done
}

fn conclude(
    session: &Session,
    file: &Path,
    ended: &Ended,
    output: OutputOptions,
    inputs: Option<&[String]>,
) -> Result<Exit, ProbeError> {
    let run = session.plan.run;
    let reader = Reader::open(file);
    let read = if let Ok(reader) = &reader {
        print_verdicts(reader, run, ended, output, inputs)
    } else {
        // What was stored cannot be read back; what was not stored can still be printed.
        print_unsaved(&ended.unsaved, output);
        Ok(())
    };
    if let Ok(reader) = &reader {
        say_health(reader, run, ended)?;
        if !output.quiet {
            say_unheard(reader, run)?;
            say_services(reader, run)?;
        }
    }
    say_account(session, ended, output);
    match (reader, read, &ended.error) {
        (_, _, Some(error)) => {
            say(format_args!("probe: {error}"));
            Ok(Exit::Unsaved)
        }
        (Err(error), _, None) | (Ok(_), Err(error), None) => Err(error.into()),
        _ => Ok(exit_of(ended)),
    }
}

fn exit_of(ended: &Ended) -> Exit {
    match ended.summary.end {
        RunEnd::Interrupted => Exit::Interrupted,
        RunEnd::Storage => Exit::Unsaved,
        RunEnd::NoNetwork if ended.summary.measured == 0 => Exit::Nothing,
        _ => Exit::Done,
    }
}

type Read = Result<(), faultline_record::RecordError>;

fn print_verdicts(
    reader: &Reader,
    run: RunId,
    ended: &Ended,
    output: OutputOptions,
    inputs: Option<&[String]>,
) -> Read {
    let filter = Filter { run: Some(run), ..Filter::default() };
    match (output.json, inputs) {
        (true, None) => {
            report::print_json(reader, &filter, Told::Typed)?;
            print_unsaved(&ended.unsaved, output);
            Ok(())
        }
        (true, Some(inputs)) => print_in_order(reader, &filter, &ended.unsaved, inputs),
        (false, _) => {
            let mut rows = unsaved_rows(&ended.unsaved);
            rows.extend(report::rows_of(reader, &filter, Told::Typed)?);
            print_rows(rows, output);
            Ok(())
        }
    }
}

/// One object for every input, in the order in which they were given.
fn print_in_order(reader: &Reader, filter: &Filter, unsaved: &[Witnessed], inputs: &[String]) -> Read {
    let place: HashMap<&str, usize> = inputs.iter().enumerate().rev().map(|(n, input)| (input.as_str(), n)).collect();
    let mut lines = Vec::new();
    let mut keep = |witnessed: &Witnessed, verdict: &Verdict| {
        let n = place.get(witnessed.measurement.target.input.as_str()).copied().unwrap_or(usize::MAX);
        lines.push((n, Told::Typed.json(witnessed, verdict)));
        ControlFlow::Continue(())
    };
    for witnessed in unsaved {
        let _ = keep(witnessed, &report::judge(witnessed));
    }
    for_each_judged(reader, filter, keep)?;
    lines.sort_by_key(|(n, _)| *n);
    let mut out = stdout();
    let _ = lines.iter().try_for_each(|(_, line)| writeln!(out, "{line}")).and_then(|()| out.flush());
    Ok(())
}

fn print_unsaved(unsaved: &[Witnessed], output: OutputOptions) {
    if !output.json {
        print_rows(unsaved_rows(unsaved), output);
        return;
    }
    let mut out = stdout();
    for witnessed in unsaved {
        let verdict = report::judge(witnessed);
        if writeln!(out, "{}", Told::Typed.json(witnessed, &verdict)).is_err() {
            break;
        }
    }
    let _ = out.flush();
}

fn unsaved_rows(unsaved: &[Witnessed]) -> Vec<Row> {
    unsaved.iter().map(|seen| Row::new(seen, &report::judge(seen), Told::Typed)).collect()
}

fn print_rows(rows: Vec<Row>, output: OutputOptions) {
    let listing = match (output.quiet, std::io::stdout().is_terminal()) {
        (true, _) => Listing::NotOk,
        (false, true) => Listing::Folded,
        (false, false) => Listing::Everything,
    };
    report::print_rows(rows, listing);
}

/// What is wrong with the vantage is said even when `--quiet`: the verdicts cannot be read without it.
fn say_health(reader: &Reader, run: RunId, ended: &Ended) -> Result<(), ProbeError> {
    if let Some(state) = ended.before.filter(|&state| !lets_targets_begin(state)) {
        say_unmeasured(state);
        return Ok(());
    }
    let mut counts: HashMap<HealthState, usize> = HashMap::new();
    for check in reader.health_checks(run)? {
        if check.reason != faultline_record::HealthReason::Canary {
            *counts.entry(local_health(&check).state).or_default() += 1;
        }
    }
    let checks: usize = counts.values().sum();
    let mut bad: Vec<_> = counts.into_iter().filter(|(state, _)| *state != HealthState::Ok).collect();
    bad.sort();
    for (state, count) in bad {
        say(format_args!("in {count} of {checks} checks of this connection: {}", state.sentence()));
    }
    let marks = reader.pace_marks(run)?.len();
    if marks > 0 {
        say(format_args!(
            "our own pace was too much for this connection {marks} times; it was lowered, and the rows are marked"
        ));
    }
    Ok(())
}

/// Whose DNS over HTTPS could never be asked: that is about the resolver, and is no evidence on any target.
fn say_unheard(reader: &Reader, run: RunId) -> Result<(), ProbeError> {
    let filter = Filter { run: Some(run), ..Filter::default() };
    for Unheard { resolver, asked, failure } in report::resolvers::unheard(reader, &filter)? {
        say(format_args!(
            "{resolver} could not be asked over HTTPS in any of {asked} measurements ({failure}): measure the service \
             `resolvers` to see why"
        ));
    }
    Ok(())
}

/// What the endpoints make together: the reader of a table sees them one by one.
fn say_services(reader: &Reader, run: RunId) -> Result<(), ProbeError> {
    let filter = Filter { run: Some(run), ..Filter::default() };
    report::service_lines(reader, &filter)?.into_iter().for_each(|line| say(format_args!("{line}")));
    Ok(())
}

fn say_unmeasured(state: HealthState) {
    say(format_args!("nothing was measured: {}", state.sentence()));
}

fn say_account(session: &Session, ended: &Ended, output: OutputOptions) {
    if let Some(words) = account::end_words(ended.summary.end).filter(|_| ended.before.is_none_or(lets_targets_begin)) {
        say(format_args!("{words}"));
    }
    if output.quiet {
        return;
    }
    if let Some(words) = session.plan.left_out_words() {
        say(format_args!("left out: {words}"));
    }
    say(format_args!("{}", account::words(&ended.summary)));
    say(format_args!("run {}", session.plan.run));
}
