//! Serves the requests that the gateway routes to the activator.
//!
//! Authorization is the gateway's: a request that it rejects does not arrive here.

mod response;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State as Shared},
    response::Response,
};
use computing_unit_api::{ComputingUnitPool, names::headers};
use http::{header, request::Parts};
use kube::{Client, ResourceExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    held_requests::{HeldRequests, HoldResult},
    index::{Index, IndexedUnit},
    problem::Problem,
    request::{self, RequestKind},
    state::{State, state},
    wake::UnitWaker,
    watch,
};
use crate::{
    health::Gates,
    http_server::{self, Limits},
    k8s::scope::scopes,
    metrics::{ActivatorOutcome, Metrics},
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
        metrics,
    });
    http_server::serve(listener, router(activator), LIMITS, shutdown).await;
}

fn router(activator: Arc<Activator>) -> Router {
    Router::new().fallback(handle).with_state(activator)
}

struct Activator {
    index: Arc<Index>,
    waker: UnitWaker,
    held_requests: HeldRequests,
    metrics: Arc<Metrics>,
}

async fn handle(Shared(activator): Shared<Arc<Activator>>, request: Request) -> Response {
    // The body is not read: the client sends it again to the unit.
    let (parts, _) = request.into_parts();
    let kind = RequestKind::of(&parts.method, &parts.headers);
    let reply = if kind == RequestKind::Probe {
        Reply::problem(Problem { outcome: ActivatorOutcome::Probe, ..Problem::not_found() })
    } else {
        activator.reply(&parts, kind).await
    };
    let url = request::same_url(&parts.uri);
    match reply {
        Reply::Redirect => {
            activator.metrics.activator.answered(ActivatorOutcome::Redirected);
            response::redirect(&url)
        }
        Reply::Problem(problem) => {
            activator.metrics.activator.answered(problem.outcome);
            response::problem(&problem, kind, &url)
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
        let waking = match state(&current) {
            State::Suspended if activator.wake_on_request && kind != RequestKind::Page => {
                self.waker.wake(unit.clone());
                true
            }
            State::Suspended | State::Starting => self.waker.waking(&uid),
            _ => false,
        };
        if !(waking && kind == RequestKind::Client) {
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

fn host(parts: &Parts) -> Option<&str> {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.or(parts.uri.host())
}

#[cfg(test)]
mod tests;
