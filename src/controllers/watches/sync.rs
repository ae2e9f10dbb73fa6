//! Admits scopes: their units are reconciled once every object of the scope is listed, and the keys and rollout slots of its
//! units are restored. Otherwise a unit could lose its key, or get its children twice, because another unit was reconciled
//! first.
//!
//! Scopes are independent. One that cannot be listed holds up its own units only, except that all scopes wait for
//! each other's keys for a while.

use std::sync::Arc;

use computing_unit_api::{ComputingUnit, ComputingUnitPool, ConditionType, Conditions, Reason};
use futures::{
    FutureExt,
    future::{join, join_all, select},
};
use k8s_openapi::jiff::Timestamp;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::{sync::watch, time::sleep_until};

use super::{Running, wake};
use crate::{
    controllers::unit::context::UnitContext,
    health::Gates,
    k8s::{
        affected::Affected,
        caches::{GatewayScope, Scope},
        progress::{ProgressReceiver, Started, listed},
    },
    metrics::{Resource, WatchedScope},
    routing::keys::{KeyIndex, RoutingKey},
};

/// The readiness gate.
const GATE: &str = "caches";

/// Admits each scope when it is listed. Never returns, because a scope may never be listed.
pub async fn sync(context: Arc<UnitContext>, running: Running, gates: Gates) {
    gates.close(GATE);
    let restored: Vec<_> = running.scopes.iter().map(|_| watch::Sender::new(false)).collect();
    let sync = Sync { context: &context, gates: &gates, classes: &running.classes, restored: &restored };
    let caches = &context.caches;
    let scopes = caches.scopes.iter().zip(&running.scopes).zip(&restored);
    let scopes = scopes.map(|((scope, watches), restored)| sync.scope(scope, watches, restored));
    let gateways = caches.gateways.iter().zip(&running.gateways).map(|(scope, watches)| sync.gateways(scope, watches));
    let report = async {
        sleep_until(caches.grace()).await;
        sync.report(&running);
    };
    futures::join!(join_all(scopes), join_all(gateways), report);
    // The watches report to receivers for as long as this task lives.
    std::future::pending::<()>().await;
}

/// Restores keys and rollout slots from the statuses.
fn restore(context: &UnitContext, units: &[Arc<ComputingUnit>]) {
    let holds_slot = |unit: &&Arc<ComputingUnit>| unit.status.as_ref().is_some_and(|status| status.rollout_slot);
    units.iter().filter(holds_slot).for_each(|unit| context.rollouts.restore(unit));
    restore_keys(&context.keys, units, |unit| context.caches.pool_of(unit));
}

/// Restores the holders of keys first, then the units that wait for one, in the order in which they were rejected.
pub fn restore_keys(
    keys: &KeyIndex,
    units: &[Arc<ComputingUnit>],
    pool_of: impl Fn(&ComputingUnit) -> Option<Arc<ComputingUnitPool>>,
) {
    for unit in units {
        if let Some(held) = RoutingKey::held_by(unit) {
            keys.request(unit, &held);
        }
    }
    let mut waiting: Vec<_> = units.iter().filter_map(|unit| Some((waiting_since(unit)?, unit.uid(), unit))).collect();
    waiting.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    for (_, _, unit) in waiting {
        if let Some(pool) = pool_of(unit) {
            keys.request(unit, &RoutingKey::new(unit, &pool));
        }
    }
}

/// Since when a unit has waited for a key that another unit of its namespace holds.
fn waiting_since(unit: &ComputingUnit) -> Option<Timestamp> {
    let accepted = unit.status.as_ref()?.conditions.find(ConditionType::Accepted)?;
    (accepted.reason == Reason::KeyConflict).then_some(accepted.last_transition_time.0)
}

struct Sync<'a> {
    context: &'a UnitContext,
    gates: &'a Gates,
    classes: &'a Started,
    /// Whether the keys of each scope are restored.
    restored: &'a [watch::Sender<bool>],
}

impl Sync<'_> {
    async fn scope(&self, scope: &Scope, watches: &[Started], restored: &watch::Sender<bool>) {
        let namespace = scope.namespace.as_deref();
        self.context.metrics.watches.synced(WatchedScope::Units, namespace, false);
        // What a unit holds is in its status. The other scopes need no more than that.
        let own = watches.iter().filter(|watch| watch.resource == Resource::ComputingUnits.as_str());
        let own: Vec<_> = own.map(|watch| watch.progress.clone()).collect();
        listed(own).await;
        restore(self.context, &scope.units.all());
        restored.send_replace(true);
        join(listed(receivers(watches)), listed([self.classes.progress.clone()])).await;
        select(self.all_restored().boxed(), sleep_until(self.context.caches.grace()).boxed()).await;
        let units = scope.units.all();
        // Which keys its units wait for depends on their pools.
        restore(self.context, &units);
        scope.synced.send_replace(true);
        tracing::info!(namespace, units = units.len(), "caches of units are filled");
        self.admitted(WatchedScope::Units, namespace);
        for unit in &units {
            self.context.waker.wake(ObjectRef::from_obj(unit.as_ref()));
        }
    }

    async fn all_restored(&self) {
        for restored in self.restored {
            // The sender outlives this.
            let _ = restored.subscribe().wait_for(|restored| *restored).await;
        }
    }

    async fn gateways(&self, scope: &GatewayScope, watches: &[Started]) {
        let namespace = scope.namespace.as_deref();
        self.context.metrics.watches.synced(WatchedScope::Gateways, namespace, false);
        listed(receivers(watches)).await;
        scope.synced.send_replace(true);
        self.admitted(WatchedScope::Gateways, namespace);
        let caches = &self.context.caches;
        let pools = caches.pools().filter(|pool| namespace.is_none_or(|own| own == pool.spec.gateway_ref.namespace));
        let affected = pools.map(|pool| Affected::gateway(&pool.spec.gateway_ref)).collect();
        wake(self.context, affected);
    }

    /// Opens the gate when units of some namespace can be reconciled.
    fn admitted(&self, kind: WatchedScope, namespace: Option<&str>) {
        self.context.metrics.watches.synced(kind, namespace, true);
        self.gates.report(&subject(kind, namespace), None);
        let caches = &self.context.caches;
        let units = caches.scopes.iter().any(|scope| *scope.synced.borrow());
        if units && caches.gateways.iter().any(|scope| *scope.synced.borrow()) {
            self.gates.open(GATE);
        }
    }

    /// Reports the scopes that could not be listed in time.
    fn report(&self, running: &Running) {
        let caches = &self.context.caches;
        let scopes = caches.scopes.iter().map(|scope| (WatchedScope::Units, &scope.namespace)).zip(&running.scopes);
        let gateways = caches.gateways.iter().map(|scope| (WatchedScope::Gateways, &scope.namespace));
        for ((kind, namespace), watches) in scopes.chain(gateways.zip(&running.gateways)) {
            let missing: Vec<_> =
                watches.iter().filter(|watch| !watch.is_listed()).map(|watch| watch.resource).collect();
            if missing.is_empty() {
                continue;
            }
            let (subject, missing) = (subject(kind, namespace.as_deref()), missing.join(", "));
            tracing::error!(
                scope = subject,
                resources = missing,
                "cannot list these resources: their units are left alone, the other namespaces go on. Check that the \
                 namespace and the operator's Role in it exist, or remove it from the operator's settings"
            );
            self.gates.report(&subject, Some(format!("not listed: {missing}")));
        }
    }
}

fn subject(kind: WatchedScope, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("{} of namespace {namespace}", kind.as_str()),
        None => format!("{} of all namespaces", kind.as_str()),
    }
}

fn receivers(watches: &[Started]) -> Vec<ProgressReceiver> {
    watches.iter().map(|watch| watch.progress.clone()).collect()
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
