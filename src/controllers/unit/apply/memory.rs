//! Steps on the operator's own memory.

use std::sync::Arc;

use computing_unit_api::{ComputingUnit, OperatingMode};
use kube::ResourceExt;

use super::Target;
use crate::{controllers::unit::blocked::Write, routing::keys::RoutingKey};

impl Target<'_> {
    pub(super) fn request_key(&self, key: &RoutingKey) {
        self.context.keys.request(&self.snapshot.unit, key);
    }

    pub(super) fn release_keys(&self, kept: Option<&RoutingKey>) {
        for next in self.context.keys.release(&self.uid, kept) {
            self.context.waker.wake(next);
        }
    }

    pub(super) fn request_slot(&self) {
        let unit = &self.snapshot.unit;
        let pool = (unit.namespace(), &unit.spec.pool_name);
        let running = |other: &Arc<ComputingUnit>| other.spec.operating_mode == OperatingMode::Running;
        let of_pool = |other: &Arc<ComputingUnit>| (other.namespace(), &other.spec.pool_name) == pool;
        let count = self.context.caches.units().filter(running).filter(of_pool).count();
        self.context.rollouts.request(unit, count);
    }

    /// Forgets what the API server said about the previous pod.
    pub(super) fn forget_attempts(&self) {
        self.context.blocked.clear(&self.uid, Write::Resize);
        self.context.blocked.clear(&self.uid, Write::DryRun);
        self.context.dry_runs.forget(&self.uid);
    }

    pub(super) fn release_slot(&self) {
        for next in self.context.rollouts.release(&self.uid) {
            self.context.waker.wake(next);
        }
    }
}
