//! Whose pod may be made anew now for a change: of the units of one pool a few at a time, the others wait for their turn.
//!
//! It decides nothing but turns. One ends when its unit has started again, or will not, so that a change by which units no
//! longer start stops after the first few. What is known here is lost with the process: whoever was being replaced then
//! says so in its status, and is entered again.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use kube::{ResourceExt, runtime::reflector::ObjectRef};

use crate::api::ComputingUnit;

/// One of this many units may be on its way from one pod to another; of fewer, a single one.
const ONE_OF: usize = 10;

/// Whether a unit's pod may be made anew now, as far as the other units of its pool are concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// Others come first.
    #[default]
    Later,
    /// It may.
    Now,
}

/// A pool: namespace and name.
type Pool = (String, String);

/// The turns of all pools.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<Pool, Queue>>);

#[derive(Debug, Default)]
struct Queue {
    most: usize,
    /// By UID, as those that wait.
    taken: HashSet<String>,
    waiting: BTreeMap<String, ObjectRef<ComputingUnit>>,
}

impl Turns {
    /// Whether it is the turn of `unit`, whose pool has so many `units`. Where it is not, the unit is to be woken when
    /// somebody else [leaves](Self::leave).
    pub fn ask(&self, unit: &ComputingUnit, units: usize) -> Turn {
        let uid = unit.uid().unwrap_or_default();
        let mut pools = self.pools();
        let queue = pools.entry(pool(unit)).or_default();
        queue.most = (units / ONE_OF).max(1);
        if queue.taken.len() >= queue.most && !queue.taken.contains(&uid) {
            queue.waiting.insert(uid, ObjectRef::from_obj(unit));
            return Turn::Later;
        }
        queue.waiting.remove(&uid);
        queue.taken.insert(uid);
        Turn::Now
    }

    /// Enters a unit that is being replaced already.
    pub fn enter(&self, unit: &ComputingUnit) {
        self.pools().entry(pool(unit)).or_default().taken.insert(unit.uid().unwrap_or_default());
    }

    /// Whether it is the turn of that unit, or it waits for it.
    #[must_use]
    pub fn concern(&self, unit: &ComputingUnit) -> bool {
        let uid = unit.uid().unwrap_or_default();
        let known = |queue: &Queue| queue.taken.contains(&uid) || queue.waiting.contains_key(&uid);
        self.pools().get(&pool(unit)).is_some_and(known)
    }

    /// The unit has had its turn, or needs none any more. Those whose turn it may be now.
    #[must_use]
    pub fn leave(&self, uid: &str) -> Vec<ObjectRef<ComputingUnit>> {
        let mut next = vec![];
        self.pools().retain(|_, queue| {
            let left = queue.taken.remove(uid) | queue.waiting.remove(uid).is_some();
            let room = queue.most.saturating_sub(queue.taken.len());
            if left {
                next.extend(queue.waiting.values().take(room).cloned());
            }
            !(queue.taken.is_empty() && queue.waiting.is_empty())
        });
        next
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<Pool, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn may(turns: &Turns, name: &str, units: usize) -> bool {
        turns.ask(&unit(name), units) == Turn::Now
    }

    fn names(units: Vec<ObjectRef<ComputingUnit>>) -> Vec<String> {
        units.into_iter().map(|unit| unit.name).collect()
    }

    #[test]
    fn a_tenth_of_a_pool_at_a_time_and_never_none() {
        for (units, at_once) in [(1, 1), (9, 1), (19, 1), (20, 2), (1000, 100)] {
            let turns = Turns::default();
            let granted = (0..units).filter(|number| may(&turns, &format!("u{number}"), units)).count();
            assert_eq!(granted, at_once, "of {units}");
        }
    }

    #[test]
    fn whoever_waits_is_woken_when_there_is_room() {
        let turns = Turns::default();
        assert!(may(&turns, "a", 3) && may(&turns, "a", 3), "it stays its turn");
        assert!(!may(&turns, "b", 3) && !may(&turns, "c", 3));
        let mut other = unit("d");
        other.spec.pool_name = "other".into();
        assert_eq!(turns.ask(&other, 3), Turn::Now, "pools do not wait for each other");
        assert_eq!(names(turns.leave("nobody")), [""; 0]);
        assert_eq!(names(turns.leave("a-uid")), ["b"]);
        // It was deleted before it came to that.
        assert_eq!(names(turns.leave("b-uid")), ["c"]);
        assert!(may(&turns, "c", 3) && turns.concern(&unit("c")));
        assert_eq!(names(turns.leave("c-uid")), [""; 0]);
        assert!(turns.leave("d-uid").is_empty() && turns.pools().is_empty(), "nothing is kept");
    }

    #[test]
    fn those_that_were_under_way_count() {
        let turns = Turns::default();
        turns.enter(&unit("a"));
        assert!(!may(&turns, "b", 3));
        assert_eq!(names(turns.leave("a-uid")), ["b"]);
    }
}
