//! When each Gateway's units are looked at: as often as the most impatient of its pools wants, all its pools at once.

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

use super::{
    context::IdleContext,
    scan::scan,
    terms::SHORTEST,
    watched::{self, Watched},
};

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_millis(250);

/// A Gateway: namespace and name.
type Key = (String, String);

/// Looks again and again, until dropped.
pub async fn run(context: Arc<IdleContext>) {
    crate::k8s::caches::synced(&context.synced).await;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked: HashMap<Key, Instant> = HashMap::new();
    let mut running: HashSet<Key> = HashSet::new();
    // Dropped at the end, which ends them.
    let mut scans: JoinSet<Key> = JoinSet::new();
    loop {
        ticks.tick().await;
        while let Some(ended) = scans.try_join_next() {
            match ended {
                Ok(gateway) => drop(running.remove(&gateway)),
                // A scan that panicked has not said which it was.
                Err(error) => {
                    tracing::error!(%error, "a look at the use of units broke off");
                    running.clear();
                }
            }
        }
        let now = Instant::now();
        let gateways = gateways(context.caches.pools());
        looked.retain(|gateway, _| gateways.contains_key(gateway));
        let is_due = |gateway: &Key, every: Duration| {
            !running.contains(gateway) && looked.get(gateway).is_none_or(|at| now - *at >= every)
        };
        let due: Vec<Key> = gateways
            .iter()
            .filter(|(gateway, every)| is_due(gateway, **every))
            .map(|(gateway, _)| gateway.clone())
            .collect();
        if due.is_empty() {
            continue;
        }
        let mut units = units(&context);
        for key in due {
            looked.insert(key.clone(), now);
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

/// The Gateways of pools that stop idle units, and how often each is looked at.
fn gateways(pools: impl Iterator<Item = Arc<ComputingUnitPool>>) -> BTreeMap<Key, Duration> {
    let mut all: BTreeMap<Key, Duration> = BTreeMap::new();
    for pool in pools.filter(|pool| pool.spec.lifecycle.idle_timeout.is_some()) {
        let every = pool.spec.activity.interval.0.max(SHORTEST);
        let known = all.entry(key(&pool)).or_insert(every);
        *known = every.min(*known);
    }
    all
}

fn key(pool: &ComputingUnitPool) -> Key {
    let gateway = watched::gateway(pool);
    (gateway.namespace, gateway.name)
}

fn units(context: &IdleContext) -> HashMap<Key, Vec<Watched>> {
    let mut all: HashMap<Key, Vec<Watched>> = HashMap::new();
    for watched in context.caches.units().filter_map(|unit| Watched::of(&context.caches, unit)) {
        all.entry(key(&watched.pool)).or_default().push(watched);
    }
    all
}
