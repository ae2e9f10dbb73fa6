//! Starts a unit that a request asks for: one write, however many requests ask, tried again at a limited rate.
//!
//! It writes nothing but `spec.operatingMode`, and only to the very state of the unit that it has judged: a unit that was
//! changed meanwhile is judged anew.

use std::{collections::HashSet, sync::Arc, time::Duration};

use computing_unit_api::{ComputingUnit, names::FIELD_MANAGER};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use parking_lot::Mutex;
use serde_json::json;
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep_until, timeout},
};

use super::situation::{Situation, situation};
use crate::{
    k8s::{backoff::Backoff, error::not_found},
    metrics::{Metrics, Resource as Label, Verb, WakeOutcome},
};

/// How often one wake is tried.
const TRIES: usize = 5;
/// Delay after a first failure.
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// Longest delay after failures.
const LAST_RETRY: Duration = Duration::from_secs(10);
/// How many writes are under way at a time.
const WRITES: usize = 8;
/// For how long a start is taken for the one that a request has asked for.
const START: Duration = Duration::from_mins(10);

/// Starts units. Clones share what is under way.
#[derive(Clone)]
pub struct Wakes(Arc<Shared>);

struct Shared {
    client: Client,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    /// UIDs of the units whose start is under way.
    waking: Mutex<HashSet<String>>,
    backoff: Backoff<String>,
    writes: Semaphore,
}

impl Wakes {
    /// None under way.
    #[must_use]
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: None };
        Self(Arc::new(Shared {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            metrics,
            waking: Mutex::default(),
            backoff: Backoff::new(FIRST_RETRY, LAST_RETRY),
            writes: Semaphore::new(WRITES),
        }))
    }

    /// Whether a request has asked for the start of the unit `uid`, and that start is under way.
    #[must_use]
    pub fn under_way(&self, uid: &str) -> bool {
        self.0.waking.lock().contains(uid)
    }

    /// Starts a unit, unless its start is under way. Returns at once.
    pub fn wake(&self, mut unit: watch::Receiver<Arc<ComputingUnit>>) {
        let uid = unit.borrow().uid().unwrap_or_default();
        if !self.0.waking.lock().insert(uid.clone()) {
            return;
        }
        let shared = self.0.clone();
        tokio::spawn(async move {
            if shared.write_until_done(&uid, &mut unit).await {
                let starting =
                    |unit: &Arc<ComputingUnit>| matches!(situation(unit), Situation::Suspended | Situation::Starting);
                // A unit that is gone has ended its start too.
                let _ = timeout(START, unit.wait_for(|unit| !starting(unit))).await;
            }
            shared.waking.lock().remove(&uid);
        });
    }
}

impl Shared {
    /// Whether the unit is to run now.
    async fn write_until_done(&self, uid: &str, unit: &mut watch::Receiver<Arc<ComputingUnit>>) -> bool {
        for _ in 0..TRIES {
            let seen = unit.borrow_and_update().clone();
            if situation(&seen) != Situation::Suspended {
                self.backoff.succeeded(&uid.to_owned());
                return true;
            }
            let conflict = match self.write(&seen).await {
                Ok(()) => {
                    self.backoff.succeeded(&uid.to_owned());
                    return true;
                }
                Err(kube::Error::Api(status)) if not_found(&status) => {
                    self.backoff.succeeded(&uid.to_owned());
                    return false;
                }
                Err(kube::Error::Api(status)) if status.is_conflict() => true,
                Err(error) => {
                    tracing::warn!(unit = seen.name_any(), %error, "cannot start a unit that was asked for");
                    false
                }
            };
            // Not before the delay is over, were it the whole world that asks.
            let delay = sleep_until(Instant::now() + self.backoff.failed(uid.to_owned()));
            tokio::select! {
                () = delay => {}
                // After a conflict there is a newer state of the unit.
                Ok(()) = unit.changed(), if conflict => {}
            }
        }
        false
    }

    async fn write(&self, unit: &ComputingUnit) -> kube::Result<()> {
        // The semaphore is never closed.
        let _turn = self.writes.acquire().await;
        let patch = json!({
            "metadata": {"uid": unit.uid(), "resourceVersion": unit.resource_version()},
            "spec": {"operatingMode": "Running"},
        });
        let api: Api<ComputingUnit> = Api::namespaced(self.client.clone(), &unit.namespace().unwrap_or_default());
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let answer = api.patch(&unit.name_any(), &params, &Patch::Merge(patch)).await;
        self.metrics.wrote(Verb::Patch, Label::ComputingUnits, answer.is_ok());
        self.metrics.activator.woke(match &answer {
            Ok(_) => WakeOutcome::Success,
            Err(kube::Error::Api(status)) if status.is_conflict() => WakeOutcome::Conflict,
            Err(_) => WakeOutcome::Error,
        });
        answer?;
        self.tell(unit).await;
        Ok(())
    }

    /// An Event that cannot be written is no reason to do anything twice.
    async fn tell(&self, unit: &ComputingUnit) {
        let event = Event {
            type_: EventType::Normal,
            reason: "Woken".to_owned(),
            note: Some("started by a request at its address".to_owned()),
            action: "Wake".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &unit.object_ref(&())).await {
            tracing::debug!(unit = unit.name_any(), %error, "cannot write an Event");
        }
    }
}
