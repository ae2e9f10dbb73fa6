//! Puts the operator's parts together and keeps them running: watches fill caches and wake units, controllers reconcile
//! them.

mod forget;
mod sync;
mod watches;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, future::join_all, stream};
use kube::{
    Client,
    runtime::{
        controller::{self, Controller},
        events::{Recorder, Reporter},
        reflector::ObjectRef,
    },
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    activity,
    api::ComputingUnit,
    backoff::Backoff,
    caches::{subscribe::scopes, waker::Waker, writers},
    context::{Context, Paces},
    entry::keep::{self, Troubles},
    metrics::Metrics,
    names::FIELD_MANAGER,
    obstacles::Obstacles,
    pools,
    probe::Prober,
    reconcile,
    routing::claim::ClaimIndex,
    server::Gates,
    settings::Settings,
    turns::Turns,
};

/// Delay after the first failure of a unit.
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// Longest delay after failures of a unit.
const LAST_RETRY: Duration = Duration::from_mins(1);

/// Why the controllers ended before they were told to.
#[derive(Debug, thiserror::Error)]
#[error("a controller ended although nobody told it to: restart the operator")]
pub struct Error;

/// Runs the controllers until `shutdown`, and returns once nothing is under way any more.
///
/// # Errors
/// If a controller ends before it is told to.
pub async fn run(
    settings: Settings,
    client: Client,
    metrics: Arc<Metrics>,
    gates: Gates,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let (scopes, gateways) = (scopes(&settings.watch_namespaces), scopes(&settings.gateway_namespaces));
    let (caches, writers) = writers::empty(&scopes, &gateways);
    let caches = Arc::new(caches);
    let (waker, wakes) = Waker::new(&scopes);
    let limit = usize::from(settings.probe_concurrency.get());
    let (prober, news) = Prober::new(caches.proxies(), limit, metrics.clone());
    let (synced, is_synced) = watch::channel(false);
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), Reporter { controller: FIELD_MANAGER.to_owned(), instance: None }),
        client: client.clone(),
        caches,
        written: Arc::default(),
        claims: ClaimIndex::default(),
        obstacles: Obstacles::default(),
        turns: Turns::default(),
        prober,
        waker: waker.clone(),
        metrics,
        activity: activity::Table::default(),
        backoff: Backoff::new(FIRST_RETRY, LAST_RETRY),
        paces: Paces::default(),
        writes: Semaphore::new(usize::from(settings.concurrency.get())),
        synced: is_synced,
        entry: settings.entry.map(|entry| entry.service),
        entry_troubles: Troubles::default(),
        resync: settings.resync_period,
    });

    // Dropped at the end, which ends them.
    let mut background = JoinSet::new();
    background.spawn(waker.forward(news));
    let progress = watches::follow(&context, writers, &mut background);
    background.spawn(sync::sync(context.clone(), progress, gates, synced));
    background.spawn(pools::run(context.clone()));
    background.spawn(keep::run(context.clone()));
    background.spawn(activity::run(context.clone()));

    let controllers = context.caches.scopes.iter().zip(wakes).map(|(scope, wakes)| {
        let config = controller::Config::default().concurrency(settings.concurrency.get());
        // Every trigger is a wake: a watch that fails has a backoff of its own and holds up nothing here.
        Controller::for_stream(stream::pending(), scope.units.clone())
            .with_config(config)
            .reconcile_on(wakes)
            .graceful_shutdown_on(shutdown.clone().cancelled_owned())
            .run(reconcile::reconcile, reconcile::retry, context.clone())
            .for_each(async |outcome| report(outcome))
    });
    join_all(controllers).await;
    if shutdown.is_cancelled() { Ok(()) } else { Err(Error) }
}

type Outcome<E> = Result<(ObjectRef<ComputingUnit>, controller::Action), controller::Error<crate::error::Error, E>>;

fn report<E: std::error::Error>(outcome: Outcome<E>) {
    match outcome {
        Ok((unit, _)) => tracing::debug!(%unit, "reconciled"),
        Err(controller::Error::ObjectNotFound(unit)) => tracing::debug!(%unit, "woken after it was gone"),
        Err(controller::Error::ReconcilerFailed(error, unit)) => tracing::warn!(%unit, %error, "will try again"),
        Err(error) => tracing::warn!(%error, "a controller stumbled"),
    }
}
