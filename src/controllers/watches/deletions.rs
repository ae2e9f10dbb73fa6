//! Detects deleted units, and discards the state that the operator keeps of them.

use std::collections::BTreeSet;

use computing_unit_api::ComputingUnit;
use kube::{ResourceExt, runtime::watcher::Event};
use parking_lot::Mutex;

use crate::{controllers::unit::context::UnitContext, k8s::cache::Cached};

/// Tracks the units of one scope.
#[derive(Default)]
pub struct DeletionTracker {
    /// UIDs that a restarted watch has listed so far.
    listed: Mutex<BTreeSet<String>>,
}

impl DeletionTracker {
    /// Handles an event before it reaches the cache.
    pub fn before_store(&self, context: &UnitContext, units: &Cached<ComputingUnit>, event: &Event<ComputingUnit>) {
        let mut listed = self.listed.lock();
        let uid = |unit: &ComputingUnit| unit.uid().unwrap_or_default();
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(unit) => {
                listed.insert(uid(unit));
            }
            Event::InitDone => {
                let alive = std::mem::take(&mut *listed);
                let before = units.all();
                before
                    .iter()
                    .filter(|unit| !alive.contains(&uid(unit)))
                    .for_each(|unit| context.forget(unit, &uid(unit)));
            }
            Event::Apply(_) => {}
            Event::Delete(unit) => context.forget(unit, &uid(unit)),
        }
    }
}
