//! `analyzer cluster`: what can be typed.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cluster::Address;

/// `analyzer cluster`.
#[derive(Debug, Args)]
#[command(
    after_help = "Nothing between these processes is authenticated or encrypted: whoever reaches a port can read every file that \
its process can read, and can have it write files. Bind to addresses of a network of your own only. All processes must be the same \
analyzer and see the files by the same names."
)]
pub struct ClusterArgs {
    /// Which part of a cluster.
    #[command(subcommand)]
    pub role: Role,
}

/// The processes of a cluster.
#[derive(Debug, Subcommand)]
pub enum Role {
    /// Take queries, plan them, and deal their parts out; one for a cluster
    Scheduler(SchedulerArgs),
    /// Read files and judge for a scheduler; as many as there are machines
    Executor(ExecutorArgs),
}

/// `analyzer cluster scheduler`.
#[derive(Debug, Args)]
pub struct SchedulerArgs {
    /// Listen at this address; nothing protects it
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", env = "FAULTLINE_BIND", hide_env = true)]
    pub bind: IpAddr,
    /// Listen at this port; 0 for one that is free
    #[arg(long, value_name = "PORT", default_value_t = crate::cluster::PORT, env = "FAULTLINE_PORT", hide_env = true)]
    pub port: u16,
    /// How executors and clients call this machine, if not by the address
    #[arg(long, value_name = "NAME", env = "FAULTLINE_HOST", hide_env = true)]
    pub host: Option<String>,
}

/// `analyzer cluster executor`.
#[derive(Debug, Args)]
pub struct ExecutorArgs {
    /// The scheduler
    #[arg(
        long,
        value_name = "df://HOST:PORT",
        default_value = "df://127.0.0.1:50050",
        env = "FAULTLINE_SCHEDULER",
        hide_env = true
    )]
    pub scheduler: Address,
    /// Listen at this address; nothing protects it
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", env = "FAULTLINE_BIND", hide_env = true)]
    pub bind: IpAddr,
    /// How the scheduler, other executors and clients call this machine, if not by the address
    #[arg(long, value_name = "NAME", env = "FAULTLINE_HOST", hide_env = true)]
    pub host: Option<String>,
    /// Port at which others fetch rows
    #[arg(long, value_name = "PORT", default_value_t = 50051, env = "FAULTLINE_PORT", hide_env = true,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Port at which the scheduler hands over tasks
    #[arg(long, value_name = "PORT", default_value_t = 50052, env = "FAULTLINE_TASK_PORT", hide_env = true,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub task_port: u16,
    /// Tasks at a time; all cores if not given
    #[arg(long, value_name = "N", env = "FAULTLINE_CORES", hide_env = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub cores: Option<u16>,
    /// Folder in which to make one of its own for rows that others fetch; the system's for temporary files if not given
    #[arg(long, value_name = "DIR", env = "FAULTLINE_WORK_DIR", hide_env = true)]
    pub work_dir: Option<PathBuf>,
}
