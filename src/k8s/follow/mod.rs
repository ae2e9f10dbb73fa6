//! Keeps one cache up to date by one watch, and wakes the units that its changes concern.
//!
//! Every watch has a task and a backoff of its own, so that one that fails holds up no other.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::StreamExt;
use kube::{
    Api, Resource,
    core::{DeserializeGuard, error_boundary::InvalidObject},
    runtime::{
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::waker::{Units, Waker};
use crate::k8s::{backoff::Backoff, error::not_found};

/// Delay after the first failure of a watch.
const FIRST_RETRY: Duration = Duration::from_millis(800);
/// Longest delay after failures of a watch.
const LAST_RETRY: Duration = Duration::from_secs(30);

/// How far a watch has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// It has not listed its objects yet.
    #[default]
    Waiting,
    /// It has listed its objects at least once.
    Synced,
    /// The API server does not have the resource. It is asked for again until it does.
    Missing,
}

/// Why a watch is started again.
#[derive(Debug)]
pub enum Failure {
    /// The API server has turned out not to have the resource. Told once, until it has it.
    Missing,
    /// Anything else.
    Failed(watcher::Error),
}

/// Somebody who is told of each `T`.
pub type Told<T> = Box<dyn Fn(&T) + Send>;

/// Which units a change concerns: it is given the cached object, then the event.
pub type Concerns<K> = Box<dyn Fn(Option<&K>, &Event<K>) -> Units + Send>;

/// One watch.
pub struct Follow<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    /// What to watch. The guard keeps an object that cannot be read from stopping the rest.
    pub api: Api<DeserializeGuard<K>>,
    /// Which of them.
    pub config: watcher::Config,
    /// The cache to fill.
    pub writer: Writer<K>,
    /// Told of each event before the cache is, while the object is still whole.
    pub heard: Told<Event<K>>,
    /// Told of each event once the cache has it.
    pub kept: Told<Event<K>>,
    /// What to leave out of the cache.
    pub prune: fn(&mut K),
    /// Which units a change concerns.
    pub concerns: Concerns<K>,
    /// Who wakes them.
    pub waker: Waker,
    /// Where progress is told.
    pub progress: watch::Sender<Progress>,
    /// Told of each failure.
    pub failed: Told<Failure>,
    /// Told of each object that cannot be read. The cache keeps what it had of it.
    pub unreadable: Told<InvalidObject>,
}

impl<K> Follow<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    /// Follows until dropped.
    pub async fn run(self) {
        let backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
        let Self { api, config, mut writer, heard, kept, prune, concerns, waker, progress, failed, unreadable } = self;
        let store = writer.as_reader();
        let mut listed = Units::new();
        let mut events = std::pin::pin!(watcher::watcher(api, config));
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => {
                    let (event, invalid) = readable(&store, event);
                    invalid.iter().for_each(&unreadable);
                    let Some(event) = event else { continue };
                    event
                }
                Err(error) => {
                    if !missing(&error) {
                        failed(&Failure::Failed(error));
                    } else if progress.send_replace(Progress::Missing) != Progress::Missing {
                        failed(&Failure::Missing);
                        for unit in everybody(&store, &concerns) {
                            waker.wake(unit);
                        }
                    }
                    sleep_until(Instant::now() + backoff.failed(())).await;
                    continue;
                }
            };
            // The library's own backoff starts anew with each try to list, however often that fails.
            if !matches!(event, Event::Init | Event::InitApply(_)) {
                backoff.succeeded(&());
            }
            heard(&event);
            let event = event.modify(prune);
            let units = concerns(cached(&store, &event).as_deref(), &event);
            if matches!(event, Event::Init) {
                // Whatever was there may be gone from the new list.
                listed = everybody(&store, &concerns);
            }
            writer.apply_watcher_event(&event);
            kept(&event);
            match event {
                Event::Init => {}
                Event::InitApply(_) => listed.extend(units),
                Event::InitDone => {
                    progress.send_replace(Progress::Synced);
                    for unit in std::mem::take(&mut listed) {
                        waker.wake(unit);
                    }
                }
                Event::Apply(_) | Event::Delete(_) => units.into_iter().for_each(|unit| waker.wake(unit)),
            }
        }
    }
}

/// The units that are concerned by anything in the cache.
fn everybody<K>(store: &Store<K>, concerns: &Concerns<K>) -> Units
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.state().iter().flat_map(|old| concerns(None, &Event::Delete(old.as_ref().clone()))).collect()
}

/// The event as far as it can be read, and the object that cannot be. What is in the cache stands for that one in a new
/// list and at its end; a mere change of it is left out.
fn readable<K>(store: &Store<K>, event: Event<DeserializeGuard<K>>) -> (Option<Event<K>>, Option<InvalidObject>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let known = |invalid: &InvalidObject| {
        let (name, namespace) = (invalid.metadata.name.as_deref(), invalid.metadata.namespace.as_deref());
        let known = ObjectRef::new(name.unwrap_or_default());
        let known = namespace.into_iter().fold(known, ObjectRef::within);
        store.get(&known).map(|object| object.as_ref().clone())
    };
    match event {
        Event::Init => (Some(Event::Init), None),
        Event::InitDone => (Some(Event::InitDone), None),
        Event::Apply(DeserializeGuard(Ok(object))) => (Some(Event::Apply(object)), None),
        Event::InitApply(DeserializeGuard(Ok(object))) => (Some(Event::InitApply(object)), None),
        Event::Delete(DeserializeGuard(Ok(object))) => (Some(Event::Delete(object)), None),
        Event::Apply(DeserializeGuard(Err(invalid))) => (None, Some(invalid)),
        Event::InitApply(DeserializeGuard(Err(invalid))) => (known(&invalid).map(Event::InitApply), Some(invalid)),
        Event::Delete(DeserializeGuard(Err(invalid))) => match known(&invalid) {
            Some(object) => (Some(Event::Delete(object)), None),
            None => (None, Some(invalid)),
        },
    }
}

fn cached<K>(store: &Store<K>, event: &Event<K>) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    match event {
        Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => {
            store.get(&ObjectRef::from_obj(object))
        }
        Event::Init | Event::InitDone => None,
    }
}

/// Whether the API server says that it does not have the resource at all.
fn missing(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => matches!(error, kube::Error::Api(status) if not_found(status)),
        watcher::Error::WatchError(status) => not_found(status),
        watcher::Error::NoResourceVersion => false,
    }
}

#[cfg(test)]
mod tests;
