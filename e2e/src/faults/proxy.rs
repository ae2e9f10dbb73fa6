//! A proxy between an operator and the API server, which counts all calls and injects faults.
//!
//! `handle` handles a single call.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::counts::Counts;
use super::cut::{Cut, Gate, LastWrite};
use super::fault::Fault;
use super::handle::{CLOSED, Shared, handle, lock};
use super::kubeconfig::Kubeconfig;
use super::record::Record;
use super::upstream::Upstream;

/// A proxy in front of an API server, on a loopback address, with plain HTTP/1.1. All connections are closed on drop.
#[derive(Debug)]
pub struct ApiProxy {
    address: SocketAddr,
    kubeconfig: Kubeconfig,
    shared: Arc<Shared>,
    _open: DropGuard,
}

impl ApiProxy {
    /// Starts a proxy for the API server and with the credentials of the file `kubeconfig`.
    ///
    /// # Errors
    /// If the file is not valid, or there is no free port or no temporary directory.
    pub async fn before(kubeconfig: &Path) -> anyhow::Result<Self> {
        let file = kube::config::Kubeconfig::read_from(kubeconfig)?;
        Self::start(Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?).await
    }

    /// Starts a proxy for the API server and with the credentials of `config`.
    ///
    /// # Errors
    /// If the configuration is not valid, or there is no free port or no temporary directory.
    pub async fn start(mut config: Config) -> anyhow::Result<Self> {
        // Retries are up to the operator, and each of them has to be counted.
        config.default_retry = false;
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config).context("a client of the API server")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("a port for the proxy")?;
        let address = listener.local_addr()?;
        let closed = CancellationToken::new();
        let shared = Arc::new(Shared {
            upstream: Arc::new(Upstream::new(client, closed.clone())),
            gate: Gate::default(),
            faults: Mutex::default(),
            counts: watch::Sender::default(),
            writes: Mutex::default(),
        });
        tokio::spawn(closed.clone().run_until_cancelled_owned(serve(listener, Arc::clone(&shared))));
        let kubeconfig = Kubeconfig::write(address, &namespace)?;
        Ok(Self { address, kubeconfig, shared, _open: closed.drop_guard() })
    }

    /// The address of the proxy.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A kubeconfig file for this proxy. It exists until the proxy is dropped.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.kubeconfig.path()
    }

    /// The calls since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts.borrow().clone()
    }

    /// The last 256 writes of anything but Leases and Events, with their bodies and outcomes, oldest first.
    #[must_use]
    pub fn writes(&self) -> Vec<Record> {
        lock(&self.shared.writes).all()
    }

    /// Waits until there is no call during `span`, other than for Leases. Returns the calls since the start.
    ///
    /// # Errors
    /// If that takes longer than `deadline`. The error contains the calls and the last writes.
    pub async fn quiet(&self, span: Duration, deadline: Duration) -> anyhow::Result<Counts> {
        let mut changed = self.shared.counts.subscribe();
        let before = self.counts();
        let calls = |counts: &Counts| counts.only(|call| call.resource != "leases").total();
        let silence = async {
            loop {
                let last = calls(&changed.borrow_and_update());
                if timeout(span, changed.wait_for(|counts| calls(counts) != last)).await.is_err() {
                    return;
                }
            }
        };
        let outcome = timeout(deadline, silence).await;
        outcome.with_context(|| format!("no quiet {span:?} within {deadline:?}; {}", self.describe(&before)))?;
        Ok(self.counts())
    }

    /// The calls since `earlier` and the last writes with their bodies, for the message of a failed test.
    #[must_use]
    pub fn describe(&self, earlier: &Counts) -> String {
        let writes: Vec<_> = self.writes().iter().map(Record::to_string).collect();
        format!("calls:\n{}\nthe last writes:\n{}", self.counts().since(earlier), writes.join("\n"))
    }

    /// Cuts the operator off at the `writes`-th write from now, not counting Leases and Events. From then on, every
    /// connection is closed without a response and watches end, until [`Self::restore`]. Zero cuts immediately.
    pub async fn cut_at(&self, writes: u64, last: LastWrite) -> Cut {
        self.shared.gate.cut_at(writes, last).await
    }

    /// Injects a fault. If several faults match a call, the oldest one applies.
    pub fn inject(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    /// Removes the cut and all faults.
    pub async fn restore(&self) {
        lock(&self.shared.faults).clear();
        self.shared.gate.restore().await;
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                // An error only makes the proxy slower.
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&shared);
                // A call is completed and counted even if the operator is gone, because its writes take effect.
                let service = service_fn(move |request| {
                    let handled = tokio::spawn(handle(Arc::clone(&shared), request));
                    async { handled.await.unwrap_or(Err(CLOSED)) }
                });
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                connections.spawn(connection.with_upgrades());
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
