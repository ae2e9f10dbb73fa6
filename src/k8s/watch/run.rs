//! Runs a watch: retries, stores events and wakes units.

use std::{collections::HashSet, fmt::Debug, sync::Arc, time::Duration};

use futures::StreamExt;
use kube::{
    Resource,
    core::{DeserializeGuard, error_boundary::InvalidObject},
    runtime::{
        reflector::ObjectRef,
        watcher::{self, Event},
    },
};
use tokio::time::{Instant, sleep_until, timeout};

use super::{AffectedUnits, Callback, Wake, Watch, Watchable};
use crate::k8s::{affected::Affected, backoff::Backoff, cache::Cached, error::not_found, progress::Progress};

/// Delay after the first failure of a watch.
pub(super) const FIRST_RETRY: Duration = Duration::from_millis(800);
/// Longest delay after failures of a watch.
pub(super) const LAST_RETRY: Duration = Duration::from_secs(30);

/// Why a watch is restarted.
#[derive(Debug)]
pub(super) enum Failure {
    /// The API server does not serve the resource. Reported once, until the API server serves it.
    NotServed,
    Other(watcher::Error),
}

/// A change of the health of a watch.
#[derive(Debug)]
pub(super) enum Health {
    Failed {
        failure: Failure,
        /// Whether it was healthy before.
        first: bool,
    },
    Recovered,
}

/// A watch that was accepted sends nothing until an object changes. It has recovered if it has not failed for that long.
const QUIET: Duration = Duration::from_secs(10);

impl<K> Watch<K>
where
    K: Watchable,
{
    /// Runs until dropped.
    pub(super) async fn run(self, wake: Wake, report: Callback<Health>) {
        let backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
        let Self { api, config, cache, before_store, after_store, prune, affected_units, on_invalid, progress, .. } =
            self;
        let mut listed = HashSet::new();
        let (mut failing, mut listing) = (false, false);
        let mut events = std::pin::pin!(watcher::watcher(api, config));
        loop {
            let event = if failing && !listing { timeout(QUIET, events.next()).await } else { Ok(events.next().await) };
            let Ok(event) = event else {
                failing = false;
                report(&Health::Recovered);
                continue;
            };
            let Some(event) = event else { return };
            let event = match event {
                Ok(event) => {
                    let (event, invalid) = deserialized(&cache, event);
                    invalid.iter().for_each(&on_invalid);
                    let Some(event) = event else { continue };
                    event
                }
                Err(error) => {
                    let first = !std::mem::replace(&mut failing, true);
                    if !not_served(&error) {
                        report(&Health::Failed { failure: Failure::Other(error), first });
                    } else if progress.send_replace(Progress::NotServed) != Progress::NotServed {
                        report(&Health::Failed { failure: Failure::NotServed, first });
                        wake(affected_by_all(&cache, &affected_units));
                    }
                    sleep_until(Instant::now() + backoff.failed(())).await;
                    continue;
                }
            };
            // The backoff of the library restarts with each attempt to list, however often that fails.
            if !matches!(event, Event::Init | Event::InitApply(_)) {
                backoff.succeeded(&());
                if std::mem::take(&mut failing) {
                    report(&Health::Recovered);
                }
            }
            listing = matches!(event, Event::Init) || (listing && !matches!(event, Event::InitDone));
            before_store(&event);
            let event = event.modify(prune);
            let affected = affected_units(cached(&cache, &event).as_deref(), &event);
            if matches!(event, Event::Init) {
                // Any cached object may be missing from the new list.
                listed = affected_by_all(&cache, &affected_units);
            }
            cache.apply(&event);
            after_store(&event);
            match event {
                Event::Init => {}
                Event::InitApply(_) => listed.extend(affected),
                Event::InitDone => {
                    progress.send_replace(Progress::Synced);
                    wake(std::mem::take(&mut listed));
                }
                Event::Apply(_) | Event::Delete(_) => wake(affected.into_iter().collect()),
            }
        }
    }
}

/// What would be affected if every cached object were deleted.
fn affected_by_all<K>(cache: &Cached<K>, affected_units: &AffectedUnits<K>) -> HashSet<Affected>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    cache.all().iter().flat_map(|object| affected_units(None, &Event::Delete(object.as_ref().clone()))).collect()
}

/// The event, and the object of it that cannot be deserialized. The cached version replaces such an object in a new list
/// and in its deletion; a change of it is skipped.
fn deserialized<K>(cache: &Cached<K>, event: Event<DeserializeGuard<K>>) -> (Option<Event<K>>, Option<InvalidObject>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let known = |invalid: &InvalidObject| {
        let (name, namespace) = (invalid.metadata.name.as_deref(), invalid.metadata.namespace.as_deref());
        let known = ObjectRef::new(name.unwrap_or_default());
        let known = namespace.into_iter().fold(known, ObjectRef::within);
        cache.get_ref(&known).map(|object| object.as_ref().clone())
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

fn cached<K>(cache: &Cached<K>, event: &Event<K>) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    match event {
        Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => {
            cache.get_ref(&ObjectRef::from_obj(object))
        }
        Event::Init | Event::InitDone => None,
    }
}

/// Whether the API server does not serve the resource.
fn not_served(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => matches!(error, kube::Error::Api(status) if not_found(status)),
        watcher::Error::WatchError(status) => not_found(status),
        watcher::Error::NoResourceVersion => false,
    }
}
