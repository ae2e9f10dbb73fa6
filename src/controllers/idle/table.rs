//! What is known of the use of all units that are watched, by UID, for all who ask.

use std::collections::HashMap;

use computing_unit_api::Activity;
use parking_lot::{Mutex, MutexGuard};

use super::{
    clock::Now,
    readings::Readings,
    stopped::Idle,
    usage::{Entry, Verdict},
    watched::Watched,
};

/// The units.
#[derive(Debug, Default)]
pub struct Table(Mutex<HashMap<String, Entry>>);

impl Table {
    /// Whether there is a record of the unit.
    pub fn tracks(&self, uid: &str) -> bool {
        self.entries().contains_key(uid)
    }

    /// The activity to be published. `None` if nothing is known of the unit yet.
    pub fn published(&self, uid: &str) -> Option<Activity> {
        self.entries().get(uid)?.published().cloned()
    }

    /// Discards the record of a unit that is deleted or at rest.
    pub fn forget(&self, uid: &str) {
        self.entries().remove(uid);
    }

    /// Takes what the signals said of a unit.
    pub(super) fn take(&self, watched: &Watched, readings: &Readings, now: Now) -> Verdict {
        let mut entries = self.entries();
        let before = watched.unit.status.as_ref().and_then(|status| status.activity.as_ref());
        let fresh = || Entry::new(watched.pod.clone(), watched.started, before, &watched.terms, now);
        let entry = entries.entry(watched.uid.clone()).or_insert_with(fresh);
        if entry.pod != watched.pod {
            *entry = fresh();
        }
        entry.take(readings, &watched.terms, now)
    }

    /// How a unit is idle.
    pub(super) fn idle(&self, watched: &Watched) -> Option<Idle> {
        let entries = self.entries();
        let entry = entries.get(&watched.uid)?;
        Some(Idle { since: entry.idle_since(), at: entry.idle_at(&watched.terms), source: entry.source().to_owned() })
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock()
    }
}
