//! Drops what is remembered of a unit once it is gone, and hands its key on.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use kube::{
    ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher::Event,
    },
};

use crate::{api::ComputingUnit, context::Context};

/// Follows the watch of the units of one scope.
#[derive(Default)]
pub struct Leavers {
    /// UIDs that a restarted watch has listed so far.
    listed: Mutex<BTreeSet<String>>,
}

impl Leavers {
    /// To be told of each event before the cache is.
    pub fn saw(&self, context: &Context, units: &Store<ComputingUnit>, event: &Event<ComputingUnit>) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = |unit: &ComputingUnit| unit.uid().unwrap_or_default();
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(unit) => {
                listed.insert(uid(unit));
            }
            Event::InitDone => {
                let alive = std::mem::take(&mut *listed);
                let before = units.state();
                before.iter().filter(|unit| !alive.contains(&uid(unit))).for_each(|unit| forget(context, unit));
            }
            Event::Apply(_) => {}
            Event::Delete(unit) => forget(context, unit),
        }
    }
}

fn forget(context: &Context, unit: &ComputingUnit) {
    let uid = &unit.uid().unwrap_or_default();
    // One of the same name may have taken its place; its delays then begin anew.
    context.backoff.succeeded(&ObjectRef::from_obj(unit));
    context.prober.forget(uid);
    context.obstacles.forget(uid);
    context.paces.end(uid);
    context.activity.forget(uid);
    for next in context.turns.leave(uid) {
        context.waker.wake(next);
    }
    if let Some(next) = context.claims.release(uid) {
        context.waker.wake(next);
    }
}
