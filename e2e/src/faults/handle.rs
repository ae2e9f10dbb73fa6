//! Handles one call to the API server: injects faults, forwards the call and records it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::{Instant as Timer, sleep_until};

use super::call::Call;
use super::counts::Counts;
use super::cut::{Gate, Signal};
use super::fault::{self, Action, Fault};
use super::record::{Outcome, Record, Records};
use super::upstream::{self, Stream, Upstream, Whole};

/// The shared state of all calls.
pub(super) struct Shared {
    /// The API server.
    pub(super) upstream: Arc<Upstream>,
    /// The gate for cuts.
    pub(super) gate: Gate,
    /// Injected faults, oldest first.
    pub(super) faults: Mutex<Vec<Fault>>,
    /// The counts of calls.
    pub(super) counts: watch::Sender<Counts>,
    /// The last writes.
    pub(super) writes: Mutex<Records>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("gate", &self.gate).field("faults", &self.faults).finish_non_exhaustive()
    }
}

/// Locks a mutex. A poisoned one is still consistent, because its data is changed in single steps.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reason for a connection that is closed without a response.
pub(super) const CLOSED: &str = "closed by an injected fault, or because the API server is unreachable";

/// Handles and records one call.
pub(super) async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Stream>, &'static str> {
    let at = Instant::now();
    let call = Call::new(request.method(), request.uri());
    let request = Whole::read(request).await.map_err(|_| CLOSED)?;
    let body = request.body.clone();
    let Handled { outcome, response, signal } = answer(&shared, &call, request).await;
    if call.is_write() {
        lock(&shared.writes).push(Record { call, body, outcome, at, took: at.elapsed() });
    }
    signal.into_iter().for_each(Signal::give);
    response.ok_or(CLOSED)
}

/// The outcome of a call. Without a response, its connection is closed.
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

async fn answer(shared: &Shared, call: &Call, mut request: Whole) -> Handled {
    let count = || shared.counts.send_modify(|counts| counts.add(call));
    let action = lock(&shared.faults).iter_mut().find_map(|fault| fault.meet(call));
    match action {
        Some(Action::Answer(status)) => {
            count();
            return Handled::injected(status, "application/json", fault::body(status));
        }
        Some(Action::NotServed) => {
            count();
            // Like the API server, which does not use JSON here.
            return Handled::injected(StatusCode::NOT_FOUND, "text/plain", b"404 page not found\n".to_vec());
        }
        Some(Action::Refuse) => return Handled::refused(None),
        Some(Action::Delay(delay)) => sleep_until(Timer::now() + delay).await,
        Some(Action::Skew(offset)) => request.skew(offset),
        Some(Action::Lose) | None => {}
    }
    let pass = match shared.gate.pass(call).await {
        Ok(pass) => pass,
        Err(signal) => return Handled::refused(signal),
    };
    // Before the API server handles it: a test that sees the effect of a write must find it counted.
    count();
    // A cut ends watches. Other responses are completed.
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
