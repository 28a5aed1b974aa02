//! A run: many targets, in random order, side by side, recorded one by one, with the vantage watched all the while.
//!
//! Here everything meets: `flow` begins targets and takes their measurements, `herald` sends the pacing canary, the
//! health monitor checks the vantage, the writer's thread stores.

pub mod account;
pub mod canary;
mod flow;
mod herald;
mod progress;
pub mod stop;
mod unmeasured;

use std::collections::VecDeque;
use std::sync::Arc;

use faultline_record::{
    Database, Entry, HealthCheck, HealthReason, NotRun, RecordError, Run, RunEnd, RunSummary, Target, Timestamp,
    Witnessed, Writer,
};
use faultline_verdict::HealthState;
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::RunClock;
use crate::consent::Consent;
use crate::drive::{Drive, DriveConfig, DriveError, PublicResolver};
use crate::error::ProbeError;
use crate::health::{Checker, LinkFacts, Monitor, lets_targets_begin, monitor};
use crate::helper::HelperClient;
use crate::lists::Controls;
use crate::measure::MeasureContext;
use crate::meter::Meter;
use crate::pace::Pace;
use crate::plan::Plan;
use crate::vpn_keys::VpnKeys;

use canary::Pacing;
use flow::Flow;
use herald::{Herald, Throttle};
pub use progress::Progress;
use stop::{Bounds, Signals};
use unmeasured::unmeasured;

/// Measurements that may wait for the writer. Each holds at most a few bodies of 256 KiB, which bounds the memory.
const QUEUE: usize = 32;

/// All that a run needs.
#[derive(Debug)]
pub struct Session {
    /// What to measure.
    pub plan: Plan,
    /// What stands for the network.
    pub controls: Arc<Controls>,
    /// Resolvers to compare with, besides the public ones.
    pub doh: Vec<Url>,
    /// The helper outside, if there is one.
    pub helper: Option<Url>,
    /// Keys of tunnels.
    pub vpn_keys: Arc<VpnKeys>,
    /// Roots to trust, besides the built-in ones.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// How consent was given.
    pub consent: Consent,
    /// Whether a target that was never begun is recorded too, with its reason: for inputs named one by one.
    pub record_unmeasured: bool,
    /// Shows how far it is.
    pub progress: Progress,
}

/// What came of a run.
#[derive(Debug)]
pub struct Ended {
    /// The account.
    pub summary: RunSummary,
    /// The vantage before the first target; `None` when the run was ended before that was known.
    pub before: Option<HealthState>,
    /// Why storage failed, if it did.
    pub error: Option<RecordError>,
    /// Measurements that could not be stored.
    pub unsaved: Vec<Witnessed>,
}

/// Makes a run from beginning to end. The database is given up at the end, so that it can be read.
pub fn execute(session: &Session, mut database: Database) -> Result<Ended, ProbeError> {
    let clock = RunClock::start();
    database.insert_run(&run_record(session))?;
    let writer = Arc::new(Writer::start(database, QUEUE));
    let conducted = runtime()?.block_on(conduct(session, clock, &writer));
    let report = Arc::into_inner(writer)
        .ok_or_else(|| ProbeError::Internal("a task outlived its run and holds the writer".into()))?
        .finish();
    let Conducted { mut summary, before, recent } = conducted?;
    let mut error = report.error;
    if error.is_none() {
        summary.duration_ms = clock.now_ms();
        error = report.database.and_then(|mut database| database.finish_run(session.plan.run, &summary).err());
    }
    Ok(Ended { summary, before, error, unsaved: with_witnesses(report.unsaved, &recent) })
}

struct Conducted {
    summary: RunSummary,
    before: Option<HealthState>,
    recent: VecDeque<HealthCheck>,
}

/// Two workers: the bound is the network's.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, ProbeError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| ProbeError::Internal(format!("failed to start the runtime: {error}")))
}

fn run_record(session: &Session) -> Run {
    let plan = &session.plan;
    Run {
        id: plan.run,
        started_at: Timestamp::now(),
        software_name: env!("CARGO_PKG_NAME").into(),
        software_version: env!("CARGO_PKG_VERSION").into(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        lists_sha256: plan.lists_sha256,
        plan_sha256: plan.sha256(),
        consent: session.consent.name().into(),
        planned: u32::try_from(plan.targets.len()).unwrap_or(u32::MAX),
        left_out: plan.left_out_rows(),
        tls_fingerprint: crate::drive::tls_fingerprint(),
    }
}

async fn conduct(session: &Session, clock: RunClock, writer: &Arc<Writer>) -> Result<Conducted, ProbeError> {
    let signals = Signals::default();
    signals.listen().map_err(|error| ProbeError::Internal(format!("failed to listen for signals: {error}")))?;
    let parts = Parts::build(session, clock, writer, &signals).map_err(|error| ProbeError::Usage(error.to_string()))?;
    let before = tokio::select! {
        state = parts.monitor.check(HealthReason::Before) => Some(state),
        () = signals.targets.cancelled() => None,
    };
    if before == Some(HealthState::ClockWrong) {
        parts.drive.distrust_clock();
    }
    let mut flow = parts.flow(session);
    let end = match before {
        None => RunEnd::Interrupted,
        Some(state) if !lets_targets_begin(state) => RunEnd::NoNetwork,
        Some(_) => Box::pin(parts.measure(session, &mut flow)).await,
    };
    if session.record_unmeasured {
        parts.record_unmeasured(flow.remaining(), end).await;
    }
    if flow.account().begun() > 0 {
        tokio::select! {
            _ = parts.monitor.check(HealthReason::After) => {}
            () = signals.everything.cancelled() => {}
        }
    }
    session.progress.finish();
    let summary = flow.account().close(end, clock.now_ms(), &parts.meter);
    Ok(Conducted { summary, before, recent: parts.monitor.recent() })
}

/// What the tasks of a run share.
struct Parts {
    drive: Drive,
    context: MeasureContext,
    monitor: Arc<Monitor>,
    writer: Arc<Writer>,
    meter: Arc<Meter>,
    pace: Arc<Pace>,
    throttle: Arc<Throttle>,
}

impl Parts {
    fn build(session: &Session, clock: RunClock, writer: &Arc<Writer>, signals: &Signals) -> Result<Self, DriveError> {
        let (plan, meter) = (&session.plan, Arc::new(Meter::default()));
        if let Some(bytes) = plan.max_data {
            meter.allow(bytes);
        }
        let (pace, ipv6) = (Arc::new(Pace::new(plan.rate)), LinkFacts::read().has_ipv6());
        let helper = session.helper.as_ref().map(|url| Arc::new(HelperClient::new(url)));
        let network = || plan.network.clone();
        let context = |cancel| MeasureContext::new(plan.run, clock, network(), cancel, helper.clone());
        let checker = Checker::new(
            Arc::clone(&session.controls),
            &session.extra_roots,
            ipv6,
            Arc::clone(&pace),
            Arc::clone(&meter),
            context(signals.everything.clone()),
        )?;
        Ok(Self {
            drive: Drive::new(drive_config(session, ipv6), Arc::clone(&pace), Arc::clone(&meter))?,
            context: context(signals.targets.child_token()),
            monitor: Arc::new(Monitor::new(checker, Arc::clone(writer))),
            writer: Arc::clone(writer),
            meter,
            pace,
            throttle: Arc::new(Throttle::new(plan.parallel)),
        })
    }

    fn flow<'a>(&'a self, session: &'a Session) -> Flow<'a> {
        let bounds = Bounds { time: session.plan.max_time, data: session.plan.max_data };
        Flow::new(self, &session.plan.targets, bounds, &session.progress)
    }

    /// Measures, with canary and health checks beside.
    async fn measure(&self, session: &Session, flow: &mut Flow<'_>) -> RunEnd {
        let beside = CancellationToken::new();
        let herald = Herald {
            run: session.plan.run,
            clock: self.context.clock,
            monitor: Arc::clone(&self.monitor),
            writer: Arc::clone(&self.writer),
            meter: Arc::clone(&self.meter),
            pace: Arc::clone(&self.pace),
            throttle: Arc::clone(&self.throttle),
        };
        let full = Pacing { rate: session.plan.rate, parallel: session.plan.parallel };
        let measuring = async {
            let end = flow.go().await;
            beside.cancel();
            end
        };
        let (end, (), ()) = tokio::join!(measuring, herald.watch(full, &beside), self.monitor.watch(&beside));
        end
    }

    async fn record_unmeasured(&self, targets: &[Target], end: RunEnd) {
        let reason = match end {
            RunEnd::NoNetwork => NotRun::NoNetwork,
            RunEnd::MaxTime => NotRun::MaxTime,
            RunEnd::MaxData => NotRun::MaxData,
            RunEnd::Completed | RunEnd::Interrupted | RunEnd::Storage => NotRun::Interrupted,
        };
        for target in targets {
            // If storage fails the writer keeps it, and it is printed.
            let _ = self.writer.write(Entry::Measurement(unmeasured(target, &self.context, reason))).await;
        }
    }
}

fn drive_config(session: &Session, ipv6: bool) -> DriveConfig {
    let resolver = |resolver: &crate::lists::controls::Resolver| PublicResolver {
        name: resolver.name.clone(),
        udp: resolver.udp.clone(),
        doh: resolver.doh.clone(),
        dot: resolver.dot_name(),
    };
    DriveConfig {
        vpn_keys: Arc::clone(&session.vpn_keys),
        extra_roots: session.extra_roots.clone(),
        resolvers: session.controls.resolver.iter().map(resolver).collect(),
        doh: session.doh.clone(),
        innocent_sni: session.controls.innocent.sni.clone(),
        strangers: session.controls.strangers(),
        limits: session.plan.limits,
        follow_up: session.plan.follow_up,
        http3: session.plan.http3,
        ipv6,
    }
}

fn with_witnesses(unsaved: Vec<Entry>, recent: &VecDeque<HealthCheck>) -> Vec<Witnessed> {
    let measurements = unsaved.into_iter().filter_map(|entry| match entry {
        Entry::Measurement(measurement) => Some(measurement),
        _ => None,
    });
    measurements
        .map(|measurement| {
            let witness = monitor::witness_of(recent, &measurement);
            Witnessed { measurement, witness }
        })
        .collect()
}
