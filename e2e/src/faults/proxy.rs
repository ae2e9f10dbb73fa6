//! Stands between an operator and the API server: counts every call, and gets in the way where a test says so.
//!
//! What passes is passed on by `upstream`, whether it does is decided by `cut` and `fault`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant as Timer, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::call::{Call, Class};
use super::counts::Counts;
use super::cut::{Cut, Gate, LastWrite, Signal};
use super::fault::{self, Action, Fault};
use super::kubeconfig::Kubeconfig;
use super::record::{Outcome, Record, Records};
use super::upstream::{self, Stream, Upstream, Whole};

/// A proxy in front of an API server, on a loopback address, in plain HTTP/1.1; dropping it closes all connections.
#[derive(Debug)]
pub struct ApiProxy {
    address: SocketAddr,
    kubeconfig: Kubeconfig,
    shared: Arc<Shared>,
    _open: DropGuard,
}

struct Shared {
    upstream: Arc<Upstream>,
    gate: Gate,
    faults: Mutex<Vec<Fault>>,
    counts: watch::Sender<Counts>,
    writes: Mutex<Records>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("gate", &self.gate).field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl ApiProxy {
    /// Starts a proxy to the API server of the file `kubeconfig`, with the identity that is in there.
    ///
    /// # Errors
    /// If the file is of no use, or there is no port or no temporary directory.
    pub async fn before(kubeconfig: &Path) -> anyhow::Result<Self> {
        let file = kube::config::Kubeconfig::read_from(kubeconfig)?;
        Self::start(Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?).await
    }

    /// Starts a proxy to the API server of `config`, with the identity that is in there.
    ///
    /// # Errors
    /// If the configuration is of no use, or there is no port or no temporary directory.
    pub async fn start(mut config: Config) -> anyhow::Result<Self> {
        // Whether to try again is the operator's decision, and each of its tries is to be seen.
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

    /// How many calls of each kind there were since the start. Two of these can be compared.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts.borrow().clone()
    }

    /// The last 256 writes of anything but Leases and Events, with their bodies and outcomes, oldest first.
    #[must_use]
    pub fn writes(&self) -> Vec<Record> {
        lock(&self.shared.writes).all()
    }

    /// Waits until there was no call other than for Leases during `span`; the calls so far.
    ///
    /// # Errors
    /// If that takes longer than `deadline`: which calls came, and the last writes.
    pub async fn quiet(&self, span: Duration, deadline: Duration) -> anyhow::Result<Counts> {
        let mut changed = self.shared.counts.subscribe();
        let before = self.counts();
        let calls = |counts: &Counts| counts.total() - counts.of(Class::Lease);
        let silence = async {
            loop {
                let last = calls(&changed.borrow_and_update());
                if timeout(span, changed.wait_for(|counts| calls(counts) != last)).await.is_err() {
                    return;
                }
            }
        };
        let outcome = timeout(deadline, silence).await;
        outcome.with_context(|| format!("no silence of {span:?} within {deadline:?}; {}", self.describe(&before)))?;
        Ok(self.counts())
    }

    /// What has come since `earlier`, and the last writes with their bodies, for the message of a failed test.
    #[must_use]
    pub fn describe(&self, earlier: &Counts) -> String {
        let writes: Vec<_> = self.writes().iter().map(Record::to_string).collect();
        format!("calls:\n{}\nthe last writes:\n{}", self.counts().since(earlier), writes.join("\n"))
    }

    /// Cuts the operator off with the `writes`-th write from now, Leases and Events not counted: from then on every
    /// call is refused by a closed connection, and watches end, until [`Self::mend`]. Zero cuts at once, and is not told.
    pub async fn cut_at(&self, writes: u64, last: LastWrite) -> Cut {
        self.shared.gate.cut_at(writes, last).await
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
                // A call goes on, and is counted, when the operator has given it up or is dead: writes are done then.
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

/// Why a connection is closed without an answer.
const CLOSED: &str = "closed on purpose, or for want of an API server";

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Stream>, &'static str> {
    let at = Instant::now();
    let call = Call::new(request.method(), request.uri());
    let request = Whole::read(request).await.map_err(|_| CLOSED)?;
    let body = request.body.clone();
    let Handled { outcome, response, signal } = answer(&shared, &call, request).await;
    if outcome != Outcome::Refused {
        shared.counts.send_modify(|counts| counts.add(&call));
    }
    if call.is_write() {
        lock(&shared.writes).push(Record { call, body, outcome, at, took: at.elapsed() });
    }
    signal.into_iter().for_each(Signal::give);
    response.ok_or(CLOSED)
}

/// What was done about a call. Without a response, its connection is closed.
struct Handled {
    outcome: Outcome,
    response: Option<Response<Stream>>,
    signal: Option<Signal>,
}

impl Handled {
    fn refused(signal: Option<Signal>) -> Self {
        Self { outcome: Outcome::Refused, response: None, signal }
    }

    fn injected(status: StatusCode, content_type: &str, body: Vec<u8>) -> Self {
        let body = upstream::whole(body);
        let response = Response::builder().status(status).header(CONTENT_TYPE, content_type).body(body);
        Self { outcome: Outcome::Injected(status.as_u16()), response: response.ok(), signal: None }
    }
}

async fn answer(shared: &Shared, call: &Call, request: Whole) -> Handled {
    let action = lock(&shared.faults).iter_mut().find_map(|fault| fault.meet(call));
    match action {
        Some(Action::Answer(status)) => return Handled::injected(status, "application/json", fault::body(status)),
        Some(Action::NotServed) => {
            // As the API server says it: not in JSON.
            return Handled::injected(StatusCode::NOT_FOUND, "text/plain", b"404 page not found\n".to_vec());
        }
        Some(Action::Refuse) => return Handled::refused(None),
        Some(Action::Delay(delay)) => sleep_until(Timer::now() + delay).await,
        Some(Action::Lose) | None => {}
    }
    let pass = match shared.gate.pass(call).await {
        Ok(pass) => pass,
        Err(signal) => return Handled::refused(signal),
    };
    // A watch ends with a cut; any other answer is on its way and arrives.
    let end = call.is_watch().then(|| shared.gate.came());
    match shared.upstream.ask(request, end).await {
        Ok(response) => {
            let status = response.status().as_u16();
            let (lost, signal) = shared.gate.answered(pass, call);
            if lost || action == Some(Action::Lose) {
                Handled { outcome: Outcome::Lost(status), response: None, signal }
            } else {
                Handled { outcome: Outcome::Answered(status), response: Some(response), signal }
            }
        }
        Err(error) => Handled { outcome: Outcome::Failed(format!("{error:#}")), response: None, signal: None },
    }
}
