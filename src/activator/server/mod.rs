//! Serves the requests that the gateway routes to the activator.
//!
//! Authorization is the gateway's: a request that it rejects does not arrive here.

mod response;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State as Shared},
    response::Response,
};
use computing_unit_api::{ComputingUnitPool, names::headers};
use futures::StreamExt;
use http::{header, request::Parts};
use kube::{Client, ResourceExt};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    background::BackgroundRequests,
    cors,
    held_requests::{HeldRequests, HoldResult},
    index::{Index, IndexedUnit},
    intent::Intent,
    problem::Problem,
    request::{self, RequestKind},
    state::{State, state},
    wake::UnitWaker,
    wake_rule, watch,
};
use crate::{
    clock::Now,
    health::Gates,
    http_server::{self, Limits},
    k8s::scope::scopes,
    metrics::{ActivatorOutcome, Metrics, NotStarted},
    routing::{request_key, same_host},
};

/// More than the requests that are held at a time. The clients are the gateway's proxies, so an address may have many.
const LIMITS: Limits = Limits {
    connections: 2000,
    connections_per_address: 1000,
    header_timeout: Duration::from_secs(5),
    // A request is held for as long as its pool says.
    lifetime: None,
};

/// Serves the activator for the pools of `namespaces`, or of all if it is empty, until `shutdown`. Held requests are
/// answered then.
pub async fn serve(
    listener: TcpListener,
    client: Client,
    namespaces: &[String],
    metrics: Arc<Metrics>,
    gates: &Gates,
    shutdown: CancellationToken,
) {
    let index = Arc::new(Index::new(scopes(namespaces)));
    // The watches end when this is dropped.
    let _watches = watch::start(&client, namespaces, &index, &metrics, gates);
    let activator = Arc::new(Activator {
        index,
        waker: UnitWaker::new(client, metrics.clone()),
        held_requests: HeldRequests::new(metrics.clone(), shutdown.clone()),
        background: BackgroundRequests::new(Now::read().monotonic),
        metrics,
    });
    http_server::serve(listener, router(activator), LIMITS, shutdown).await;
}

/// The longest time for a body to arrive.
const DISCARD_TIMEOUT: Duration = Duration::from_mins(1);

/// Receives a body, which the client sends again to the unit. If a connection is closed with unread data, its other end may
/// lose the response, and the proxy answers with an error of its own.
async fn discard(body: Body) {
    let mut chunks = body.into_data_stream();
    while let Some(Ok(_)) = chunks.next().await {}
}

fn router(activator: Arc<Activator>) -> Router {
    Router::new().fallback(handle).with_state(activator)
}

struct Activator {
    index: Arc<Index>,
    waker: UnitWaker,
    held_requests: HeldRequests,
    background: BackgroundRequests,
    metrics: Arc<Metrics>,
}

async fn handle(Shared(activator): Shared<Arc<Activator>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let kind = RequestKind::of(&parts.method, &parts.headers);
    let reply = if kind == RequestKind::Probe {
        Reply::problem(Problem { outcome: ActivatorOutcome::Probe, ..Problem::not_found() })
    } else {
        let (reply, _) = tokio::join!(activator.reply(&parts, kind), timeout(DISCARD_TIMEOUT, discard(body)));
        reply
    };
    let url = request::same_url(&parts.uri);
    match reply {
        Reply::Redirect => {
            activator.metrics.activator.answered(ActivatorOutcome::Redirected);
            response::redirect(&url)
        }
        Reply::Problem(problem) => {
            activator.metrics.activator.answered(problem.outcome);
            if let Some(reason) = problem.not_started {
                activator.metrics.activator.did_not_start(reason);
            }
            let mut response = response::problem(&problem, kind, &url);
            let asked = cors::preflight(&parts.method, &parts.headers);
            if asked.is_some_and(|method| cors::permits(method, problem.outcome)) {
                cors::permit(&parts.headers, &mut response);
            }
            response
        }
    }
}

enum Reply {
    /// To the same URL, which leads to the unit now.
    Redirect,
    Problem(Box<Problem>),
}

impl Reply {
    fn problem(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl Activator {
    fn pool(&self, parts: &Parts) -> Option<Arc<ComputingUnitPool>> {
        self.index.pool(parts.headers.get(headers::POOL)?.to_str().ok()?)
    }

    fn find(&self, parts: &Parts, pool: &ComputingUnitPool) -> Option<IndexedUnit> {
        let key = request_key(&pool.spec.routing, &parts.uri, host(parts))?;
        self.index.find(pool, &key)
    }

    async fn reply(&self, parts: &Parts, kind: RequestKind) -> Reply {
        let pool = self.pool(parts);
        let found = pool.as_ref().and_then(|pool| self.find(parts, pool));
        let Some(IndexedUnit { unit, activator, lookup_host }) = found else {
            let namespace = pool.as_ref().and_then(|pool| pool.metadata.namespace.as_deref());
            let complete = self.index.synced(namespace);
            return Reply::problem(if complete { Problem::not_found() } else { Problem::not_synced() });
        };
        // The request was authorized for the unit with this host name. If it carries the key of another unit, it was
        // not authorized for that one.
        if lookup_host.is_some_and(|expected| !host(parts).is_some_and(|host| same_host(host, &expected))) {
            return Reply::problem(Problem::misdirected());
        }
        let current = unit.borrow().clone();
        let uid = current.uid().unwrap_or_default();
        let intent = Intent::of(&parts.method, &parts.headers, kind);
        let now = Now::read();
        let quiet_for = match (state(&current), intent) {
            (State::Suspended | State::Suspending, Intent::Background) => self.background.record(&uid, now.monotonic),
            _ => Duration::ZERO,
        };
        let waking = match state(&current) {
            State::Suspended => match wake_rule::decide(&activator, &current, intent, now.wall, quiet_for) {
                Ok(()) => {
                    self.waker.wake(unit.clone(), activator.wake);
                    true
                }
                Err(_) if self.waker.waking(&uid) => true,
                Err(reason) => {
                    let retry_after = (reason == NotStarted::QuietPeriod).then(|| seconds(activator.quiet_period.0));
                    return Reply::problem(Problem::not_started(&current, reason, retry_after));
                }
            },
            State::Starting => self.waker.waking(&uid),
            _ => false,
        };
        let passive = matches!(intent, Intent::Passive(_));
        if !waking || passive || kind != RequestKind::Client {
            return Reply::problem(Problem::of(&current, waking));
        }
        let hold = activator.hold.0;
        let limit = request::preferred_wait(&parts.headers).map_or(hold, |wait| wait.min(hold));
        let result = self.held_requests.hold(unit.clone(), limit).await;
        let current = unit.borrow().clone();
        let unfinished = |outcome| Problem { outcome, ..Problem::of(&current, true) };
        match result {
            HoldResult::Settled(State::Ready) => Reply::Redirect,
            HoldResult::Settled(State::Deleted) => Reply::problem(Problem::not_found()),
            HoldResult::Settled(_) => Reply::problem(Problem::of(&current, self.waker.waking(&uid))),
            HoldResult::TimedOut => Reply::problem(unfinished(ActivatorOutcome::Expired)),
            HoldResult::LimitReached => Reply::problem(unfinished(ActivatorOutcome::Full)),
        }
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

fn host(parts: &Parts) -> Option<&str> {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.or(parts.uri.host())
}

#[cfg(test)]
mod tests;
