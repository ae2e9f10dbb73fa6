//! One watch as it is put together: what to watch, whom to tell, and what is said where it fails.

use std::{fmt::Debug, sync::Arc};

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

use super::sync::Watched;
use crate::{
    caches::{
        affected::Units,
        follow::{Concerns, Failure, Follow, Progress, Told},
        prune,
    },
    context::Context,
    metrics::Resource as Label,
    release,
};

/// A watch that has not begun.
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

    /// Starts it.
    pub fn start(self, context: &Arc<Context>, tasks: &mut JoinSet<()>, watched: &mut Watched) {
        let Self { label, api, writer, config, heard, kept, prune, concerns, progress } = self;
        watched.push(progress.subscribe());
        let (metrics, client) = (context.metrics.clone(), context.client.clone());
        let failed = Box::new(move |failure: &Failure| {
            metrics.watch_failed(label);
            tell(label, failure);
        });
        let unreadable = Box::new(move |invalid: &InvalidObject| unreadable(label, invalid, &client));
        let waker = context.waker.clone();
        let follow = Follow { api, config, writer, heard, kept, prune, concerns, waker, progress, failed, unreadable };
        tasks.spawn(follow.run());
    }
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

/// Tells of an object that cannot be read, and lets a unit go that could not be let go otherwise.
fn unreadable(label: Label, invalid: &InvalidObject, client: &Client) {
    let (namespace, name) = (invalid.metadata.namespace.as_deref(), invalid.metadata.name.as_deref());
    tracing::warn!(
        resource = label.as_str(), namespace, name, error = %invalid.error,
        "an object cannot be read and is left alone: correct it, or see that the CRDs are those of this release"
    );
    if label == Label::ComputingUnits && invalid.metadata.deletion_timestamp.is_some() {
        let (client, metadata) = (client.clone(), invalid.metadata.clone());
        tokio::spawn(async move {
            if let Err(error) = release::unreadable(&client, metadata).await {
                tracing::warn!(%error, "cannot let go of a unit that cannot be read");
            }
        });
    }
}
