//! What the reconcile of a unit uses.

use std::{collections::HashMap, sync::Arc, time::Duration};

use computing_unit_api::ComputingUnit;
use kube::{
    ResourceExt,
    runtime::{events::Recorder, reflector::ObjectRef},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    admissions::Admissions, blocked::BlockedWrites, dry_runs::PassedDryRuns, pod_events::PodEventsMemory,
    rollout::Rollouts,
};
use crate::{
    controllers::{gateway_binding::parent_gateway, idle},
    k8s::{backoff::Backoff, caches::Caches, overlay::Overlays, waker::Waker, writer::Writer},
    metrics::Metrics,
    probe::Prober,
    routing::{keys::KeyIndex, overlap_index::OverlapIndex},
};

/// For how long the progress of a start may be held back, so that a quick start costs two status writes.
pub const STATUS_DELAY: Duration = Duration::from_secs(10);

/// Shared by the reconciles of all units.
pub struct UnitContext {
    pub writer: Writer,
    pub caches: Arc<Caches>,
    pub overlays: Arc<Overlays>,
    pub keys: KeyIndex,
    /// Which pools overlap which.
    pub overlaps: Arc<OverlapIndex>,
    pub blocked: BlockedWrites,
    pub admissions: Admissions,
    pub dry_runs: PassedDryRuns,
    pub pod_events: PodEventsMemory,
    pub rollouts: Rollouts,
    pub prober: Prober,
    /// Wakes other units.
    pub waker: Waker,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
    /// What the idle controller knows.
    pub activity: Arc<idle::Table>,
    /// Retry delays of failed reconciles.
    pub backoff: Backoff<ObjectRef<ComputingUnit>>,
    pub held_statuses: HeldStatuses,
    /// How often a unit is reconciled without an event.
    pub resync: Duration,
}

impl UnitContext {
    /// Whether everything is listed that a reconcile of the unit depends on: its namespace, and that of its Gateway.
    pub fn synced(&self, unit: &ComputingUnit) -> bool {
        let namespace = unit.metadata.namespace.as_deref().unwrap_or_default();
        let pool = self.caches.pool_of(unit);
        let scope = self.caches.scope(namespace);
        let route = scope.and_then(|scope| scope.routes.get(namespace, &unit.name_any()));
        let gateways = pool.map(|pool| pool.spec.gateway_ref.clone());
        let mut gateways = gateways.into_iter().chain(route.and_then(|route| parent_gateway(&route)));
        self.caches.synced(namespace) && gateways.all(|gateway| self.caches.gateways_synced(&gateway.namespace))
    }

    /// Whether a unit still exists, as far as the cache knows.
    pub fn exists(&self, unit: &ComputingUnit) -> bool {
        let namespace = unit.namespace().unwrap_or_default();
        let cached = self.caches.scope(&namespace).and_then(|scope| scope.units.get(&namespace, &unit.name_any()));
        cached.is_some_and(|cached| cached.uid() == unit.uid())
    }

    /// Discards everything that is remembered of a deleted unit, and wakes the units that waited for it.
    pub fn forget(&self, unit: &ComputingUnit, uid: &str) {
        // A unit of the same name starts with a fresh backoff.
        self.backoff.succeeded(&ObjectRef::from_obj(unit));
        self.prober.stop(uid);
        self.blocked.forget(uid);
        self.admissions.forget(uid);
        self.dry_runs.forget(uid);
        self.pod_events.forget(uid);
        self.held_statuses.release(uid);
        self.activity.forget(uid);
        let next = self.rollouts.release(uid).into_iter().chain(self.keys.release(uid, None));
        next.for_each(|unit| self.waker.wake(unit));
    }
}

/// Since when a change of status has been held back, by UID of the unit.
#[derive(Default)]
pub struct HeldStatuses(Mutex<HashMap<String, Instant>>);

impl HeldStatuses {
    pub fn hold(&self, uid: &str) {
        self.0.lock().entry(uid.to_owned()).or_insert_with(Instant::now);
    }

    pub fn held(&self, uid: &str) -> Option<Duration> {
        self.0.lock().get(uid).map(Instant::elapsed)
    }

    pub fn release(&self, uid: &str) {
        self.0.lock().remove(uid);
    }
}
