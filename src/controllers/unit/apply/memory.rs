//! Steps on the operator's own memory.

use std::sync::Arc;

use computing_unit_api::{ComputingUnit, OperatingMode};
use kube::ResourceExt;

use super::Target;
use crate::routing::keys::RoutingKey;

impl Target<'_> {
    pub(super) fn reserve_key(&self, key: &RoutingKey) {
        if let Some(displaced) = self.context.keys.reserve(&self.snapshot.unit, key) {
            self.context.waker.wake(displaced);
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

    pub(super) fn release_slot(&self) {
        for next in self.context.rollouts.release(&self.uid) {
            self.context.waker.wake(next);
        }
    }
}
