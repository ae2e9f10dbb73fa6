//! Detects deleted units, and discards the state that the operator keeps of them.

use std::{collections::BTreeSet, sync::Arc};

use computing_unit_api::ComputingUnit;
use kube::{ResourceExt, runtime::watcher::Event};
use parking_lot::Mutex;

use crate::{controllers::unit::context::UnitContext, k8s::cache::Cached};

/// Tracks the units of one scope.
#[derive(Default)]
pub struct DeletionTracker(Mutex<State>);

#[derive(Default)]
struct State {
    /// UIDs that a restarted watch has listed so far.
    listed: BTreeSet<String>,
    /// Units that an event deletes.
    deleted: Vec<Arc<ComputingUnit>>,
}

impl DeletionTracker {
    /// Notes the units that an event deletes, before it reaches the cache.
    pub fn before_store(&self, units: &Cached<ComputingUnit>, event: &Event<ComputingUnit>) {
        let mut state = self.0.lock();
        match event {
            Event::Init => state.listed.clear(),
            Event::InitApply(unit) => {
                state.listed.insert(uid(unit));
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut state.listed);
                state.deleted = units.all().into_iter().filter(|unit| !listed.contains(&uid(unit))).collect();
            }
            Event::Apply(_) => {}
            Event::Delete(unit) => state.deleted.push(Arc::new(unit.clone())),
        }
    }

    /// Discards the state of deleted units, once the cache does not have them any more: a reconcile that runs meanwhile
    /// discards what it has recorded when it ends.
    pub fn after_store(&self, context: &UnitContext) {
        let deleted = std::mem::take(&mut self.0.lock().deleted);
        for unit in &deleted {
            context.forget(unit, &uid(unit));
        }
    }
}

fn uid(unit: &ComputingUnit) -> String {
    unit.uid().unwrap_or_default()
}
