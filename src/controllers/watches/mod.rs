//! The watches of the operator: which objects, which fields are cached, and which units a change affects.

pub mod affected;
mod deletions;
pub mod sync;

use std::{fmt::Debug, sync::Arc};

use computing_unit_api::{ComputingUnit, names};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{NamespaceResourceScope, error_boundary::InvalidObject},
    runtime::reflector::store::{Writer, store},
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use self::deletions::DeletionTracker;
use crate::{
    controllers::unit::context::UnitContext,
    k8s::{
        finalizer,
        overlay::{Overlay, Overlays},
        prune,
        subscribe::{Watch, Watched, in_scope},
        writers::{GatewayWriters, ScopeWriters, Writers},
    },
    metrics::Resource as Label,
    probe::Stores,
};

/// Starts every watch.
pub fn start(client: &Client, context: &Arc<UnitContext>, writers: Writers, tasks: &mut JoinSet<()>) -> Watched {
    let mut start = Start { client, context, tasks, watched: vec![] };
    for scope in writers.scopes {
        start.scope(scope);
    }
    for gateways in writers.gateways {
        start.gateways(gateways);
    }
    let caches = context.caches.clone();
    start.start(
        Watch::new(Label::GatewayClasses, Api::all(client.clone()), writers.classes)
            .changes(move |before, after| affected::class(&caches, before, after)),
    );
    start.watched
}

struct Start<'a> {
    client: &'a Client,
    context: &'a Arc<UnitContext>,
    tasks: &'a mut JoinSet<()>,
    watched: Watched,
}

impl Start<'_> {
    fn start<K>(&mut self, watch: Watch<K>)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let client = self.client.clone();
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
            Watch::new(Label::ComputingUnitPools, in_scope(self.client, namespace), scope.pools)
                .changes(move |before, after| affected::pool(&caches, before, after)),
        );
        let pods = self.children(Label::Pods, namespace, scope.pods, |overlays| &overlays.pods);
        self.start(pods.prune(prune::pod));
        let services = self.children(Label::Services, namespace, scope.services, |overlays| &overlays.services);
        self.start(services.prune(prune::service));
        self.start(self.children(Label::HttpRoutes, namespace, scope.routes, |overlays| &overlays.routes));
        let claims = self.children(Label::PersistentVolumeClaims, namespace, scope.pvcs, |overlays| &overlays.pvcs);
        self.start(claims.prune(prune::claim).concerns(|_, claim| affected::labelled(claim)));
        self.start(
            Watch::new(Label::HttpRoutes, in_scope(self.client, namespace), scope.activator_routes)
                .labelled(&names::activators_selector()),
        );
        // Nothing reads this store, but the watch needs one to detect objects that a new list lacks.
        let (_, writer) = store();
        let endpoints = scope.endpoints;
        self.start(
            Watch::new(Label::EndpointSlices, in_scope::<EndpointSlice>(self.client, namespace), writer)
                .labelled(&names::children_selector())
                .heard(move |event| endpoints.observe_event(event))
                .prune(prune::slice)
                .concerns(|_, slice| affected::slice(slice)),
        );
    }

    fn units(&self, namespace: Option<&str>, writer: Writer<ComputingUnit>) -> Watch<ComputingUnit> {
        let (context, overlays) = (self.context.clone(), self.context.overlays.clone());
        let (deletions, store) = (DeletionTracker::default(), writer.as_reader());
        // Changes of status and labels do not trigger a reconcile.
        let inputs = |unit: &ComputingUnit| (unit.uid(), unit.metadata.generation, unit.metadata.finalizers.clone());
        Watch::new(Label::ComputingUnits, in_scope(self.client, namespace), writer)
            .heard(move |event| deletions.before_store(&context, &store, event))
            .kept(move |event| overlays.units.observe_event(event))
            .concerns(move |before, unit| {
                let changed = before.is_none_or(|before| inputs(before) != inputs(unit));
                if changed { vec![unit.into()] } else { vec![] }
            })
    }

    fn children<K>(
        &self,
        label: Label,
        namespace: Option<&str>,
        writer: Writer<K>,
        overlay: fn(&Overlays) -> &Overlay<K>,
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
        let overlays = self.context.overlays.clone();
        Watch::new(label, in_scope(self.client, namespace), writer)
            .labelled(&names::children_selector())
            .kept(move |event| overlay(&overlays).observe_event(event))
            .concerns(|_, child| affected::namesake(child))
    }

    fn gateways(&mut self, writers: GatewayWriters) {
        let GatewayWriters { namespace, gateways, progress, proxies } = writers;
        let (client, namespace) = (self.client.clone(), namespace.as_deref());
        let caches = self.context.caches.clone();
        self.start(
            Watch::new(Label::Gateways, in_scope(&client, namespace), gateways)
                .changes(move |before, after| affected::gateway(&caches, before, after))
                .progress(progress),
        );
        // Probes look the proxies up each time: their changes affect no unit.
        self.start(
            Watch::new(Label::EndpointSlices, in_scope(&client, namespace), proxies).labelled(Stores::selector()),
        );
    }
}

/// Reports an object that cannot be deserialized. A unit that is being deleted loses its finalizer, which no reconcile
/// could remove.
fn unreadable(label: Label, invalid: &InvalidObject, client: &Client) {
    let (namespace, name) = (invalid.metadata.namespace.as_deref(), invalid.metadata.name.as_deref());
    tracing::warn!(
        resource = label.as_str(), namespace, name, error = %invalid.error,
        "cannot deserialize an object, leaving it alone: correct it, or check that the CRDs are those of this release"
    );
    if label == Label::ComputingUnits && invalid.metadata.deletion_timestamp.is_some() {
        let (client, metadata) = (client.clone(), invalid.metadata.clone());
        tokio::spawn(async move {
            if let Err(error) = finalizer::remove_from_unreadable(&client, metadata).await {
                tracing::warn!(%error, "cannot remove the finalizer of a unit that cannot be deserialized");
            }
        });
    }
}
