//! One process works, the others stand by: a Lease decides which.
//!
//! The library that keeps the Lease says when somebody else has it, but not when its own renewals fail, so the time of
//! the last one that got through is noted here: after two thirds of the Lease's duration the work is stopped, which
//! leaves the last third for it to end in before another may take over. A process that lost the Lease has to exit.

use std::{future::Future, pin::pin, time::Duration};

use http::{Method, Request};
use kube::{Client, client::Body};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError, LeaseParams};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, service_fn};

use crate::{metrics::Metrics, server::Gates, settings::Election};

/// How often the Lease is looked at while somebody else holds it, and tried again after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// The gate of a process that does not know yet who leads. One that stands by is ready.
const GATE: &str = "leader election";

/// Why this process may not work any more.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// Another process has the Lease.
    #[error("the Lease {0} was taken over by another process: this one stops, and starts again as a standby")]
    Taken(String),
    /// The Lease could not be renewed for too long.
    #[error(
        "the Lease {0} could not be renewed: this process stops before another one takes over; see whether the API server can be reached"
    )]
    Expired(String),
}

/// Waits for the Lease, does `work` while it is held, and gives it back. `work` has to end soon after its token is
/// cancelled, which happens at `shutdown` and when the Lease is lost. Returns what `work` returned; nothing if
/// `shutdown` came before the Lease.
///
/// # Errors
/// If the Lease was lost. Whatever `work` left under way must not go on: exit.
pub async fn lead<W, F>(
    client: &Client,
    election: &Election,
    metrics: &Metrics,
    gates: &Gates,
    shutdown: &CancellationToken,
    work: W,
) -> Result<Option<F::Output>, Lost>
where
    W: FnOnce(CancellationToken) -> F,
    F: Future,
{
    let lease = Lease::new(client, election);
    gates.close(GATE);
    let Some(manager) = lease.acquired(gates, shutdown).await else {
        return Ok(None);
    };
    tracing::info!(lease = lease.label, identity = election.identity(), "this process leads");
    metrics.leading(true);
    gates.open(GATE);
    let working = shutdown.child_token();
    let mut work = pin!(work(working.clone()));
    let outcome = tokio::select! {
        done = &mut work => Ok(Some(done)),
        (lost, end) = lease.lost(&manager) => {
            tracing::error!(reason = %lost, "stopping");
            working.cancel();
            if timeout_at(end, work).await.is_err() {
                tracing::warn!("stopped in the middle of work");
            }
            Err(lost)
        }
    };
    metrics.leading(false);
    if outcome.is_ok() {
        lease.release(manager).await;
    }
    outcome
}

struct Lease {
    /// Namespace and name, for people.
    label: String,
    client: Client,
    namespace: String,
    name: String,
    params: LeaseParams,
    term: Duration,
    renewed: watch::Receiver<Instant>,
}

impl Lease {
    fn new(client: &Client, election: &Election) -> Self {
        let namespace = election.namespace().unwrap_or(client.default_namespace()).to_owned();
        let seconds = u64::from(election.seconds());
        let term = Duration::from_secs(seconds);
        let (sender, renewed) = watch::channel(Instant::now());
        Self {
            label: format!("{namespace}/{}", election.lease()),
            client: observed(client.clone(), term / 6, sender),
            namespace,
            name: election.lease().to_owned(),
            // Renewed each time that a third of it is over.
            params: LeaseParams::new(election.identity(), seconds, seconds - seconds / 3),
            term,
            renewed,
        }
    }

    /// The Lease, once it is this process's; nothing if `shutdown` comes first.
    async fn acquired(&self, gates: &Gates, shutdown: &CancellationToken) -> Option<LeaseManager> {
        let mut pace = interval(RETRY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut announced = false;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return None,
                _ = pace.tick() => {}
            }
            match self.attempt().await {
                Ok(Some(manager)) => return Some(manager),
                Ok(None) => {
                    gates.open(GATE);
                    if !std::mem::replace(&mut announced, true) {
                        tracing::info!(lease = self.label, "another process leads; this one stands by");
                    }
                }
                Err(error) => {
                    gates.close(GATE);
                    tracing::warn!(lease = self.label, %error, "cannot tell who leads; trying again");
                }
            }
        }
    }

    /// One try. It starts from what the API server says: the library itself would sleep until the present holder's time
    /// is over, and miss that it gave the Lease back.
    async fn attempt(&self) -> Result<Option<LeaseManager>, LeaseManagerError> {
        let builder = LeaseManagerBuilder::new(self.client.clone(), &self.name)
            .with_namespace(&self.namespace)
            .with_parameters(self.params.clone());
        let manager = builder.build().await?;
        match timeout(RETRY, manager.changed()).await {
            Ok(Ok(true)) => Ok(Some(manager)),
            Ok(Ok(false)) | Err(_) => Ok(None),
            Ok(Err(error)) => Err(error),
        }
    }

    /// Renews the Lease until it is lost. Returns why, and when nothing may be under way any more.
    async fn lost(&self, manager: &LeaseManager) -> (Lost, Instant) {
        tokio::select! {
            () = self.taken(manager) => (Lost::Taken(self.label.clone()), Instant::now()),
            () = self.expired() => (Lost::Expired(self.label.clone()), *self.renewed.borrow() + self.term),
        }
    }

    async fn taken(&self, manager: &LeaseManager) {
        let mut pace = interval(RETRY.min(self.term / 6));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            match manager.changed().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(lease = self.label, %error, "cannot renew the Lease; trying again");
                }
            }
        }
    }

    async fn expired(&self) {
        let mut renewed = self.renewed.clone();
        loop {
            let last = *renewed.borrow_and_update();
            if timeout_at(last + self.term * 2 / 3, renewed.changed()).await.is_err() {
                return;
            }
        }
    }

    async fn release(&self, manager: LeaseManager) {
        // In a task of its own: the library panics if it meets a conflict here.
        match tokio::spawn(async move { manager.release().await }).await {
            Ok(Ok(())) => tracing::info!(lease = self.label, "gave the Lease back"),
            Ok(Err(error)) => {
                tracing::warn!(lease = self.label, %error, "cannot give the Lease back; it runs out");
            }
            Err(error) => {
                tracing::warn!(lease = self.label, %error, "cannot give the Lease back; it runs out");
            }
        }
    }
}

/// `client` with a limit on the time of each request, which notes when each patch that succeeded was sent.
fn observed(client: Client, limit: Duration, renewed: watch::Sender<Instant>) -> Client {
    let namespace = client.default_namespace().to_owned();
    let renewed = std::sync::Arc::new(renewed);
    let service = service_fn(move |request: Request<Body>| {
        let (client, renewed) = (client.clone(), renewed.clone());
        async move {
            let (patch, sent) = (request.method() == Method::PATCH, Instant::now());
            let response = timeout(limit, client.send(request)).await??;
            if patch && response.status().is_success() {
                renewed.send_replace(sent);
            }
            Ok::<_, BoxError>(response)
        }
    });
    Client::new(service, namespace)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use http::{Response, StatusCode};
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    /// An API server with one Lease, which can be made to fail.
    #[derive(Clone, Default)]
    struct Server(Arc<Mutex<(Option<Value>, bool)>>);

    impl Server {
        fn client(&self) -> Client {
            let server = self.clone();
            let service = service_fn(move |request: Request<Body>| {
                let server = server.clone();
                async move {
                    let (parts, body) = request.into_parts();
                    let sent = body.collect().await.unwrap().to_bytes();
                    let (code, answer) =
                        server.answer(&parts.method, &serde_json::from_slice(&sent).unwrap_or_default());
                    let answer = Body::from(answer.to_string().into_bytes());
                    Ok::<_, BoxError>(Response::builder().status(code).body(answer).unwrap())
                }
            });
            Client::new(service, "operators")
        }

        fn answer(&self, method: &Method, sent: &Value) -> (StatusCode, Value) {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.1 {
                return refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
            }
            let lease = &mut state.0;
            match (method, lease.as_mut()) {
                (&Method::GET, Some(_)) => {}
                (&Method::POST, None) => *lease = Some(sent.clone()),
                (&Method::PATCH, Some(lease)) => {
                    let holder = |lease: &Value| lease["spec"]["holderIdentity"].as_str().map(str::to_owned);
                    if let (Some(held), Some(wanted)) = (holder(lease), holder(sent))
                        && held != wanted
                    {
                        return refusal(StatusCode::CONFLICT, "Conflict");
                    }
                    for (name, value) in sent["spec"].as_object().unwrap() {
                        lease["spec"][name] = value.clone();
                    }
                }
                _ => return refusal(StatusCode::NOT_FOUND, "NotFound"),
            }
            (StatusCode::OK, lease.clone().unwrap())
        }

        fn fail(&self) {
            self.0.lock().unwrap().1 = true;
        }

        fn hold(&self, holder: Option<&str>) {
            let now = k8s_openapi::jiff::Timestamp::now().to_string();
            let spec = match holder {
                Some(holder) => {
                    json!({"holderIdentity": holder, "renewTime": now, "leaseDurationSeconds": 3600})
                }
                None => json!({}),
            };
            let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": "lease"}, "spec": spec});
            self.0.lock().unwrap().0 = Some(lease);
        }

        fn holder(&self) -> Option<String> {
            let state = self.0.lock().unwrap();
            state.0.as_ref()?["spec"]["holderIdentity"].as_str().map(str::to_owned)
        }
    }

    fn refusal(code: StatusCode, reason: &str) -> (StatusCode, Value) {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason,
            "reason": reason, "code": code.as_u16()});
        (code, status)
    }

    struct Candidate {
        server: Server,
        metrics: Metrics,
        gates: Gates,
        shutdown: CancellationToken,
        working: watch::Sender<bool>,
    }

    impl Candidate {
        fn new() -> Self {
            Self {
                server: Server::default(),
                metrics: Metrics::new(),
                gates: Gates::default(),
                shutdown: CancellationToken::new(),
                working: watch::Sender::new(false),
            }
        }

        /// Leads with work that notes that it works and ends when it is told to.
        async fn lead(&self) -> Result<Option<&str>, Lost> {
            let election = Election::new(None, "lease".into(), Duration::from_secs(15), "me".into()).unwrap();
            let (client, working) = (self.server.client(), self.working.clone());
            lead(&client, &election, &self.metrics, &self.gates, &self.shutdown, |stop| async move {
                working.send_replace(true);
                stop.cancelled().await;
                working.send_replace(false);
                "done"
            })
            .await
        }

        async fn works(&self) {
            self.working.subscribe().wait_for(|working| *working).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn works_while_it_holds_the_lease_and_gives_it_back() {
        let candidate = Candidate::new();
        let story = async {
            candidate.works().await;
            assert_eq!(candidate.server.holder().as_deref(), Some("me"));
            assert!(candidate.metrics.encode().unwrap().contains("_leader 1\n"));
            // Several renewals.
            let _ = timeout(Duration::from_mins(2), std::future::pending::<()>()).await;
            assert!(*candidate.working.borrow());
            candidate.shutdown.cancel();
        };
        let (ended, ()) = tokio::join!(candidate.lead(), story);
        assert_eq!(ended.unwrap(), Some("done"));
        assert_eq!(candidate.server.holder(), None);
        assert!(candidate.metrics.encode().unwrap().contains("_leader 0\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn stands_by_ready_and_takes_over_when_the_lease_is_given_back() {
        let candidate = Candidate::new();
        candidate.server.hold(Some("other"));
        let story = async {
            assert_eq!(candidate.gates.closed(), [GATE]);
            let opened = timeout(Duration::from_mins(1), async {
                let mut ticks = interval(Duration::from_millis(100));
                while !candidate.gates.closed().is_empty() {
                    ticks.tick().await;
                }
            });
            opened.await.expect("a standby is ready");
            assert!(!*candidate.working.borrow());
            candidate.server.hold(None);
            candidate.works().await;
            candidate.shutdown.cancel();
        };
        let (ended, ()) = tokio::join!(candidate.lead(), story);
        assert_eq!(ended.unwrap(), Some("done"));
    }

    #[tokio::test(start_paused = true)]
    async fn stops_before_the_lease_runs_out_when_it_cannot_be_renewed() {
        let candidate = Candidate::new();
        let story = async {
            candidate.works().await;
            let begun = Instant::now();
            candidate.server.fail();
            candidate.working.subscribe().wait_for(|working| !*working).await.unwrap();
            begun.elapsed()
        };
        let (ended, stopped_after) = tokio::join!(candidate.lead(), story);
        assert!(matches!(ended, Err(Lost::Expired(_))), "{ended:?}");
        // Time stands still but for the timers here.
        assert!(stopped_after < Duration::from_secs(15), "{stopped_after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn stops_when_another_process_has_the_lease() {
        let candidate = Candidate::new();
        let story = async {
            candidate.works().await;
            candidate.server.hold(Some("other"));
        };
        let (ended, ()) = tokio::join!(candidate.lead(), story);
        assert!(matches!(ended, Err(Lost::Taken(_))), "{ended:?}");
        assert_eq!(candidate.server.holder().as_deref(), Some("other"));
    }

    #[tokio::test(start_paused = true)]
    async fn is_not_ready_while_it_cannot_tell_who_leads() {
        let candidate = Candidate::new();
        candidate.server.fail();
        let story = async {
            let _ = timeout(Duration::from_mins(1), candidate.works()).await;
            assert_eq!(candidate.gates.closed(), [GATE]);
            candidate.shutdown.cancel();
        };
        let (ended, ()) = tokio::join!(candidate.lead(), story);
        assert_eq!(ended.unwrap(), None);
    }
}
