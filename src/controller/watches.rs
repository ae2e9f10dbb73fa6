//! The watches of the operator: which objects, what is kept of them, and which units their changes concern.

use std::{fmt::Debug, sync::Arc};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{NamespaceResourceScope, error_boundary::InvalidObject},
    runtime::reflector::store::{Writer, store},
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::forget::Leavers;
use crate::{
    api::ComputingUnit,
    caches::{
        affected, prune,
        subscribe::{Watch, Watched, in_scope},
        writers::{GatewayWriters, ScopeWriters, Writers},
        written::{AllWritten, Written},
    },
    context::Context,
    metrics::Resource as Label,
    names,
    probe::Stores,
    release,
};

/// Starts every watch.
pub fn follow(context: &Arc<Context>, writers: Writers, tasks: &mut JoinSet<()>) -> Watched {
    let mut start = Start { context, tasks, watched: vec![] };
    for scope in writers.scopes {
        start.scope(scope);
    }
    for gateways in writers.gateways {
        start.gateways(gateways);
    }
    let caches = context.caches.clone();
    start.start(
        Watch::new(Label::GatewayClasses, Api::all(context.client.clone()), writers.classes)
            .changes(move |before, after| affected::class(&caches, before, after)),
    );
    start.watched
}

struct Start<'a> {
    context: &'a Arc<Context>,
    tasks: &'a mut JoinSet<()>,
    watched: Watched,
}

impl Start<'_> {
    fn start<K>(&mut self, watch: Watch<K>)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let client = self.context.client.clone();
        watch.unreadable(move |label, invalid| unreadable(label, invalid, &client)).start(
            self.context.waker.clone(),
            &self.context.metrics,
            self.tasks,
            &mut self.watched,
        );
    }

    fn scope(&mut self, scope: ScopeWriters) {
        let namespace = scope.namespace.as_deref();
        self.start(self.units(namespace, scope.units));
        let caches = self.context.caches.clone();
        self.start(
            Watch::new(Label::ComputingUnitPools, in_scope(&self.context.client, namespace), scope.pools)
                .changes(move |before, after| affected::pool(&caches, before, after)),
        );
        let pods = self.children(Label::Pods, namespace, scope.pods, |written| &written.pods);
        self.start(pods.prune(prune::pod));
        let services = self.children(Label::Services, namespace, scope.services, |written| &written.services);
        self.start(services.prune(prune::service));
        self.start(self.children(Label::HttpRoutes, namespace, scope.routes, |written| &written.routes));
        let claims = self.children(Label::PersistentVolumeClaims, namespace, scope.claims, |written| &written.claims);
        self.start(claims.prune(prune::claim).concerns(|_, claim| affected::labelled(claim)));
        self.start(
            Watch::new(Label::HttpRoutes, in_scope(&self.context.client, namespace), scope.entries)
                .labelled(&names::entries_selector()),
        );
        // Nobody reads this cache, but the watch needs one to know what a new list leaves out.
        let (_, writer) = store();
        let endpoints = scope.endpoints;
        self.start(
            Watch::new(Label::EndpointSlices, in_scope::<EndpointSlice>(&self.context.client, namespace), writer)
                .labelled(&names::children_selector())
                .heard(move |event| endpoints.saw(event))
                .prune(prune::slice)
                .concerns(|_, slice| affected::slice(slice)),
        );
    }

    fn units(&self, namespace: Option<&str>, writer: Writer<ComputingUnit>) -> Watch<ComputingUnit> {
        let (context, written) = (self.context.clone(), self.context.written.clone());
        let (leavers, store) = (Leavers::default(), writer.as_reader());
        // Status and labels of a unit are no news to a reconcile.
        let told = |unit: &ComputingUnit| (unit.uid(), unit.metadata.generation, unit.metadata.finalizers.clone());
        Watch::new(Label::ComputingUnits, in_scope(&self.context.client, namespace), writer)
            .heard(move |event| leavers.saw(&context, &store, event))
            .kept(move |event| written.units.saw(event))
            .concerns(move |before, unit| {
                let changed = before.is_none_or(|before| told(before) != told(unit));
                if changed { vec![unit.into()] } else { vec![] }
            })
    }

    fn children<K>(
        &self,
        label: Label,
        namespace: Option<&str>,
        writer: Writer<K>,
        ours: fn(&AllWritten) -> &Written<K>,
    ) -> Watch<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let written = self.context.written.clone();
        Watch::new(label, in_scope(&self.context.client, namespace), writer)
            .labelled(&names::children_selector())
            .kept(move |event| ours(&written).saw(event))
            .concerns(|_, child| affected::namesake(child))
    }

    fn gateways(&mut self, writers: GatewayWriters) {
        let GatewayWriters { namespace, gateways, progress, proxies } = writers;
        let (client, namespace) = (self.context.client.clone(), namespace.as_deref());
        let caches = self.context.caches.clone();
        self.start(
            Watch::new(Label::Gateways, in_scope(&client, namespace), gateways)
                .changes(move |before, after| affected::gateway(&caches, before, after))
                .progress(progress),
        );
        // Whoever asks the proxies looks them up each time: no change of theirs concerns a unit.
        self.start(
            Watch::new(Label::EndpointSlices, in_scope(&client, namespace), proxies).labelled(Stores::selector()),
        );
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
