//! Keeps the status of pools: how many units are made from each, whether its routing stands, and where its gateway is.
//!
//! It never touches units. Counts are written once they have stood for a while, so that the units of a pool that come
//! and go do not cost a write each.

mod status;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    api::{ComputingUnitPool, ComputingUnitPoolStatus, Phase},
    context::Context,
    entry::keep,
    error::not_found,
    metrics::{Resource as Label, Verb},
    names::FIELD_MANAGER,
};

use status::{Members, status};

/// How often pools are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long counts have to stand before they are written.
const STAND: Duration = Duration::from_secs(10);
/// How long counts that never stand go unwritten.
const LONGEST: Duration = Duration::from_mins(1);
/// How long a pool whose status could not be written is left alone.
const RETRY: Duration = Duration::from_secs(30);

/// Looks at all pools again and again, until dropped.
pub async fn run(context: Arc<Context>) {
    context.synced().await;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pending = HashMap::new();
    loop {
        ticks.tick().await;
        let members = Members::count(context.caches.units());
        for phase in Phase::ALL {
            context.metrics.units(phase, members.in_phase(phase));
        }
        let pools: Vec<_> = context.caches.pools().collect();
        let alive: HashSet<String> = pools.iter().filter_map(|pool| pool.uid()).collect();
        pending.retain(|uid: &String, _| alive.contains(uid));
        for pool in &pools {
            let entry = keep::says(&context, pool, &pools);
            let gateway = context.caches.gateway(&pool.spec.gateway_ref);
            let new = status(pool, &pools, &members, gateway, entry, Timestamp::now());
            publish(&context, pool, new, &mut pending).await;
        }
    }
}

/// A status that is not written yet.
struct Pending {
    status: ComputingUnitPoolStatus,
    /// When the written one ceased to be true.
    stale: Instant,
    /// When it came to be what it is.
    since: Instant,
    not_before: Instant,
}

async fn publish(
    context: &Context,
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
    let news = old.is_none_or(|old| !status::same_but_counts(old, &new));
    let due = news || now - entry.since >= STAND || now - entry.stale >= LONGEST;
    if !due || now < entry.not_before {
        return;
    }
    entry.not_before = now + RETRY;
    let name = pool.name_any();
    let patch = json!({
        "apiVersion": ComputingUnitPool::api_version(&()),
        "kind": ComputingUnitPool::kind(&()),
        "metadata": {"name": name, "uid": uid},
        "status": new,
    });
    let api: Api<ComputingUnitPool> = Api::namespaced(context.client.clone(), &pool.namespace().unwrap_or_default());
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(patch);
    let request = api.patch_status(&name, &params, &patch);
    match context.write(Verb::Apply, Label::ComputingUnitPoolsStatus, request).await {
        Ok(_) => drop(pending.remove(&uid)),
        Err(kube::Error::Api(status)) if not_found(&status) => {}
        Err(error) => tracing::warn!(pool = name, %error, "cannot write the status of a pool"),
    }
}
