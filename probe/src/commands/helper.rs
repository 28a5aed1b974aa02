//! `probe helper serve`: from what was typed to a service that runs until it is ended.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::cli::Helper;
use crate::cli::config::read_roots;
use crate::error::{Exit, ProbeError};
use crate::health::LinkFacts;
use crate::helper::{Server, ServerOptions};
use crate::report::say;
use crate::run::stop::Signals;

/// Does what was asked.
pub fn execute(command: Helper) -> Result<Exit, ProbeError> {
    let Helper::Serve { listen, ca_file, allow_private } = command;
    let extra_roots = ca_file.map_or_else(|| Ok(Vec::new()), |path| read_roots(&path))?;
    let options = ServerOptions { extra_roots, allow_private, ipv6: LinkFacts::read().has_ipv6() };
    let runtime = crate::run::runtime()?;
    runtime.block_on(serve(listen, &options))
}

async fn serve(listen: SocketAddr, options: &ServerOptions) -> Result<Exit, ProbeError> {
    let internal =
        |what: &str, error: &dyn std::fmt::Display| ProbeError::Internal(format!("failed to {what}: {error}"));
    let signals = Signals::default();
    signals.listen().map_err(|error| internal("listen for signals", &error))?;
    let server = Server::new(options, signals.targets.clone()).map_err(|error| ProbeError::Usage(error.to_string()))?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| ProbeError::Usage(format!("--listen {listen}: failed to listen there: {error}")))?;
    let local = listener.local_addr().map_err(|error| internal("name the address", &error))?;
    say(format_args!("helping on http://{local}{}", crate::helper::message::PATH));
    if options.allow_private {
        say(format_args!("private addresses are tried too: let nobody ask whom you would not let into this network"));
    }
    server.serve(listener).await;
    Ok(Exit::Done)
}
