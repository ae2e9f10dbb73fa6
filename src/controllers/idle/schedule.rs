//! Schedules the scans: one for each Gateway, at the shortest interval of its pools.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use computing_unit_api::{ComputingUnitPool, GatewayRef};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{context::IdleContext, policy::MIN_INTERVAL, scan::scan, tracked::TrackedUnit};

/// How often the schedule is checked.
const TICK: Duration = Duration::from_millis(250);

/// Namespace and name of a Gateway.
type Key = (String, String);

/// Scans until dropped.
pub async fn run(context: Arc<IdleContext>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_scans: HashMap<Key, Instant> = HashMap::new();
    let mut running: HashSet<Key> = HashSet::new();
    // Dropping it ends the scans.
    let mut scans: JoinSet<Key> = JoinSet::new();
    loop {
        ticks.tick().await;
        while let Some(ended) = scans.try_join_next() {
            match ended {
                Ok(gateway) => drop(running.remove(&gateway)),
                // Which scan panicked is unknown.
                Err(error) => {
                    tracing::error!(%error, "a scan of the activity of units failed");
                    running.clear();
                }
            }
        }
        let now = Instant::now();
        let intervals = intervals(context.caches.pools());
        last_scans.retain(|gateway, _| intervals.contains_key(gateway));
        let is_due = |gateway: &Key, interval: Duration| {
            !running.contains(gateway) && last_scans.get(gateway).is_none_or(|at| now - *at >= interval)
        };
        let due: Vec<Key> = intervals
            .iter()
            .filter(|(gateway, interval)| is_due(gateway, **interval))
            .map(|(gateway, _)| gateway.clone())
            .collect();
        if due.is_empty() {
            continue;
        }
        let mut units = tracked_units(&context);
        for key in due {
            last_scans.insert(key.clone(), now);
            let Some(units) = units.remove(&key) else { continue };
            running.insert(key.clone());
            let gateway = GatewayRef { namespace: key.0.clone(), name: key.1.clone(), section_name: None };
            let context = context.clone();
            scans.spawn(async move {
                scan(context, gateway, units).await;
                key
            });
        }
    }
}

/// The scan intervals of the Gateways of pools that stop idle units.
fn intervals(pools: impl Iterator<Item = Arc<ComputingUnitPool>>) -> BTreeMap<Key, Duration> {
    let mut all: BTreeMap<Key, Duration> = BTreeMap::new();
    for pool in pools.filter(|pool| pool.spec.lifecycle.idle_timeout.is_some()) {
        let interval = pool.spec.activity.interval.0.max(MIN_INTERVAL);
        let shortest = all.entry(key(&pool)).or_insert(interval);
        *shortest = interval.min(*shortest);
    }
    all
}

fn key(pool: &ComputingUnitPool) -> Key {
    let gateway = &pool.spec.gateway_ref;
    (gateway.namespace.clone(), gateway.name.clone())
}

fn tracked_units(context: &IdleContext) -> HashMap<Key, Vec<TrackedUnit>> {
    let mut all: HashMap<Key, Vec<TrackedUnit>> = HashMap::new();
    for tracked in context.caches.units().filter_map(|unit| TrackedUnit::of(&context.caches, unit)) {
        all.entry(key(&tracked.pool)).or_default().push(tracked);
    }
    all
}
