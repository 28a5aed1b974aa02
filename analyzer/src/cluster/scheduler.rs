//! `analyzer cluster scheduler`: takes queries, plans them, and deals their parts out to executors. It opens no file of
//! measurements itself; folders of Parquet it lists.

use std::sync::Arc;

use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::net::TcpListener;

use super::codec::{Local, Logical, Physical};
use super::{MESSAGE, called, host, log, runtime, warn};
use crate::cli::SchedulerArgs;
use crate::exit::{AnalyzerError, Exit};
use crate::interrupt::Interrupt;
use crate::say;

/// Serves until a signal comes.
pub fn run(options: &SchedulerArgs, interrupt: &Interrupt) -> Result<Exit, AnalyzerError> {
    let name = called(options.host.as_deref(), options.bind)?;
    log::listen();
    warn(options.bind);
    let runtime = runtime()?;
    let end = runtime.block_on(async {
        tokio::select! {
            end = serve(options, name) => end,
            () = interrupt.wait() => Ok(()),
        }
    });
    runtime.shutdown_background();
    end.map(|()| Exit::Interrupted)
}

async fn serve(options: &SchedulerArgs, name: String) -> Result<(), AnalyzerError> {
    let failed =
        |what: &str, error: &dyn std::fmt::Display| AnalyzerError::Cluster(format!("failed to {what}: {error}"));
    let listener = TcpListener::bind((options.bind, options.port)).await;
    let listener =
        listener.map_err(|error| failed(&format!("listen at {}:{}", host(options.bind), options.port), &error))?;
    let port = listener.local_addr().map_err(|error| failed("listen", &error))?.port();
    let config = Arc::new(config(options, name, port));
    let cluster = BallistaCluster::new_from_config(&config).await.map_err(|error| failed("start", &error))?;
    let scheduler = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::clone(&config)).await;
    let scheduler = scheduler.map_err(|error| failed("start", &error))?;
    say(&format!("the scheduler listens at df://{}:{port}", config.external_host));
    start_grpc_service_with_listener(listener, scheduler).await.map_err(|error| failed("serve", &error))
}

fn config(options: &SchedulerArgs, name: String, port: u16) -> SchedulerConfig {
    let local = Arc::new(Local::default());
    SchedulerConfig {
        bind_host: options.bind.to_string(),
        external_host: name,
        bind_port: port,
        // Parts of a query go to all executors in turn; the other way is to fill up the first.
        task_distribution: TaskDistributionPolicy::RoundRobin,
        grpc_server_max_decoding_message_size: MESSAGE,
        grpc_server_max_encoding_message_size: MESSAGE,
        grpc_client_max_message_size: MESSAGE,
        override_logical_codec: Some(Arc::new(Logical::new(Arc::clone(&local)))),
        override_physical_codec: Some(Arc::new(Physical::new(local))),
        ..SchedulerConfig::default()
    }
}
