//! Delays reconciles until every cache is filled, every routing key is reserved and every rollout slot is restored.
//! Otherwise a unit could lose its key, or get its children twice, because another unit was reconciled first.

use std::sync::Arc;

use computing_unit_api::{ComputingUnit, ComputingUnitPool, ConditionType, Conditions, Reason};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use tokio::sync::watch;

use crate::{
    controllers::unit::{assess::update, context::UnitContext},
    health::Gates,
    k8s::progress::{ProgressReceiver, listed},
    routing::keys::{KeyIndex, RoutingKey},
};

/// The readiness gate.
const GATE: &str = "caches";

/// Waits until the caches are filled, restores keys and rollout slots from the statuses, and starts the reconciles.
pub async fn sync(
    context: Arc<UnitContext>,
    watches: Vec<ProgressReceiver>,
    gates: Gates,
    synced: watch::Sender<bool>,
) {
    gates.close(GATE);
    listed(watches).await;
    let units: Vec<_> = context.caches.units().collect();
    restore(&context, &units);
    tracing::info!(units = units.len(), "caches are filled");
    gates.open(GATE);
    synced.send_replace(true);
    // The sender stays open for as long as this task lives.
    std::future::pending::<()>().await;
}

/// Restores keys and rollout slots from the statuses.
fn restore(context: &UnitContext, units: &[Arc<ComputingUnit>]) {
    units.iter().filter(|unit| update::being_replaced(unit)).for_each(|unit| context.rollouts.restore(unit));
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
