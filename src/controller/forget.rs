//! Drops what is remembered of a unit once it is gone, and hands its key on.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use kube::{
    ResourceExt,
    runtime::{reflector::Store, watcher::Event},
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
                before
                    .iter()
                    .map(|unit| uid(unit))
                    .filter(|uid| !alive.contains(uid))
                    .for_each(|uid| forget(context, &uid));
            }
            Event::Apply(_) => {}
            Event::Delete(unit) => forget(context, &uid(unit)),
        }
    }
}

fn forget(context: &Context, uid: &str) {
    context.prober.forget(uid);
    context.obstacles.forget(uid);
    context.paces.end(uid);
    context.activity.forget(uid);
    if let Some(next) = context.claims.release(uid) {
        context.waker.wake(next);
    }
}
