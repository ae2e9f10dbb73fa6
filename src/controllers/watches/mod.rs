//! The watches of the operator: which objects, which fields are cached, and which units a change affects.

pub mod affected;
mod deletions;
pub mod sync;

use std::sync::Arc;

use computing_unit_api::{ComputingUnit, names};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{NamespaceResourceScope, error_boundary::InvalidObject},
};
use tokio::task::JoinSet;

use self::deletions::DeletionTracker;
use crate::{
    controllers::unit::context::UnitContext,
    gateway::registry::PROVIDERS,
    k8s::{
        cache::Cached,
        caches::{GatewayScope, Scope},
        finalizer,
        overlay::{Overlay, Overlays},
        progress::ProgressReceiver,
        prune,
        scope::in_scope,
        watch::{Watch, Watchable},
    },
    metrics::Resource as Label,
};

/// Starts every watch.
pub fn start(client: &Client, context: &Arc<UnitContext>, tasks: &mut JoinSet<()>) -> Vec<ProgressReceiver> {
    let mut watches = Watches { client, context, tasks, started: vec![] };
    context.caches.scopes.iter().for_each(|scope| watches.scope(scope));
    context.caches.gateways.iter().for_each(|gateways| watches.gateways(gateways));
    let caches = context.caches.clone();
    watches.start(
        Watch::new(Label::GatewayClasses, Api::all(client.clone()), &context.caches.classes)
            .affected_units_of_change(move |before, after| affected::class(&caches, before, after)),
    );
    // Nothing waits for the labels: those that are not known are taken to match.
    let caches = context.caches.clone();
    let namespaces = Watch::new(Label::Namespaces, Api::all(client.clone()), &context.caches.namespaces)
        .prune(prune::namespace)
        .affected_units_of_change(move |before, after| affected::namespace(&caches, before, after));
    namespaces.start(context.waker.clone(), &context.metrics, watches.tasks);
    watches.started
}

struct Watches<'a> {
    client: &'a Client,
    context: &'a Arc<UnitContext>,
    tasks: &'a mut JoinSet<()>,
    started: Vec<ProgressReceiver>,
}

impl Watches<'_> {
    fn start<K>(&mut self, watch: Watch<K>)
    where
        K: Watchable,
    {
        let client = self.client.clone();
        let watch = watch.on_invalid(move |label, invalid| report_invalid(label, invalid, &client));
        self.started.push(watch.start(self.context.waker.clone(), &self.context.metrics, self.tasks));
    }

    fn scope(&mut self, scope: &Scope) {
        // Without `..`, so that a cache without a watch does not compile.
        let Scope { namespace, units, pools, pods, services, routes, pvcs, activator_routes, endpoints } = scope;
        let namespace = namespace.as_deref();
        self.start(self.units(namespace, units));
        let caches = self.context.caches.clone();
        self.start(
            Watch::new(Label::ComputingUnitPools, in_scope(self.client, namespace), pools)
                .affected_units_of_change(move |before, after| affected::pool(&caches, before, after)),
        );
        let pods = self.children(Label::Pods, namespace, pods, |overlays| &overlays.pods);
        self.start(pods.prune(prune::pod));
        let services = self.children(Label::Services, namespace, services, |overlays| &overlays.services);
        self.start(services.prune(prune::service));
        self.start(self.children(Label::HttpRoutes, namespace, routes, |overlays| &overlays.routes));
        let pvcs = self.children(Label::PersistentVolumeClaims, namespace, pvcs, |overlays| &overlays.pvcs);
        self.start(pvcs.prune(prune::pvc).affected_units(|_, pvc| affected::labelled(pvc)));
        self.start(
            Watch::new(Label::HttpRoutes, in_scope(self.client, namespace), activator_routes)
                .labelled(&names::activators_selector()),
        );
        // Nothing reads this cache, but the watch needs one to detect objects that a new list lacks.
        let slices = Cached::<EndpointSlice>::default();
        let endpoints = endpoints.clone();
        self.start(
            Watch::new(Label::EndpointSlices, in_scope(self.client, namespace), &slices)
                .labelled(&names::children_selector())
                .before_store(move |event| endpoints.observe_event(event))
                .prune(prune::slice)
                .affected_units(|_, slice| affected::slice(slice)),
        );
    }

    fn units(&self, namespace: Option<&str>, units: &Cached<ComputingUnit>) -> Watch<ComputingUnit> {
        let (context, overlays) = (self.context.clone(), self.context.overlays.clone());
        let (deletions, cached) = (Arc::new(DeletionTracker::default()), units.clone());
        let deleted = deletions.clone();
        // Changes of status and labels do not trigger a reconcile.
        let inputs = |unit: &ComputingUnit| (unit.uid(), unit.metadata.generation, unit.metadata.finalizers.clone());
        Watch::new(Label::ComputingUnits, in_scope(self.client, namespace), units)
            .before_store(move |event| deletions.before_store(&cached, event))
            .after_store(move |event| {
                overlays.units.observe_event(event);
                deleted.after_store(&context);
            })
            .affected_units(move |before, unit| {
                let changed = before.is_none_or(|before| inputs(before) != inputs(unit));
                if changed { vec![unit.into()] } else { vec![] }
            })
    }

    fn children<K>(
        &self,
        label: Label,
        namespace: Option<&str>,
        cache: &Cached<K>,
        overlay: fn(&Overlays) -> &Overlay<K>,
    ) -> Watch<K>
    where
        K: Watchable + Resource<Scope = NamespaceResourceScope>,
    {
        let overlays = self.context.overlays.clone();
        Watch::new(label, in_scope(self.client, namespace), cache)
            .labelled(&names::children_selector())
            .after_store(move |event| overlay(&overlays).observe_event(event))
            .affected_units(|_, child| affected::owner_and_namesake(child))
    }

    fn gateways(&mut self, scope: &GatewayScope) {
        let GatewayScope { namespace, gateways, progress, proxies } = scope;
        let namespace = namespace.as_deref();
        let caches = self.context.caches.clone();
        self.start(
            Watch::new(Label::Gateways, in_scope(self.client, namespace), gateways)
                .affected_units_of_change(move |before, after| affected::gateway(&caches, before, after))
                .progress(progress.clone()),
        );
        // Every probe resolves the proxies: their changes affect no unit.
        for (provider, proxies) in PROVIDERS.iter().zip(proxies) {
            self.start(
                Watch::new(Label::EndpointSlices, in_scope(self.client, namespace), proxies)
                    .labelled(provider.proxy_selector()),
            );
        }
    }
}

/// Reports an object that cannot be deserialized. A unit that is being deleted loses its finalizer, which no reconcile
/// could remove.
fn report_invalid(label: Label, invalid: &InvalidObject, client: &Client) {
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
