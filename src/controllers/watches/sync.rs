//! Delays reconciles until every cache is filled, every routing key is reserved and every rollout slot is restored.
//! Otherwise a unit could lose its key, or get its children twice, because another unit was reconciled first.

use std::sync::Arc;

use kube::ResourceExt;
use tokio::sync::watch;

use crate::{
    controllers::unit::{assess::update, context::UnitContext},
    health::Gates,
    k8s::progress::{ProgressReceiver, listed},
    routing::keys::RoutingKey,
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
    let mut units: Vec<_> = context.caches.units().collect();
    // Of two units created in the same second, the one that had the key keeps it.
    units.sort_by_key(|unit| (unit.status.as_ref().and_then(|status| status.key.as_ref()).is_none(), unit.uid()));
    for unit in &units {
        if update::being_replaced(unit) {
            context.rollouts.restore(unit);
        }
        if let Some(pool) = context.caches.pool_of(unit) {
            context.keys.reserve(unit, &RoutingKey::new(unit, &pool));
        }
    }
    tracing::info!(units = units.len(), "caches are filled");
    gates.open(GATE);
    synced.send_replace(true);
    // The sender stays open for as long as this task lives.
    std::future::pending::<()>().await;
}
