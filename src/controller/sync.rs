//! Holds reconciles back until every cache is filled and every key is claimed: a unit that was there before must not
//! lose its key, nor get its children a second time, because it was looked at first.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{caches::follow::Progress, context::Context, routing::claim::Claim, server::Gates};

/// Name of the gate that is closed until then.
const GATE: &str = "caches";

/// Watches whose resource may be missing without stopping anything else.
pub type Watched = Vec<watch::Receiver<Progress>>;

/// Waits for every watch to have listed its objects, or to have been told that there is no such resource.
pub async fn sync(context: Arc<Context>, watched: Watched, gates: Gates, synced: watch::Sender<bool>) {
    gates.close(GATE);
    for mut progress in watched {
        // Its sender lives as long as this task.
        drop(progress.wait_for(|progress| *progress != Progress::Waiting).await);
    }
    for unit in context.caches.units() {
        if let Some(pool) = context.caches.pool_of(&unit) {
            context.claims.enter(&unit, &Claim::new(&unit, &pool));
        }
    }
    tracing::info!(units = context.caches.units().count(), "caches are filled");
    gates.open(GATE);
    synced.send_replace(true);
    // Both stay open for as long as this task lives.
    std::future::pending::<()>().await;
}
