//! Publishes the status of pools: units by phase, whether the routing is accepted, and the addresses of the Gateway.
//!
//! It never writes units. Counts are written when they have been stable for a while, so that not every unit that comes or
//! goes costs a write.

mod busy_probes;
mod image_catalog;
mod schedule;
mod status;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use computing_unit_api::{ComputingUnitPool, ComputingUnitPoolStatus, Phase};
use k8s_openapi::jiff::Timestamp;
use kube::{ResourceExt, runtime::events::Recorder};
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::status::{Members, status};
use super::{
    activator_route::{self, ActivatorRouteContext, accepted_pools::AcceptedPools},
    events,
    idle::Expressions,
    pool_conflict,
};
use crate::{
    k8s::{caches::Caches, error::not_found, writer::Writer},
    metrics::{Metrics, Resource as Label},
    routing::overlap_index::OverlapIndex,
};

/// How often pools are scanned.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// How long counts have to be stable before they are written.
const STABLE_FOR: Duration = Duration::from_secs(10);
/// How long unstable counts may stay unwritten.
const MAX_DELAY: Duration = Duration::from_mins(1);
/// The delay after a failed write.
const RETRY: Duration = Duration::from_secs(30);

/// What the pool controller uses.
pub struct PoolContext {
    pub writer: Writer,
    pub caches: Arc<Caches>,
    pub overlaps: Arc<OverlapIndex>,
    pub metrics: Arc<Metrics>,
    /// Knows the state of the route to the activator.
    pub activator: Arc<ActivatorRouteContext>,
    /// The expressions of the busy probes, shared with the idle controller.
    pub expressions: Arc<Expressions>,
    pub recorder: Recorder,
}

/// Runs until dropped.
pub async fn run(context: Arc<PoolContext>) {
    let mut ticks = interval(SCAN_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pending = HashMap::new();
    loop {
        ticks.tick().await;
        let members = Members::count(context.caches.units());
        let total = members.total();
        for phase in Phase::ALL {
            context.metrics.units(phase, total.in_phase(phase));
        }
        let pools: Vec<_> = context.caches.pools().collect();
        let alive: HashSet<String> = pools.iter().filter_map(|pool| pool.uid()).collect();
        pending.retain(|uid: &String, _| alive.contains(uid));
        busy_probes::retain(&context.expressions, pools.iter().map(Arc::as_ref));
        let conflicts = pool_conflict::conflicts(&context.caches, &context.overlaps, &pools);
        let accepted = AcceptedPools::new(&pools, &conflicts);
        let listed = |pool: &ComputingUnitPool| {
            let namespace = pool.metadata.namespace.as_deref().unwrap_or_default();
            context.caches.synced(namespace) && context.caches.gateways_synced(&pool.spec.gateway_ref.namespace)
        };
        for (pool, conflict) in pools.iter().zip(&conflicts).filter(|(pool, _)| listed(pool)) {
            let activator = activator_route::condition(&context.activator, pool, &accepted);
            let gateway = context.caches.gateway(&pool.spec.gateway_ref);
            let busy_probes = busy_probes::condition(&context.expressions, pool);
            let catalog = image_catalog::condition(pool, context.caches.catalog_of(pool).as_deref());
            let optional = activator.into_iter().chain(busy_probes).chain(schedule::condition(pool)).chain(catalog);
            let new = status(pool, conflict.as_ref(), &members, gateway, optional, Timestamp::now());
            publish(&context, pool, new, &mut pending).await;
        }
    }
}

/// A status that is not written yet.
struct Pending {
    status: ComputingUnitPoolStatus,
    /// When the recorded status became outdated.
    stale: Instant,
    /// Since when the status is as it is.
    since: Instant,
    not_before: Instant,
}

async fn publish(
    context: &PoolContext,
    pool: &ComputingUnitPool,
    new: ComputingUnitPoolStatus,
    pending: &mut HashMap<String, Pending>,
) {
    let uid = pool.uid().unwrap_or_default();
    let old = pool.status.as_ref();
    if old.is_some_and(|old| status::same(old, &new)) {
        pending.remove(&uid);
        return;
    }
    let now = Instant::now();
    let first = || Pending { status: new.clone(), stale: now, since: now, not_before: now };
    let entry = pending.entry(uid.clone()).or_insert_with(first);
    if !status::same(&entry.status, &new) {
        entry.status = new.clone();
        entry.since = now;
    }
    let transition = old.is_none_or(|old| !status::same_but_counts(old, &new));
    let due = transition || now - entry.since >= STABLE_FOR || now - entry.stale >= MAX_DELAY;
    if !due || now < entry.not_before {
        return;
    }
    entry.not_before = now + RETRY;
    match context.writer.apply_status(Label::ComputingUnitPoolsStatus, pool, &new).await {
        Ok(_) => {
            pending.remove(&uid);
            if let Some(event) = image_catalog::event(old, &new) {
                events::publish(&context.recorder, pool, event).await;
            }
        }
        Err(kube::Error::Api(status)) if not_found(&status) => {}
        Err(error) => tracing::warn!(pool = pool.name_any(), %error, "cannot write the status of a pool"),
    }
}
