//! Read-your-writes overlay: responses to requests that the watch cache has not caught up with. Without it, a reconcile
//! that runs before the watch event of a write would repeat the write.
//!
//! Of a response and a watch event, the one with the later resource version counts. A watch with a label selector reports
//! an object that no longer matches as deleted, in the version of the edit, so a read of that version or a later one shows
//! that the object exists.

use std::{collections::HashMap, sync::Arc, time::Duration};

use computing_unit_api::{ComputingUnit, gateway::HTTPRoute};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::{Resource, ResourceExt, runtime::watcher::Event};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// For how long the response to a write is used without a watch event.
pub const OVERLAY_TTL: Duration = Duration::from_secs(10);

/// The latest response to a write or a read, by object.
pub struct Overlay<K>(Mutex<State<K>>);

struct State<K> {
    entries: HashMap<(String, String), Entry<K>>,
    /// Deleted objects by UID. The watch event of a deletion may come before the response to a write, and after a
    /// response that reports the object as missing.
    deleted: HashMap<String, Deletion>,
}

/// The deletion of an object, as a watch or a response reported it.
#[derive(Clone, Copy)]
struct Deletion {
    at: Instant,
    /// The version of the watch event. `None` if a response reported the object as missing, which is final.
    version: Option<u128>,
}

impl Deletion {
    /// Whether the object in that version is out of date.
    fn outranks(self, version: Option<u128>) -> bool {
        self.at.elapsed() < OVERLAY_TTL && self.version.is_none_or(|deleted| version < Some(deleted))
    }
}

impl<K> State<K> {
    /// Discards expired entries. Returns the time.
    fn expire(&mut self) -> Instant {
        let now = Instant::now();
        self.entries.retain(|_, entry| now.duration_since(entry.at) < OVERLAY_TTL);
        self.deleted.retain(|_, deletion| now.duration_since(deletion.at) < OVERLAY_TTL);
        now
    }
}

impl<K: Resource> State<K> {
    /// Whether the object is known to be deleted since.
    fn deleted(&self, object: &K) -> bool {
        let deletion = object.meta().uid.as_ref().and_then(|uid| self.deleted.get(uid));
        deletion.is_some_and(|deletion| deletion.outranks(version(object)))
    }

    fn insert(&mut self, object: Arc<K>, at: Instant) {
        self.entries.insert(key(object.as_ref()), Entry { object, at });
    }
}

struct Entry<K> {
    object: Arc<K>,
    at: Instant,
}

impl<K> Default for Overlay<K> {
    fn default() -> Self {
        Self(Mutex::new(State { entries: HashMap::new(), deleted: HashMap::new() }))
    }
}

impl<K: Resource> Overlay<K> {
    /// Records the response to a write, or to a read.
    pub fn put(&self, object: Arc<K>) {
        let mut state = self.lock();
        let now = state.expire();
        if !state.deleted(&object) {
            state.insert(object, now);
        }
    }

    /// Records that the API server has accepted the deletion of `object`, and what it is `now`, whose version may be an
    /// estimate.
    pub fn deleting(&self, object: &K, now: Arc<K>) {
        let mut state = self.lock();
        let at = state.expire();
        if state.deleted(object) {
            state.entries.remove(&key(object));
        } else {
            state.insert(now, at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.0.lock()
    }

    /// Records that the API server reports an object as missing: a cache that still has it is behind.
    pub fn gone(&self, object: &K) {
        let mut state = self.lock();
        let now = state.expire();
        if let Some(uid) = object.uid() {
            state.entries.retain(|_, entry| entry.object.uid().as_ref() != Some(&uid));
            state.deleted.insert(uid, Deletion { at: now, version: None });
        }
    }

    /// Discards what the watch has caught up with.
    pub fn observe_event(&self, event: &Event<K>) {
        let (object, deleted) = match event {
            Event::Apply(object) | Event::InitApply(object) => (object, false),
            Event::Delete(object) => (object, true),
            Event::Init | Event::InitDone => return,
        };
        let mut state = self.lock();
        let key = key(object);
        let recorded = state.entries.get(&key);
        let recorded_version = recorded.and_then(|entry| version(entry.object.as_ref()));
        let caught_up = version(object) > recorded_version || (!deleted && version(object) == recorded_version);
        // An object whose deletion was accepted before can only be gone.
        let was_deleting = |object: &K| object.meta().deletion_timestamp.is_some();
        let same = recorded.filter(|entry| entry.object.meta().uid == object.meta().uid);
        let gone = deleted && (was_deleting(object) || same.is_some_and(|entry| was_deleting(entry.object.as_ref())));
        if caught_up || gone {
            state.entries.remove(&key);
        }
        if let Some(uid) = object.uid().filter(|_| deleted) {
            let at = state.expire();
            state.deleted.insert(uid, Deletion { at, version: version(object).filter(|_| !gone) });
        }
    }

    /// The newer of the cached object and the recorded one. True if the cache is behind.
    pub fn latest(&self, namespace: &str, name: &str, cached: Option<Arc<K>>) -> (Option<Arc<K>>, bool) {
        let state = self.lock();
        let stale = cached.as_ref().is_some_and(|object| state.deleted(object));
        let cached = cached.filter(|_| !stale);
        match state.entries.get(&(namespace.to_owned(), name.to_owned())) {
            Some(entry)
                if entry.at.elapsed() < OVERLAY_TTL
                    && cached
                        .as_ref()
                        .is_none_or(|cached| version(cached.as_ref()) < version(entry.object.as_ref())) =>
            {
                (Some(entry.object.clone()), true)
            }
            _ => (cached, stale),
        }
    }
}

fn key<K: Resource>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Resource versions of one resource can be compared as numbers.
fn version<K: Resource>(object: &K) -> Option<u128> {
    object.meta().resource_version.as_deref()?.parse().ok()
}

/// The overlays of the kinds that reconciles write.
#[derive(Default)]
pub struct Overlays {
    pub units: Overlay<ComputingUnit>,
    pub pods: Overlay<Pod>,
    pub services: Overlay<Service>,
    pub routes: Overlay<HTTPRoute>,
    pub pvcs: Overlay<PersistentVolumeClaim>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn unit(version: &str) -> Arc<ComputingUnit> {
        let mut unit = testing::unit("ada", None, "2026-01-01T00:00:00Z");
        unit.metadata.resource_version = Some(version.into());
        Arc::new(unit)
    }

    fn latest(overlay: &Overlay<ComputingUnit>, cached: Option<&str>) -> Option<String> {
        overlay.latest("units", "ada", cached.map(unit)).0.and_then(|unit| unit.resource_version())
    }

    #[test]
    fn recorded_write_is_used_until_the_watch_has_caught_up() {
        let overlay = Overlay::default();
        overlay.put(unit("10"));
        assert_eq!(latest(&overlay, None).as_deref(), Some("10"));
        assert_eq!(latest(&overlay, Some("9")).as_deref(), Some("10"), "compared as numbers");
        assert_eq!(latest(&overlay, Some("11")).as_deref(), Some("11"));
        overlay.observe_event(&Event::Apply(unit("9").as_ref().clone()));
        assert_eq!(latest(&overlay, None).as_deref(), Some("10"), "an older echo");
        overlay.observe_event(&Event::Apply(unit("10").as_ref().clone()));
        assert_eq!(latest(&overlay, None), None);
    }

    #[test]
    fn deletion_discards_a_recorded_write() {
        let overlay = Overlay::default();
        overlay.put(unit("10"));
        overlay.observe_event(&Event::Delete(unit("12").as_ref().clone()));
        assert_eq!(latest(&overlay, None), None);
    }

    #[test]
    fn later_read_overrides_the_deletion_that_a_watch_reported() {
        for first in ["the event", "the read"] {
            let overlay = Overlay::default();
            let event = Event::Delete(unit("12").as_ref().clone());
            if first == "the event" {
                overlay.observe_event(&event);
            }
            overlay.put(unit("12"));
            if first == "the read" {
                overlay.observe_event(&event);
            }
            assert_eq!(latest(&overlay, None).as_deref(), Some("12"), "{first} first");
            overlay.put(unit("13"));
            overlay.observe_event(&Event::Apply(unit("13").as_ref().clone()));
            assert_eq!(latest(&overlay, Some("13")).as_deref(), Some("13"), "it matches the selector again");
            assert_eq!(latest(&overlay, None), None);
        }
    }

    #[test]
    fn deletion_of_an_earlier_object_does_not_discard_its_successor() {
        let overlay = Overlay::default();
        let mut successor = unit("13").as_ref().clone();
        successor.metadata.uid = Some("another".to_owned());
        overlay.put(Arc::new(successor));
        overlay.observe_event(&Event::Delete(unit("12").as_ref().clone()));
        assert_eq!(latest(&overlay, None).as_deref(), Some("13"));
    }

    #[tokio::test(start_paused = true)]
    async fn accepted_deletion_is_final_whichever_of_event_and_response_is_first() {
        let mut going = unit("13").as_ref().clone();
        going.metadata.deletion_timestamp = Some(testing::time("2026-01-01T00:00:00Z"));
        let going = Arc::new(going);
        let overlay = Overlay::default();
        overlay.deleting(unit("12").as_ref(), going.clone());
        assert!(latest(&overlay, Some("12")).is_some_and(|version| version == "13"));
        overlay.observe_event(&Event::Delete(unit("13").as_ref().clone()));
        assert_eq!(latest(&overlay, Some("12")), None);

        let overlay = Overlay::default();
        overlay.observe_event(&Event::Delete(unit("13").as_ref().clone()));
        overlay.deleting(unit("12").as_ref(), going);
        assert_eq!(latest(&overlay, None), None);
    }

    #[test]
    fn response_after_the_deletion_is_ignored() {
        let overlay = Overlay::default();
        overlay.observe_event(&Event::Delete(unit("12").as_ref().clone()));
        overlay.put(unit("11"));
        assert_eq!(latest(&overlay, None), None);
        let mut other = unit("13").as_ref().clone();
        other.metadata.uid = Some("another".to_owned());
        overlay.put(Arc::new(other));
        assert_eq!(latest(&overlay, None).as_deref(), Some("13"), "another of that name");
    }

    #[tokio::test(start_paused = true)]
    async fn cached_object_is_ignored_once_it_is_reported_as_missing() {
        let overlay = Overlay::default();
        overlay.put(unit("10"));
        overlay.gone(unit("9").as_ref());
        assert_eq!(latest(&overlay, None), None);
        assert_eq!(latest(&overlay, Some("9")), None);
        tokio::time::advance(OVERLAY_TTL).await;
        assert_eq!(latest(&overlay, Some("9")).as_deref(), Some("9"));
    }

    #[tokio::test(start_paused = true)]
    async fn recorded_write_expires() {
        let overlay = Overlay::default();
        overlay.put(unit("10"));
        tokio::time::advance(OVERLAY_TTL).await;
        assert_eq!(latest(&overlay, None), None);
    }
}
