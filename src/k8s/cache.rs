//! The cache of one kind: a store to read from, and the writer that the watch of the kind fills it with.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use kube::runtime::{
    reflector::{
        Lookup, ObjectRef, Store,
        store::{Writer, store},
    },
    watcher::Event,
};
use parking_lot::Mutex;

/// The objects of one kind, as their watch last reported them. Clones share the objects.
pub struct Cached<K>
where
    K: Lookup<DynamicType = ()> + Clone + 'static,
{
    store: Store<K>,
    writer: Arc<Mutex<Writer<K>>>,
    revision: Arc<AtomicU64>,
}

impl<K> Cached<K>
where
    K: Lookup<DynamicType = ()> + Clone + 'static,
{
    /// For reading alone.
    pub fn store(&self) -> Store<K> {
        self.store.clone()
    }

    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.get_ref(&ObjectRef::new(name).within(namespace))
    }

    pub fn get_ref(&self, object: &ObjectRef<K>) -> Option<Arc<K>> {
        self.store.get(object)
    }

    /// Every object.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// Applies an event of the watch. The objects of a new list replace the old ones when the list is complete.
    pub fn apply(&self, event: &Event<K>) {
        self.writer.lock().apply_watcher_event(event);
        self.revision.fetch_add(1, Ordering::Release);
    }

    /// Increases after every change. What is derived from the objects is outdated if the revision was read before them and
    /// differs now.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }
}

#[cfg(test)]
impl<K> Cached<K>
where
    K: Lookup<DynamicType = ()> + Clone + 'static,
{
    /// Replaces all objects.
    pub fn fill(&self, objects: impl IntoIterator<Item = K>) {
        self.apply(&Event::Init);
        objects.into_iter().for_each(|object| self.apply(&Event::InitApply(object)));
        self.apply(&Event::InitDone);
    }
}

impl<K> Clone for Cached<K>
where
    K: Lookup<DynamicType = ()> + Clone + 'static,
{
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), writer: self.writer.clone(), revision: self.revision.clone() }
    }
}

impl<K> Default for Cached<K>
where
    K: Lookup<DynamicType = ()> + Clone + 'static,
{
    fn default() -> Self {
        let (store, writer) = store();
        Self { store, writer: Arc::new(Mutex::new(writer)), revision: Arc::default() }
    }
}
