//! What the operator wrote and its watches have not told it yet. Without it, a reconcile that comes before the echo of
//! a write would do the write again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::{Resource, ResourceExt, runtime::watcher::Event};
use tokio::time::Instant;

use crate::{api::ComputingUnit, gateway::HTTPRoute};

/// For how long a write is believed although no watch has told of it.
pub const BELIEVED: Duration = Duration::from_secs(10);

/// The newest answer to a write, by object.
pub struct Written<K>(Mutex<State<K>>);

struct State<K> {
    entries: HashMap<(String, String), Entry<K>>,
    /// UIDs whose end a watch has told of, perhaps before the answer to a write came.
    ended: HashMap<String, Instant>,
}

impl<K> State<K> {
    /// Forgets what is not believed any more; the time.
    fn tidied(&mut self) -> Instant {
        let now = Instant::now();
        self.entries.retain(|_, entry| now.duration_since(entry.at) < BELIEVED);
        self.ended.retain(|_, at| now.duration_since(*at) < BELIEVED);
        now
    }
}

struct Entry<K> {
    object: Arc<K>,
    at: Instant,
}

impl<K> Default for Written<K> {
    fn default() -> Self {
        Self(Mutex::new(State { entries: HashMap::new(), ended: HashMap::new() }))
    }
}

impl<K: Resource> Written<K> {
    /// Remembers what the API server answered to a write.
    pub fn put(&self, object: Arc<K>) {
        let mut state = self.lock();
        let now = state.tidied();
        if object.uid().is_none_or(|uid| !state.ended.contains_key(&uid)) {
            state.entries.insert(key(object.as_ref()), Entry { object, at: now });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets an object that the API server says is not there.
    pub fn gone(&self, namespace: &str, name: &str) {
        self.lock().entries.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Forgets what a watch has caught up with.
    pub fn saw(&self, event: &Event<K>) {
        let (object, deleted) = match event {
            Event::Apply(object) | Event::InitApply(object) => (object, false),
            Event::Delete(object) => (object, true),
            Event::Init | Event::InitDone => return,
        };
        let mut state = self.lock();
        if let Some(uid) = object.uid().filter(|_| deleted) {
            let now = state.tidied();
            state.ended.insert(uid, now);
        }
        let (entries, key) = (&mut state.entries, key(object));
        if entries.get(&key).is_some_and(|entry| deleted || version(object) >= version(entry.object.as_ref())) {
            entries.remove(&key);
        }
    }

    /// The newer of what a cache has and what was written. True where it is the latter.
    pub fn newest(&self, namespace: &str, name: &str, cached: Option<Arc<K>>) -> (Option<Arc<K>>, bool) {
        match self.lock().entries.get(&(namespace.to_owned(), name.to_owned())) {
            Some(entry)
                if entry.at.elapsed() < BELIEVED
                    && cached
                        .as_ref()
                        .is_none_or(|cached| version(cached.as_ref()) < version(entry.object.as_ref())) =>
            {
                (Some(entry.object.clone()), true)
            }
            _ => (cached, false),
        }
    }
}

fn key<K: Resource>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Kubernetes lets resource versions of one resource be compared as numbers.
fn version<K: Resource>(object: &K) -> Option<u128> {
    object.meta().resource_version.as_deref()?.parse().ok()
}

/// One for each kind that reconciles write.
#[derive(Default)]
pub struct AllWritten {
    /// Units: finalizers and status.
    pub units: Written<ComputingUnit>,
    /// Pods.
    pub pods: Written<Pod>,
    /// Services.
    pub services: Written<Service>,
    /// Routes.
    pub routes: Written<HTTPRoute>,
    /// Volumes.
    pub claims: Written<PersistentVolumeClaim>,
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

    fn seen(written: &Written<ComputingUnit>, cached: Option<&str>) -> Option<String> {
        written.newest("units", "ada", cached.map(unit)).0.and_then(|unit| unit.resource_version())
    }

    #[test]
    fn a_write_counts_until_the_watch_has_caught_up() {
        let written = Written::default();
        written.put(unit("10"));
        assert_eq!(seen(&written, None).as_deref(), Some("10"));
        assert_eq!(seen(&written, Some("9")).as_deref(), Some("10"), "compared as numbers");
        assert_eq!(seen(&written, Some("11")).as_deref(), Some("11"));
        written.saw(&Event::Apply(unit("9").as_ref().clone()));
        assert_eq!(seen(&written, None).as_deref(), Some("10"), "an older echo");
        written.saw(&Event::Apply(unit("10").as_ref().clone()));
        assert_eq!(seen(&written, None), None);
    }

    #[test]
    fn a_deletion_ends_belief() {
        let written = Written::default();
        written.put(unit("10"));
        written.saw(&Event::Delete(unit("8").as_ref().clone()));
        assert_eq!(seen(&written, None), None);
    }

    #[test]
    fn an_answer_that_comes_after_the_end_is_not_believed() {
        let written = Written::default();
        written.saw(&Event::Delete(unit("12").as_ref().clone()));
        written.put(unit("11"));
        assert_eq!(seen(&written, None), None);
        let mut other = unit("13").as_ref().clone();
        other.metadata.uid = Some("another".to_owned());
        written.put(Arc::new(other));
        assert_eq!(seen(&written, None).as_deref(), Some("13"), "another of that name");
    }

    #[tokio::test(start_paused = true)]
    async fn belief_does_not_last() {
        let written = Written::default();
        written.put(unit("10"));
        tokio::time::advance(BELIEVED).await;
        assert_eq!(seen(&written, None), None);
    }
}
