//! A watch fills one cache and wakes the units that a change affects.
//!
//! Every watch has a task and a backoff of its own, so that one that fails does not delay the others. Which watches there
//! are, and which units a change affects, is decided by those who start them.

mod reporter;
mod run;

use std::{collections::HashSet, fmt::Debug};

use kube::{
    Api, Client, Resource,
    core::{DeserializeGuard, NamespaceResourceScope, error_boundary::InvalidObject},
    runtime::watcher::{self, Event},
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, task::JoinSet};

pub use self::reporter::WatchReporter;
use super::{
    affected::Affected,
    cache::Cached,
    progress::{Progress, Started},
    prune,
    scope::in_scope,
};
use crate::metrics::Resource as Label;

/// Objects in a page of a list. An object can have hundreds of kilobytes, and a page is held in memory before it is pruned.
const PAGE_SIZE: u32 = 100;

/// Called for each `T`.
type Callback<T> = Box<dyn Fn(&T) + Send>;

/// What an event affects. It gets the cached object, then the event.
type AffectedUnits<K> = Box<dyn Fn(Option<&K>, &Event<K>) -> Vec<Affected> + Send>;

/// Wakes the units that changes affect.
pub type Wake = Box<dyn Fn(HashSet<Affected>) + Send>;

/// A kind that can be watched.
pub trait Watchable: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static {}

impl<K> Watchable for K where K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static {}

/// A watch that has not started.
#[must_use]
pub struct Watch<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    label: Label,
    /// `None` for all namespaces, and for kinds that are not namespaced.
    namespace: Option<String>,
    /// The guard keeps an object that cannot be deserialized from failing the list or the watch.
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    cache: Cached<K>,
    before_store: Callback<Event<K>>,
    after_store: Callback<Event<K>>,
    prune: fn(&mut K),
    affected_units: AffectedUnits<K>,
    on_invalid: Callback<InvalidObject>,
    progress: watch::Sender<Progress>,
}

impl<K> Watch<K>
where
    K: Watchable,
{
    /// A watch of every object in `api`. Its changes affect no unit.
    pub fn new(label: Label, api: Api<DeserializeGuard<K>>, cache: &Cached<K>) -> Self {
        Self {
            label,
            namespace: None,
            api,
            config: watcher::Config::default().page_size(PAGE_SIZE),
            cache: cache.clone(),
            before_store: Box::new(|_| ()),
            after_store: Box::new(|_| ()),
            prune: prune::managed_fields,
            affected_units: Box::new(|_, _| Vec::new()),
            on_invalid: Box::new(|_| ()),
            progress: watch::Sender::default(),
        }
    }

    /// A watch of the objects of one namespace, or of all.
    pub fn in_scope(label: Label, client: &Client, namespace: Option<&str>, cache: &Cached<K>) -> Self
    where
        K: Resource<Scope = NamespaceResourceScope>,
    {
        Self { namespace: namespace.map(str::to_owned), ..Self::new(label, in_scope(client, namespace), cache) }
    }

    /// Restricts the watch to objects with matching labels.
    pub fn labelled(mut self, selector: &str) -> Self {
        self.config = self.config.labels(selector);
        self
    }

    /// Called for each event before it is stored. The object is not pruned yet.
    pub fn before_store(self, callback: impl Fn(&Event<K>) + Send + 'static) -> Self {
        Self { before_store: Box::new(callback), ..self }
    }

    /// Called for each event after it was stored.
    pub fn after_store(self, callback: impl Fn(&Event<K>) + Send + 'static) -> Self {
        Self { after_store: Box::new(callback), ..self }
    }

    /// Removes fields that are never read before an object is stored.
    pub fn prune(self, prune: fn(&mut K)) -> Self {
        Self { prune, ..self }
    }

    /// Wakes units for every event of an object. `units` gets the cached object, then the object of the event.
    pub fn affected_units(self, units: impl Fn(Option<&K>, &K) -> Vec<Affected> + Send + 'static) -> Self {
        let affected = move |before: Option<&K>, event: &Event<K>| match event {
            Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => units(before, object),
            Event::Init | Event::InitDone => Vec::new(),
        };
        Self { affected_units: Box::new(affected), ..self }
    }

    /// Wakes units for a change of an object. `units` gets the object before the change, then the object after it; `None`
    /// if it did not exist.
    pub fn affected_units_of_change(
        self,
        units: impl Fn(Option<&K>, Option<&K>) -> Vec<Affected> + Send + 'static,
    ) -> Self {
        let affected = move |before: Option<&K>, event: &Event<K>| match event {
            Event::Apply(after) | Event::InitApply(after) => units(before, Some(after)),
            Event::Delete(last) => units(Some(before.unwrap_or(last)), None),
            Event::Init | Event::InitDone => Vec::new(),
        };
        Self { affected_units: Box::new(affected), ..self }
    }

    /// Reports the progress to `progress`.
    pub fn progress(self, progress: watch::Sender<Progress>) -> Self {
        Self { progress, ..self }
    }

    /// Called for each object that cannot be deserialized. The cache keeps the last version that could.
    pub fn on_invalid(self, callback: impl Fn(Label, &InvalidObject) + Send + 'static) -> Self {
        let label = self.label;
        Self { on_invalid: Box::new(move |invalid| callback(label, invalid)), ..self }
    }

    /// Starts the watch. `wake` is called with what its events affect.
    pub fn start(self, wake: Wake, reporter: &WatchReporter, tasks: &mut JoinSet<()>) -> Started {
        let (progress, resource) = (self.progress.subscribe(), self.label.as_str());
        let report = reporter.of(self.label, self.namespace.clone());
        tasks.spawn(self.run(wake, report));
        Started { resource, progress }
    }
}

#[cfg(test)]
mod tests;
