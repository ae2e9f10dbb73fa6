//! What every reconcile shares.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::{
    Client,
    runtime::{events::Recorder, reflector::ObjectRef},
};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use crate::{
    activity,
    api::ComputingUnit,
    backoff::Backoff,
    caches::{Caches, waker::Waker, written::AllWritten},
    entry::{EntryService, keep::Troubles},
    metrics::{Metrics, Resource, Verb},
    obstacles::Obstacles,
    probe::Prober,
    routing::claim::ClaimIndex,
    turns::Turns,
};

/// How long progress of a start may go unwritten, so that a quick start costs two writes of status.
pub const PACE: Duration = Duration::from_secs(10);

/// Shared by all reconciles. No logic.
pub struct Context {
    /// Client for writes.
    pub client: Client,
    /// What is known of the cluster.
    pub caches: Arc<Caches>,
    /// What was written and not seen yet.
    pub written: Arc<AllWritten>,
    /// Who has which key.
    pub claims: ClaimIndex,
    /// What keeps children from being made.
    pub obstacles: Obstacles,
    /// Whose pod may be made anew.
    pub turns: Turns,
    /// Asks the proxies.
    pub prober: Prober,
    /// Wakes other units.
    pub waker: Waker,
    /// Publishes Events.
    pub recorder: Recorder,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// What is known of the use of units.
    pub activity: activity::Table,
    /// Delays after failures.
    pub backoff: Backoff<ObjectRef<ComputingUnit>>,
    /// Which statuses wait to be written.
    pub paces: Paces,
    /// How many writes may be under way.
    pub writes: Semaphore,
    /// Whether the caches are filled.
    pub synced: watch::Receiver<bool>,
    /// What serves the entries of pools, if anything does.
    pub entry: Option<EntryService>,
    /// What keeps entries of pools from being made.
    pub entry_troubles: Troubles,
    /// How often a unit is looked at although nothing happened.
    pub resync: Duration,
}

impl Context {
    /// Sends one write when its turn comes, and counts it.
    ///
    /// # Errors
    /// Those of the write.
    pub async fn write<T>(
        &self,
        verb: Verb,
        resource: Resource,
        request: impl Future<Output = kube::Result<T>>,
    ) -> kube::Result<T> {
        // The semaphore is never closed.
        let _turn = self.writes.acquire().await;
        let answer = request.await;
        self.metrics.wrote(verb, resource, answer.is_ok());
        answer
    }

    /// Waits until the caches are filled.
    pub async fn synced(&self) {
        // The sender lives as long as the controllers.
        let _ = self.synced.clone().wait_for(|synced| *synced).await;
    }
}

/// Since when each unit has had something to say that can wait, by UID.
#[derive(Default)]
pub struct Paces(Mutex<HashMap<String, Instant>>);

impl Paces {
    /// How long it has still to wait. The first call begins the wait.
    pub fn wait(&self, uid: &str) -> Duration {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *paces.entry(uid.to_owned()).or_insert_with(Instant::now);
        PACE.saturating_sub(since.elapsed())
    }

    /// Ends a wait: it was said, or it is no longer so, or the unit is gone.
    pub fn end(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}
