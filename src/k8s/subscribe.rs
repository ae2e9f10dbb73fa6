//! One watch as it is put together: what to watch, whom to tell, and what is said where it fails.
//!
//! Which watches there are, and what their changes concern, is for those who start them.

use std::{fmt::Debug, future, sync::Arc};

use kube::{
    Api, Client, Resource,
    core::{DeserializeGuard, NamespaceResourceScope, error_boundary::InvalidObject},
    runtime::{
        reflector::store::Writer,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, task::JoinSet};

use super::{
    follow::{Concerns, Failure, Follow, Progress, Told},
    prune,
    waker::{Units, Waker},
};
use crate::metrics::{Metrics, Resource as Label};

/// How far each of several watches has come.
pub type Watched = Vec<watch::Receiver<Progress>>;

/// A watch that has not begun.
#[must_use]
pub struct Watch<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    label: Label,
    api: Api<DeserializeGuard<K>>,
    writer: Writer<K>,
    config: watcher::Config,
    heard: Told<Event<K>>,
    kept: Told<Event<K>>,
    prune: fn(&mut K),
    concerns: Concerns<K>,
    unreadable: Told<InvalidObject>,
    progress: watch::Sender<Progress>,
}

impl<K> Watch<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    /// A watch of every object, of which no change concerns a unit.
    pub fn new(label: Label, api: Api<DeserializeGuard<K>>, writer: Writer<K>) -> Self {
        Self {
            label,
            api,
            writer,
            config: watcher::Config::default(),
            heard: Box::new(|_| ()),
            kept: Box::new(|_| ()),
            prune: prune::managed_fields,
            concerns: Box::new(|_, _| Units::new()),
            unreadable: Box::new(|_| ()),
            progress: watch::Sender::default(),
        }
    }

    /// Of those alone that have the labels.
    pub fn labelled(mut self, selector: &str) -> Self {
        self.config = self.config.labels(selector);
        self
    }

    /// Tells of each event before the cache is told, while the object is whole.
    pub fn heard(mut self, heard: impl Fn(&Event<K>) + Send + 'static) -> Self {
        self.heard = Box::new(heard);
        self
    }

    /// Tells of each event once the cache has it.
    pub fn kept(mut self, kept: impl Fn(&Event<K>) + Send + 'static) -> Self {
        self.kept = Box::new(kept);
        self
    }

    /// Leaves out of the cache what nobody reads.
    pub fn prune(mut self, prune: fn(&mut K)) -> Self {
        self.prune = prune;
        self
    }

    /// Wakes the units that an object concerns, whatever happened to it.
    pub fn concerns(self, units: impl Fn(Option<&K>, &K) -> Units + Send + 'static) -> Self {
        let concerns = move |before: Option<&K>, event: &Event<K>| match event {
            Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => units(before, object),
            Event::Init | Event::InitDone => Units::new(),
        };
        Self { concerns: Box::new(concerns), ..self }
    }

    /// Wakes the units that the change from one state of an object to another concerns.
    pub fn changes(self, units: impl Fn(Option<&K>, Option<&K>) -> Units + Send + 'static) -> Self {
        let concerns = move |before: Option<&K>, event: &Event<K>| match event {
            Event::Apply(after) | Event::InitApply(after) => units(before, Some(after)),
            Event::Delete(last) => units(Some(before.unwrap_or(last)), None),
            Event::Init | Event::InitDone => Units::new(),
        };
        Self { concerns: Box::new(concerns), ..self }
    }

    /// Tells its progress to others as well.
    pub fn progress(self, progress: watch::Sender<Progress>) -> Self {
        Self { progress, ..self }
    }

    /// Tells of each object that cannot be read, and what its kind is called.
    pub fn unreadable(self, unreadable: impl Fn(Label, &InvalidObject) + Send + 'static) -> Self {
        let label = self.label;
        Self { unreadable: Box::new(move |invalid| unreadable(label, invalid)), ..self }
    }

    /// Starts it. `waker` wakes the units that its changes concern.
    pub fn start(self, waker: Waker, metrics: &Arc<Metrics>, tasks: &mut JoinSet<()>, watched: &mut Watched) {
        let Self { label, api, writer, config, heard, kept, prune, concerns, unreadable, progress } = self;
        watched.push(progress.subscribe());
        let metrics = metrics.clone();
        let failed = Box::new(move |failure: &Failure| {
            metrics.watch_failed(label);
            tell(label, failure);
        });
        let follow = Follow { api, config, writer, heard, kept, prune, concerns, waker, progress, failed, unreadable };
        tasks.spawn(follow.run());
    }
}

/// Waits until each watch has listed its objects, or has been told that there is no such resource. One that broke off
/// before that is waited for without end: nobody may act on what it would have told.
pub async fn listed(watched: Watched) {
    for mut progress in watched {
        if progress.wait_for(|progress| *progress != Progress::Waiting).await.is_err() {
            future::pending::<()>().await;
        }
    }
}

/// What to watch for these namespaces: each of them, or all together where none is named.
#[must_use]
pub fn scopes(namespaces: &[String]) -> Vec<Option<String>> {
    if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() }
}

/// Objects of one namespace, or of all.
#[must_use]
pub fn in_scope<K>(client: &Client, namespace: Option<&str>) -> Api<DeserializeGuard<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn tell(label: Label, failure: &Failure) {
    match failure {
        Failure::Missing => tracing::error!(
            resource = label.as_str(),
            "the API server does not have this resource; units wait until its CRD is installed (Gateway API for routes \
             and gateways, the operator's own for units and pools)"
        ),
        Failure::Failed(error) => {
            tracing::warn!(resource = label.as_str(), %error, "a watch failed and will be started again");
        }
    }
}
