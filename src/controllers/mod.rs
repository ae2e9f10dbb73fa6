//! Runs the controllers: watches fill caches and wake units, controllers reconcile them.

pub mod activator_route;
pub mod condition;
pub mod events;
pub mod gateway_binding;
pub mod idle;
pub mod ownership;
pub mod pool;
pub mod pool_conflict;
mod turns;
pub mod unit;
pub mod watches;

use std::{sync::Arc, time::Duration};

use computing_unit_api::{ComputingUnit, names::FIELD_MANAGER};
use futures::{
    FutureExt, StreamExt,
    future::{join_all, select},
    stream,
};
use kube::{
    Client, ResourceExt,
    runtime::{
        controller::{self, Controller},
        events::{Recorder, Reporter},
        reflector::{ObjectRef, Store},
    },
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::{
    activator_route::{ActivatorRouteContext, Failures},
    idle::context::IdleContext,
    pool::PoolContext,
    turns::Turns,
    unit::{
        admissions::Admissions,
        blocked::BlockedWrites,
        context::{HeldStatuses, UnitContext},
        dry_runs::PassedDryRuns,
        pod_events::PodEventsMemory,
        rollout::Rollouts,
    },
};
use crate::{
    config::Settings,
    health::Gates,
    k8s::{
        backoff::Backoff, caches::Caches, overlay::Overlays, scope::scopes, waker::Waker, watch::WatchReporter,
        writer::Writer,
    },
    metrics::Metrics,
    probe::Prober,
    routing::keys::KeyIndex,
};

/// Delay after the first failure of a unit.
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// Longest delay after failures of a unit.
const LAST_RETRY: Duration = Duration::from_mins(1);

/// A controller ended before the shutdown.
#[derive(Debug, thiserror::Error)]
#[error("a controller ended unexpectedly: restart the operator")]
pub struct Error;

/// Runs the controllers until `shutdown`, and returns when no reconcile is in flight any more.
///
/// # Errors
/// If a controller ends before the shutdown.
pub async fn run(
    settings: Settings,
    client: Client,
    metrics: Arc<Metrics>,
    gates: Gates,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let (scopes, gateways) = (scopes(&settings.watch_namespaces), scopes(&settings.gateway_namespaces));
    let caches = Arc::new(Caches::new(&scopes, &gateways, &settings.envoy_gateway_namespace));
    let (waker, wakes) = Waker::new(&scopes);
    let probe_limit = usize::from(settings.probe_concurrency.get());
    let (prober, probe_wakes) = Prober::new(caches.proxies(), probe_limit, metrics.clone());
    let writer = Writer::new(client.clone(), metrics.clone(), usize::from(settings.concurrency.get()));
    let overlays = Arc::<Overlays>::default();
    let table = Arc::<idle::Table>::default();
    let recorder = Recorder::new(client.clone(), Reporter { controller: FIELD_MANAGER.to_owned(), instance: None });

    let units = Arc::new(UnitContext {
        writer: writer.clone(),
        caches: caches.clone(),
        overlays: overlays.clone(),
        keys: KeyIndex::default(),
        overlaps: Arc::default(),
        admissions: Admissions::default(),
        blocked: BlockedWrites::default(),
        dry_runs: PassedDryRuns::default(),
        pod_events: PodEventsMemory::default(),
        rollouts: Rollouts::default(),
        prober,
        waker: waker.clone(),
        recorder: recorder.clone(),
        metrics: metrics.clone(),
        activity: table.clone(),
        backoff: Backoff::new(FIRST_RETRY, LAST_RETRY),
        held_statuses: HeldStatuses::default(),
        resync: settings.resync_period,
    });
    let activator_routes = Arc::new(ActivatorRouteContext {
        writer: writer.clone(),
        caches: caches.clone(),
        overlaps: units.overlaps.clone(),
        service: settings.activator.map(|activator| activator.service),
        failures: Failures::default(),
    });
    let pools = Arc::new(PoolContext {
        writer: writer.clone(),
        caches: caches.clone(),
        overlaps: units.overlaps.clone(),
        metrics: metrics.clone(),
        activator: activator_routes.clone(),
        expressions: Arc::default(),
        recorder: recorder.clone(),
    });
    let idle = Arc::new(IdleContext {
        writer,
        caches: caches.clone(),
        overlays,
        table,
        departures: idle::Departures::default(),
        expressions: pools.expressions.clone(),
        waker: waker.clone(),
        recorder,
        metrics: metrics.clone(),
    });

    // Dropping it at the end stops the tasks.
    let mut background = JoinSet::new();
    background.spawn(waker.forward(probe_wakes));
    let reporter = WatchReporter { metrics, gates: gates.clone() };
    let running = watches::start(&client, &units, &reporter, &mut background);
    background.spawn(watches::sync::sync(units.clone(), running, gates));
    background.spawn(pool::run(pools));
    background.spawn(activator_route::run(activator_routes));
    background.spawn(idle::run(idle));

    let controllers = caches.scopes.iter().zip(wakes).map(|(scope, wakes)| {
        let turns = Turns::new(usize::from(settings.concurrency.get()), units.metrics.clone(), shutdown.clone());
        let reconcile = move |unit: Arc<ComputingUnit>, context: Arc<UnitContext>| {
            let namespace = unit.namespace().unwrap_or_default();
            turns.clone().run(namespace, move || unit::reconcile(unit, context))
        };
        // Every trigger is a wake: a failing watch has a backoff of its own and does not delay the others.
        let running = Controller::for_stream(stream::pending(), scope.units.store())
            .reconcile_on(wakes)
            .graceful_shutdown_on(shutdown.clone().cancelled_owned())
            .run(reconcile, unit::error_policy, units.clone())
            .for_each(async |outcome| report(outcome));
        select(running.boxed(), cancelled_before_listed(shutdown.clone(), scope.units.store()).boxed())
    });
    join_all(controllers).await;
    if shutdown.is_cancelled() { Ok(()) } else { Err(Error) }
}

/// Completes on a shutdown before the units of a scope are listed. No reconcile has begun by then, and a controller notices
/// the shutdown only after that.
async fn cancelled_before_listed(shutdown: CancellationToken, units: Store<ComputingUnit>) {
    shutdown.cancelled().await;
    if units.wait_until_ready().now_or_never().is_some() {
        std::future::pending::<()>().await;
    }
}

type Outcome<E> =
    Result<(ObjectRef<ComputingUnit>, controller::Action), controller::Error<crate::k8s::error::Error, E>>;

fn report<E: std::error::Error>(outcome: Outcome<E>) {
    match outcome {
        Ok((unit, _)) => tracing::debug!(%unit, "reconciled"),
        Err(controller::Error::ObjectNotFound(unit)) => tracing::debug!(%unit, "woken after it was deleted"),
        Err(controller::Error::ReconcilerFailed(error, unit)) => {
            tracing::warn!(%unit, %error, "reconcile failed and will be retried");
        }
        Err(error) => tracing::warn!(%error, "controller error"),
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use tokio::time::timeout;
    use tower::{BoxError, service_fn};

    use super::*;
    use crate::config::{LogFormat, Logging};

    #[tokio::test]
    async fn controllers_end_on_a_shutdown_before_the_caches_are_filled() {
        let hangs = service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, BoxError>>());
        let settings = Settings {
            watch_namespaces: vec![],
            gateway_namespaces: vec![],
            envoy_gateway_namespace: "envoy-gateway-system".to_owned(),
            concurrency: 1.try_into().unwrap(),
            probe_concurrency: 1.try_into().unwrap(),
            http_address: ([127, 0, 0, 1], 0).into(),
            logging: Logging::new(LogFormat::Text, String::new()).unwrap(),
            election: None,
            resync_period: Duration::from_hours(1),
            activator: None,
        };
        let shutdown = CancellationToken::new();
        let (client, metrics) = (Client::new(hangs, "default"), Arc::new(Metrics::new()));
        let running = run(settings, client, metrics, Gates::default(), shutdown.clone());
        let ended = async { tokio::join!(running, async { shutdown.cancel() }).0 };
        timeout(Duration::from_secs(10), ended).await.expect("the controllers end").unwrap();
    }
}
