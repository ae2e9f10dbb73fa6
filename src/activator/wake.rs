//! Starts suspended units on request: one write per unit, whatever the number of requests. Failed writes are retried
//! with a backoff.
//!
//! It writes `spec.operatingMode` only, with the UID and the resource version of the unit that it evaluated. If the
//! unit has changed in the meantime, the write is a conflict, and the unit is evaluated again.

use std::{collections::HashSet, sync::Arc, time::Duration};

use computing_unit_api::{ComputingUnit, WakePolicy, names::FIELD_MANAGER};
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

use super::state::{State, state};
use crate::{
    k8s::{backoff::Backoff, error::not_found},
    metrics::{Metrics, Resource as Label, Verb, WakeOutcome},
};

/// How many attempts to start a unit one request causes.
const MAX_ATTEMPTS: usize = 5;
const MIN_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(10);
const MAX_CONCURRENT_WRITES: usize = 8;
/// For how long a start counts as triggered by a request.
const START_TIMEOUT: Duration = Duration::from_mins(10);

/// Starts suspended units.
#[derive(Clone)]
pub struct UnitWaker(Arc<Shared>);

struct Shared {
    client: Client,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    /// UIDs of the units that are being started.
    waking: Mutex<HashSet<String>>,
    backoff: Backoff<String>,
    writes: Semaphore,
}

impl UnitWaker {
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: None };
        Self(Arc::new(Shared {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            metrics,
            waking: Mutex::default(),
            backoff: Backoff::new(MIN_BACKOFF, MAX_BACKOFF),
            writes: Semaphore::new(MAX_CONCURRENT_WRITES),
        }))
    }

    /// Whether the unit `uid` is being started because of a request.
    pub fn waking(&self, uid: &str) -> bool {
        self.0.waking.lock().contains(uid)
    }

    /// Starts a unit in the background, unless it is being started already, or it changes in the meantime so that its
    /// pool's policy keeps it suspended.
    pub fn wake(&self, mut unit: watch::Receiver<Arc<ComputingUnit>>, policy: WakePolicy) {
        let uid = unit.borrow().uid().unwrap_or_default();
        if !self.0.waking.lock().insert(uid.clone()) {
            return;
        }
        let shared = self.0.clone();
        tokio::spawn(async move {
            if shared.write_with_retries(&uid, &mut unit, policy).await {
                let starting = |unit: &Arc<ComputingUnit>| matches!(state(unit), State::Suspended | State::Starting);
                // An error means that the unit was deleted.
                let _ = timeout(START_TIMEOUT, unit.wait_for(|unit| !starting(unit))).await;
            }
            shared.waking.lock().remove(&uid);
        });
    }
}

impl Shared {
    /// Returns whether `spec.operatingMode` is `Running`.
    async fn write_with_retries(
        &self,
        uid: &str,
        unit: &mut watch::Receiver<Arc<ComputingUnit>>,
        policy: WakePolicy,
    ) -> bool {
        for _ in 0..MAX_ATTEMPTS {
            let current = unit.borrow_and_update().clone();
            if state(&current) != State::Suspended {
                self.backoff.succeeded(&uid.to_owned());
                return true;
            }
            if policy.refusal(&current).is_some() {
                return false;
            }
            let conflict = match self.write(&current).await {
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
                    tracing::warn!(unit = current.name_any(), %error, "cannot start a unit on request");
                    false
                }
            };
            // Further requests do not shorten the delay.
            let delay = sleep_until(Instant::now() + self.backoff.failed(uid.to_owned()));
            tokio::select! {
                () = delay => {}
                // After a conflict, the watch delivers a newer version of the unit.
                Ok(()) = unit.changed(), if conflict => {}
            }
        }
        false
    }

    async fn write(&self, unit: &ComputingUnit) -> kube::Result<()> {
        // The semaphore is never closed.
        let _permit = self.writes.acquire().await;
        let patch = json!({
            "metadata": {"uid": unit.uid(), "resourceVersion": unit.resource_version()},
            "spec": {"operatingMode": "Running"},
        });
        let api: Api<ComputingUnit> = Api::namespaced(self.client.clone(), &unit.namespace().unwrap_or_default());
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let result = api.patch(&unit.name_any(), &params, &Patch::Merge(patch)).await;
        self.metrics.wrote(Verb::Patch, Label::ComputingUnits, result.is_ok());
        self.metrics.activator.woke(match &result {
            Ok(_) => WakeOutcome::Success,
            Err(kube::Error::Api(status)) if status.is_conflict() => WakeOutcome::Conflict,
            Err(_) => WakeOutcome::Error,
        });
        result?;
        self.publish_event(unit).await;
        Ok(())
    }

    /// A failure is only logged: the unit was started.
    async fn publish_event(&self, unit: &ComputingUnit) {
        let event = Event {
            type_: EventType::Normal,
            reason: "Woken".to_owned(),
            note: Some("started by a request for its URL".to_owned()),
            action: "Wake".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &unit.object_ref(&())).await {
            tracing::debug!(unit = unit.name_any(), %error, "cannot write an Event");
        }
    }
}
