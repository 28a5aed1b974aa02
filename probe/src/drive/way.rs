//! A way to one DNS server through hickory's clients: UDP, TCP, TLS or HTTPS, opened when first needed and kept.
//!
//! hickory's resolver is not used above them: its pool forgets what an I/O error was (it becomes "no connections
//! available"), its client drops the CNAMEs of an answer without addresses and asks further questions by itself.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::config::{ConnectionConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle, FirstAnswer};
use hickory_resolver::{ConnectionProvider, PoolContext, TlsConfig};
use rustls::ClientConfig;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::runtime::Metered;

/// EDNS payload size that avoids fragmentation (DNS flag day 2020).
pub(super) const PAYLOAD: u16 = 1232;

/// A way to one server.
pub(super) struct Way {
    address: IpAddr,
    connection: ConnectionConfig,
    context: PoolContext,
    provider: Metered,
    kept: Mutex<Option<DnsExchange<Metered>>>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Way {
    pub(super) fn new(
        address: IpAddr,
        connection: ConnectionConfig,
        limit: Duration,
        tls: ClientConfig,
        provider: Metered,
    ) -> Self {
        let mut options = ResolverOpts::default();
        options.timeout = limit;
        let context = PoolContext::new(options, TlsConfig { config: tls });
        Self { address, connection, context, provider, kept: Mutex::new(None) }
    }

    /// Asks, within a limit. A kept connection that turns out to be lost is opened anew once: its loss is no news.
    pub(super) async fn ask(
        &self,
        query: &Query,
        options: DnsRequestOptions,
        limit: Duration,
    ) -> Result<DnsResponse, NetError> {
        let asked = timeout(limit, async {
            let (exchange, is_fresh) = self.open().await?;
            match send(&exchange, query, options).await {
                Err(error) if !is_fresh && !matches!(error, NetError::Timeout) => {
                    self.close().await;
                    send(&self.open().await?.0, query, options).await
                }
                result => result,
            }
        });
        let result = asked.await.unwrap_or(Err(NetError::Timeout));
        if result.is_err() {
            self.close().await;
        }
        result
    }

    async fn open(&self) -> Result<(DnsExchange<Metered>, bool), NetError> {
        let mut kept = self.kept.lock().await;
        if let Some(exchange) = &*kept {
            return Ok((exchange.clone(), false));
        }
        let exchange = self.provider.new_connection(self.address, &self.connection, &self.context)?.await?;
        Ok((kept.insert(exchange).clone(), true))
    }

    async fn close(&self) {
        self.kept.lock().await.take();
    }
}

async fn send(
    exchange: &DnsExchange<Metered>,
    query: &Query,
    options: DnsRequestOptions,
) -> Result<DnsResponse, NetError> {
    exchange.lookup(query.clone(), options).first_answer().await
}

/// The options of every question.
pub(super) fn options() -> DnsRequestOptions {
    let mut options = DnsRequestOptions::default();
    options.use_edns = true;
    options.edns_payload_len = PAYLOAD;
    options.recursion_desired = true;
    // The name is spelled as it is: a server that changes the case would otherwise be taken for a forger.
    options.case_randomization = false;
    options
}

/// Shared ways, in the order in which they are tried.
pub(super) type Ways = Arc<[Way]>;
