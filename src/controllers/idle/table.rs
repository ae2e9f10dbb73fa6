//! The activity records of all tracked units, by UID.

use std::collections::HashMap;

use computing_unit_api::Activity;
use parking_lot::{Mutex, MutexGuard};

use super::{
    idleness::{ActivityRecord, Decision, Idle},
    readings::Readings,
    tracked::TrackedUnit,
};
use crate::clock::Now;

#[derive(Debug, Default)]
pub struct Table(Mutex<HashMap<String, ActivityRecord>>);

impl Table {
    /// Whether there is a record of the unit.
    pub fn tracks(&self, uid: &str) -> bool {
        self.records().contains_key(uid)
    }

    /// The activity to be published. `None` without a record.
    pub fn published(&self, uid: &str) -> Option<Activity> {
        self.records().get(uid)?.published().cloned()
    }

    /// Discards the record of a unit that is deleted or has no pod.
    pub fn forget(&self, uid: &str) {
        self.records().remove(uid);
    }

    pub(super) fn record(&self, tracked: &TrackedUnit, readings: &Readings, now: Now) -> Decision {
        let mut records = self.records();
        let published = tracked.unit.status.as_ref().and_then(|status| status.activity.as_ref());
        let new = || ActivityRecord::new(tracked.pod.clone(), tracked.started, published, &tracked.policy, now);
        let record = records.entry(tracked.uid.clone()).or_insert_with(new);
        if record.pod() != tracked.pod {
            *record = new();
        }
        record.add(readings, &tracked.policy, now)
    }

    pub(super) fn idle(&self, tracked: &TrackedUnit) -> Option<Idle> {
        Some(self.records().get(&tracked.uid)?.idle(&tracked.policy))
    }

    fn records(&self) -> MutexGuard<'_, HashMap<String, ActivityRecord>> {
        self.0.lock()
    }
}
