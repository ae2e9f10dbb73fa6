//! Limits how many units of a pool are replaced at once, like a Deployment's `maxUnavailable`.
//!
//! A slot is released when its unit is Ready again. A unit that fails keeps it, so that a change that breaks units stops
//! after the first few. Slots are lost with the process: a unit whose status records a slot gets it back at startup.

use std::collections::{BTreeMap, HashMap, HashSet};

use computing_unit_api::ComputingUnit;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use parking_lot::Mutex;

/// One in this many running units of a pool is replaced at once, and at least one.
const MAX_UNAVAILABLE_DIVISOR: usize = 10;

/// A unit's slot in the rollout of its pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slot {
    /// The unit has not requested a slot.
    #[default]
    NotRequested,
    /// The unit waits for a slot. `free` is whether there is one by now.
    Queued { free: bool },
    /// The unit holds a slot.
    Granted,
}

/// A pool: namespace and name.
type Pool = (String, String);

/// The slots of all pools.
#[derive(Debug, Default)]
pub struct Rollouts(Mutex<HashMap<Pool, Queue>>);

/// Units are identified by UID.
#[derive(Debug, Default)]
struct Queue {
    limit: usize,
    granted: HashSet<String>,
    queued: BTreeMap<String, ObjectRef<ComputingUnit>>,
}

impl Queue {
    fn free(&self) -> usize {
        self.limit.saturating_sub(self.granted.len())
    }
}

impl Rollouts {
    /// Requests a slot for a unit whose pool has that many running units. A queued unit is woken when a slot is
    /// [released](Self::release).
    pub fn request(&self, unit: &ComputingUnit, running: usize) -> Slot {
        let uid = unit.uid().unwrap_or_default();
        let mut pools = self.0.lock();
        let queue = pools.entry(pool(unit)).or_default();
        queue.limit = (running / MAX_UNAVAILABLE_DIVISOR).max(1);
        if queue.free() == 0 && !queue.granted.contains(&uid) {
            queue.queued.insert(uid, ObjectRef::from_obj(unit));
            return Slot::Queued { free: false };
        }
        queue.queued.remove(&uid);
        queue.granted.insert(uid);
        Slot::Granted
    }

    /// Grants a slot to a unit that is being replaced already.
    pub fn restore(&self, unit: &ComputingUnit) {
        self.0.lock().entry(pool(unit)).or_default().granted.insert(unit.uid().unwrap_or_default());
    }

    /// The slot of a unit.
    pub fn slot(&self, unit: &ComputingUnit) -> Slot {
        let uid = unit.uid().unwrap_or_default();
        let pools = self.0.lock();
        match pools.get(&pool(unit)) {
            Some(queue) if queue.granted.contains(&uid) => Slot::Granted,
            Some(queue) if queue.queued.contains_key(&uid) => Slot::Queued { free: queue.free() > 0 },
            _ => Slot::NotRequested,
        }
    }

    /// Releases the slot of a unit, or removes it from the queue. Returns the units that can have a slot now.
    #[must_use]
    pub fn release(&self, uid: &str) -> Vec<ObjectRef<ComputingUnit>> {
        let mut next = vec![];
        self.0.lock().retain(|_, queue| {
            let released = queue.granted.remove(uid) | queue.queued.remove(uid).is_some();
            if released {
                next.extend(queue.queued.values().take(queue.free()).cloned());
            }
            !(queue.granted.is_empty() && queue.queued.is_empty())
        });
        next
    }
}

fn pool(unit: &ComputingUnit) -> Pool {
    (unit.namespace().unwrap_or_default(), unit.spec.pool_name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn unit(name: &str) -> ComputingUnit {
        testing::unit(name, None, "2026-01-01T00:00:00Z")
    }

    fn granted(rollouts: &Rollouts, name: &str, running: usize) -> bool {
        rollouts.request(&unit(name), running) == Slot::Granted
    }

    fn names(units: Vec<ObjectRef<ComputingUnit>>) -> Vec<String> {
        units.into_iter().map(|unit| unit.name).collect()
    }

    #[test]
    fn a_tenth_of_the_running_units_and_at_least_one_get_a_slot() {
        for (running, at_once) in [(1, 1), (9, 1), (19, 1), (20, 2), (1000, 100)] {
            let rollouts = Rollouts::default();
            let count = (0..running).filter(|number| granted(&rollouts, &format!("u{number}"), running)).count();
            assert_eq!(count, at_once, "of {running}");
        }
    }

    #[test]
    fn queued_units_are_returned_when_a_slot_is_released() {
        let rollouts = Rollouts::default();
        assert!(granted(&rollouts, "a", 3) && granted(&rollouts, "a", 3), "a slot is kept");
        assert!(!granted(&rollouts, "b", 3) && !granted(&rollouts, "c", 3));
        assert_eq!(rollouts.slot(&unit("b")), Slot::Queued { free: false });
        let mut other = unit("d");
        other.spec.pool_name = "other".into();
        assert_eq!(rollouts.request(&other, 3), Slot::Granted, "pools are independent");
        assert_eq!(names(rollouts.release("unknown")), [""; 0]);
        assert_eq!(names(rollouts.release("a-uid")), ["b"]);
        assert_eq!(rollouts.slot(&unit("b")), Slot::Queued { free: true });
        // Deleted before it got a slot.
        assert_eq!(names(rollouts.release("b-uid")), ["c"]);
        assert!(granted(&rollouts, "c", 3) && rollouts.slot(&unit("c")) == Slot::Granted);
        assert_eq!(names(rollouts.release("c-uid")), [""; 0]);
        assert!(rollouts.release("d-uid").is_empty() && rollouts.0.lock().is_empty(), "nothing is kept");
    }

    #[test]
    fn restored_slots_count() {
        let rollouts = Rollouts::default();
        rollouts.restore(&unit("a"));
        assert!(!granted(&rollouts, "b", 3));
        assert_eq!(names(rollouts.release("a-uid")), ["b"]);
    }
}
