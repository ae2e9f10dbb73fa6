//! An API server with one Lease, whose network and responses can be made to fail.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::{SignedDuration, Timestamp},
};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, service_fn};

use super::{Lost, lead};
use crate::{config::Election, health::Gates, metrics::Metrics};

/// Longer than any test, on a clock that does not wait.
const FOREVER: Duration = Duration::from_hours(1);

/// What happens to one request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fate {
    /// The time until the request arrives.
    pub(super) before: Duration,
    /// The time until the response arrives.
    pub(super) after: Duration,
    pub(super) end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum End {
    #[default]
    Served,
    /// An error of the API server; the request has no effect.
    Refused(StatusCode),
    /// The request is lost.
    Lost,
    /// The response is lost.
    Unanswered,
    /// The request is served, and the process is suspended for a minute before it receives the response.
    Suspended,
}

impl From<End> for Fate {
    fn from(end: End) -> Self {
        Self { end, ..Self::default() }
    }
}

type Plan = Box<dyn FnMut(&Method) -> Fate + Send>;

#[derive(Default)]
struct State {
    lease: Option<Value>,
    version: u64,
    requests: Vec<Method>,
}

#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<State>>);

impl Server {
    /// A client whose requests have the fates of `plan`.
    pub(super) fn client(&self, plan: Arc<Mutex<Plan>>) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let fate = plan.lock().unwrap()(request.method());
            // A request that was sent arrives, whether its sender waits for the response or not.
            let serving = tokio::spawn(server.clone().serve(request, fate));
            async move {
                let response = serving.await?;
                if fate.end == End::Suspended {
                    tokio::time::advance(Duration::from_mins(1)).await;
                }
                Ok::<_, BoxError>(response)
            }
        });
        Client::new(service, "operators")
    }

    async fn serve(self, request: Request<Body>, fate: Fate) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let sent = body.collect().await.unwrap().to_bytes();
        after(fate.before).await;
        let (code, answer) = match fate.end {
            End::Lost => std::future::pending().await,
            End::Refused(code) => refusal(code),
            End::Served | End::Unanswered | End::Suspended => {
                self.answer(parts.method, &serde_json::from_slice(&sent).unwrap_or_default())
            }
        };
        if fate.end == End::Unanswered {
            std::future::pending::<()>().await;
        }
        after(fate.after).await;
        Response::builder().status(code).body(Body::from(answer.to_string().into_bytes())).unwrap()
    }

    /// As the API server answers for Leases: an update without a resource version is invalid, and the UID is a
    /// precondition too.
    fn answer(&self, method: Method, sent: &Value) -> (StatusCode, Value) {
        let mut state = self.state();
        state.requests.push(method.clone());
        let found = state.lease.clone();
        match (method, found) {
            (Method::GET, Some(lease)) => (StatusCode::OK, lease),
            (Method::GET, None) => refusal(StatusCode::NOT_FOUND),
            (Method::POST, None) => {
                let mut lease = sent.clone();
                lease["metadata"]["uid"] = json!(format!("uid-{}", state.version));
                (StatusCode::CREATED, state.put(lease))
            }
            (Method::PUT, _) if sent["metadata"]["resourceVersion"].is_null() => {
                refusal(StatusCode::UNPROCESSABLE_ENTITY)
            }
            (Method::PUT, Some(lease)) => {
                let same = |field| lease["metadata"][field] == sent["metadata"][field];
                if !same("resourceVersion") || !same("uid") {
                    return refusal(StatusCode::CONFLICT);
                }
                (StatusCode::OK, state.put(sent.clone()))
            }
            (Method::POST | Method::PUT, _) => refusal(StatusCode::CONFLICT),
            _ => refusal(StatusCode::FORBIDDEN),
        }
    }

    /// Writes the Lease as somebody else.
    pub(super) fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        let new =
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "lease", "uid": "x"}});
        let mut lease = state.lease.clone().unwrap_or(new);
        change(&mut lease);
        state.put(lease);
    }

    /// `holder` acquires or renews the Lease with a clock that is `skew` seconds ahead.
    pub(super) fn hold(&self, holder: &str, skew: i64) {
        let now = MicroTime(Timestamp::now() + SignedDuration::from_secs(skew));
        let spec = json!({"holderIdentity": holder, "renewTime": now, "acquireTime": now,
            "leaseDurationSeconds": 15, "leaseTransitions": 3});
        self.edit(|lease| lease["spec"] = spec);
    }

    pub(super) fn delete(&self) {
        self.state().lease = None;
    }

    /// The Lease; null if there is none.
    pub(super) fn lease(&self) -> Value {
        self.state().lease.clone().unwrap_or_default()
    }

    pub(super) fn holder(&self) -> Option<String> {
        let lease = self.lease();
        lease["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty()).map(str::to_owned)
    }

    /// The requests that arrived since the last call.
    pub(super) fn requests(&self) -> Vec<Method> {
        std::mem::take(&mut self.state().requests)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, mut lease: Value) -> Value {
        // An update that changes nothing keeps the resource version.
        if self.lease.as_ref() != Some(&lease) {
            self.version += 1;
            lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        }
        self.lease.insert(lease).clone()
    }
}

fn refusal(code: StatusCode) -> (StatusCode, Value) {
    let reason = code.canonical_reason().unwrap().replace(' ', "");
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason,
        "reason": reason, "code": code.as_u16()});
    (code, status)
}

pub(super) async fn after(time: Duration) {
    sleep_until(Instant::now() + time).await;
}

/// One process, with work that ends as soon as it is cancelled.
pub(super) struct Candidate {
    pub(super) server: Server,
    pub(super) metrics: Metrics,
    pub(super) gates: Gates,
    pub(super) shutdown: CancellationToken,
    pub(super) working: watch::Sender<bool>,
    pub(super) identity: &'static str,
    plan: Arc<Mutex<Plan>>,
}

impl Candidate {
    pub(super) fn new(server: &Server, identity: &'static str) -> Self {
        Self {
            server: server.clone(),
            metrics: Metrics::new(),
            gates: Gates::default(),
            shutdown: CancellationToken::new(),
            working: watch::Sender::new(false),
            identity,
            plan: Arc::new(Mutex::new(Box::new(|_| Fate::default()))),
        }
    }

    /// The fate of each of its requests from now on.
    pub(super) fn meets(&self, plan: impl FnMut(&Method) -> Fate + Send + 'static) {
        *self.plan.lock().unwrap() = Box::new(plan);
    }

    pub(super) async fn lead(&self) -> Result<Option<&'static str>, Lost> {
        let working = self.working.clone();
        self.lead_with(|stop| async move {
            working.send_replace(true);
            stop.cancelled().await;
            working.send_replace(false);
            "done"
        })
        .await
    }

    pub(super) async fn lead_with<F: Future>(
        &self,
        work: impl FnOnce(CancellationToken) -> F,
    ) -> Result<Option<F::Output>, Lost> {
        let election = Election::new(None, "lease".into(), Duration::from_secs(15), self.identity.into()).unwrap();
        let client = self.server.client(self.plan.clone());
        let leading = lead(&client, &election, &self.metrics, &self.gates, &self.shutdown, work);
        timeout(FOREVER, leading).await.expect("it ends")
    }

    /// Waits until it works; how long that took.
    pub(super) async fn works(&self) -> Duration {
        self.becomes(true).await
    }

    /// Waits until it does not work; how long that took.
    pub(super) async fn stops(&self) -> Duration {
        self.becomes(false).await
    }

    async fn becomes(&self, expected: bool) -> Duration {
        let start = Instant::now();
        let mut working = self.working.subscribe();
        timeout(FOREVER, working.wait_for(|working| *working == expected)).await.expect("it works or stops").unwrap();
        start.elapsed()
    }

    pub(super) fn is_working(&self) -> bool {
        *self.working.borrow()
    }
}
