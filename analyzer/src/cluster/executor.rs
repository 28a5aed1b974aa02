//! `analyzer cluster executor`: reads files, judges, groups and sorts what a scheduler deals out, and keeps what it made in a
//! folder of its own until others have fetched it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_executor::health::ExecutorHealth;
use datafusion::execution::SessionStateBuilder;
use tempfile::TempDir;

use super::codec::{Local, Logical, Physical};
use super::{MESSAGE, called, host, log, runtime, warn};
use crate::cli::ExecutorArgs;
use crate::engine::MEMORY;
use crate::exit::{AnalyzerError, Exit};
use crate::interrupt::Interrupt;
use crate::say;
use crate::threads::threads;

/// How often to look whether the scheduler knows this executor by now.
const LOOK: Duration = Duration::from_millis(20);

/// Works until a signal comes: then what is begun is finished, and the scheduler is told.
pub fn run(options: &ExecutorArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let name = called(options.host.as_deref(), options.bind)?;
    log::listen();
    warn(options.bind);
    let work = work_dir(options.work_dir.as_deref())?;
    let (local, health) = (Arc::new(Local::default()), ExecutorHealth::new());
    let config = ExecutorProcessConfig { external_host: Some(name), ..config(options, work.path(), &local, &health) };
    let runtime = runtime()?;
    runtime.spawn(greet(health, options.scheduler.to_string()));
    let end = runtime.block_on(start_executor_process(Arc::new(config)));
    runtime.shutdown_background();
    local.files.forget();
    match end {
        Ok(()) if interrupt.came() => Ok(Exit::Interrupted),
        Ok(()) => {
            Err(AnalyzerError::Cluster("the executor's services ended; is another process at its ports?".to_owned()))
        }
        Err(error) => Err(AnalyzerError::Cluster(format!("failed to work for {}: {error}", options.scheduler))),
    }
}

/// Says when work can come.
async fn greet(health: ExecutorHealth, scheduler: String) {
    while !health.is_ready() {
        tokio::time::sleep(LOOK).await;
    }
    say(&format!("the executor works for {scheduler}"));
}

/// A folder that only we can read, and that is gone at the end.
fn work_dir(named: Option<&Path>) -> Result<TempDir, AnalyzerError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("faultline-executor-");
    let made = named.map_or_else(|| builder.tempdir(), |folder| builder.tempdir_in(folder));
    made.map_err(|error| AnalyzerError::Cluster(format!("failed to make a folder for work: {error}")))
}

fn config(options: &ExecutorArgs, work: &Path, local: &Arc<Local>, health: &ExecutorHealth) -> ExecutorProcessConfig {
    let functions = SessionStateBuilder::new_with_default_features().build();
    ExecutorProcessConfig {
        bind_host: host(options.bind),
        port: options.port,
        grpc_port: options.task_port,
        scheduler_host: options.scheduler.host.clone(),
        scheduler_port: options.scheduler.port,
        vcores: options.cores.map_or_else(threads, usize::from),
        work_dir: Some(work.to_string_lossy().into_owned()),
        memory_pool_size: Some(MEMORY as u64),
        grpc_max_decoding_message_size: MESSAGE,
        grpc_max_encoding_message_size: MESSAGE,
        // Ballista's own registry lacks functions over lists.
        override_function_registry: Some(Arc::new(BallistaFunctionRegistry::from(&functions))),
        override_logical_codec: Some(Arc::new(Logical::new(Arc::clone(local)))),
        override_physical_codec: Some(Arc::new(Physical::new(Arc::clone(local)))),
        health: health.clone(),
        ..ExecutorProcessConfig::default()
    }
}
