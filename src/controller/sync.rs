//! Holds reconciles back until every cache is filled, every key is claimed and every turn that was begun is entered: a
//! unit that was there before must not lose its key, nor get its children a second time, because it was looked at first.

use std::sync::Arc;

use kube::ResourceExt;
use tokio::sync::watch;

use crate::{
    caches::subscribe::{Watched, listed},
    changes,
    context::Context,
    routing::claim::Claim,
    server::Gates,
};

/// Name of the gate that is closed until then.
const GATE: &str = "caches";

/// Waits for every watch to have listed its objects, or to have been told that there is no such resource.
pub async fn sync(context: Arc<Context>, watched: Watched, gates: Gates, synced: watch::Sender<bool>) {
    gates.close(GATE);
    listed(watched).await;
    let mut units: Vec<_> = context.caches.units().collect();
    // Of two units of one second, one that an earlier operator has given the key keeps it.
    units.sort_by_key(|unit| (unit.status.as_ref().and_then(|status| status.key.as_ref()).is_none(), unit.uid()));
    for unit in &units {
        if changes::told(unit) {
            context.turns.enter(unit);
        }
        if let Some(pool) = context.caches.pool_of(unit) {
            context.claims.enter(unit, &Claim::new(unit, &pool));
        }
    }
    tracing::info!(units = units.len(), "caches are filled");
    gates.open(GATE);
    synced.send_replace(true);
    // The sender stays open for as long as this task lives.
    std::future::pending::<()>().await;
}
