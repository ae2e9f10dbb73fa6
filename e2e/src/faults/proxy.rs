//! Stands between an operator and the API server: writes every call down, and gets in the way where a test says so.
//!
//! It changes nothing of what passes, and decides nothing about faults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Context;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant as Timer, sleep_until};

use super::call::Call;
use super::cut::{Cut, Gate, LastAnswer};
use super::fault::{self, Action, Fault};
use super::kubeconfig::Kubeconfig;
use super::record::{Counts, Outcome, Record};

/// Headers that are between two neighbours, and not passed on (RFC 9110, 7.6.1). The host is the next neighbour's name.
const HOP_BY_HOP: [HeaderName; 4] = [CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE];

/// A proxy in front of an API server, on a loopback address, in plain HTTP/1.1; dropping it closes all connections.
#[derive(Debug)]
pub struct ApiProxy {
    address: SocketAddr,
    kubeconfig: Kubeconfig,
    shared: Arc<Shared>,
    server: AbortHandle,
}

struct Shared {
    upstream: Client,
    gate: Gate,
    records: Mutex<Vec<Record>>,
    faults: Mutex<Vec<Fault>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("gate", &self.gate).field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl ApiProxy {
    /// Starts a proxy to the API server of `config`, with the identity that is in there.
    ///
    /// # Errors
    /// If the configuration is of no use, or there is no port or no temporary directory.
    pub async fn start(mut config: Config) -> anyhow::Result<Self> {
        // Whether to try again is the operator's decision, and each of its tries is to be seen.
        config.default_retry = false;
        let namespace = config.default_namespace.clone();
        let upstream = Client::try_from(config).context("a client of the API server")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("a port for the proxy")?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { upstream, gate: Gate::default(), records: Mutex::default(), faults: Mutex::default() });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared))).abort_handle();
        let kubeconfig = Kubeconfig::write(address, &namespace)?;
        Ok(Self { address, kubeconfig, shared, server })
    }

    /// Where the proxy listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A kubeconfig file that leads here, for as long as the proxy lives.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.kubeconfig.path()
    }

    /// Every call since the start or the last reset, in the order of their outcomes.
    #[must_use]
    pub fn calls(&self) -> Vec<Record> {
        lock(&self.shared.records).clone()
    }

    /// The writes among the calls.
    #[must_use]
    pub fn writes(&self) -> Vec<Record> {
        let mut records = self.calls();
        records.retain(|record| record.call.is_write());
        records
    }

    /// How many calls of each kind there were since the start or the last reset.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(lock(&self.shared.records).iter())
    }

    /// Forgets the calls so far. Faults and cuts stay.
    pub fn reset(&self) {
        lock(&self.shared.records).clear();
    }

    /// Cuts the operator off right after the API server has answered `writes` more writes of anything but Leases and
    /// Events: from then on every call is refused, by a closed connection, until [`Self::mend`]. Zero cuts at once, and
    /// is not told. Streams that are open stay open.
    pub async fn cut_after(&self, writes: u64, last: LastAnswer) -> Cut {
        self.shared.gate.cut_after(writes, last).await
    }

    /// Puts a fault in the way of the calls to come. Of several that match, the oldest one counts.
    pub fn inject(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    /// Takes away the cut and all faults.
    pub async fn mend(&self) {
        lock(&self.shared.faults).clear();
        self.shared.gate.mend().await;
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A panic of another test's thread has left nothing half-done in these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                // Without it the proxy is slower, and no less right.
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&shared);
                // A call goes on, and is written down, when the operator has given it up or is dead: writes are done then.
                let service = service_fn(move |request| {
                    let handled = tokio::spawn(handle(Arc::clone(&shared), request));
                    async { handled.await.unwrap_or(Err(Closed)) }
                });
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Why a connection is closed without an answer.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed on purpose, or for want of an API server")
    }
}

impl std::error::Error for Closed {}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
    let at = Instant::now();
    let call = Call::new(request.method(), request.uri());
    let (outcome, response) = answer(&shared, &call, request).await;
    let took = at.elapsed();
    lock(&shared.records).push(Record { call, outcome, at, took });
    response.ok_or(Closed)
}

async fn answer(shared: &Shared, call: &Call, request: Request<Incoming>) -> (Outcome, Option<Response<Body>>) {
    let action = lock(&shared.faults).iter_mut().find_map(|fault| fault.meet(call));
    match action {
        Some(Action::Answer(status)) => return (Outcome::Injected(status.as_u16()), injected(status)),
        Some(Action::Refuse) => return (Outcome::Refused, None),
        Some(Action::Delay(delay)) => sleep_until(Timer::now() + delay).await,
        Some(Action::Lose) | None => {}
    }
    let Some(pass) = shared.gate.pass(call).await else {
        return (Outcome::Refused, None);
    };
    match forward(&shared.upstream, request).await {
        Ok(response) => {
            let status = response.status().as_u16();
            let cut_off = shared.gate.answered(pass, call);
            if cut_off || action == Some(Action::Lose) {
                (Outcome::Lost(status), None)
            } else {
                (Outcome::Answered(status), Some(response))
            }
        }
        Err(error) => (Outcome::Failed(format!("{error:#}")), None),
    }
}

fn injected(status: http::StatusCode) -> Option<Response<Body>> {
    let body = Body::from(fault::body(status));
    Response::builder().status(status).header(CONTENT_TYPE, "application/json").body(body).ok()
}

/// Asks the API server. The body of a request is read whole; that of an answer is a stream, which a watch needs.
async fn forward(upstream: &Client, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.context("the body of the operator's request")?.to_bytes();
    strip(&mut head.headers);
    let mut response = upstream.send(Request::from_parts(head, Body::from(body))).await.context("the API server")?;
    strip(response.headers_mut());
    Ok(response)
}

fn strip(headers: &mut HeaderMap) {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}
