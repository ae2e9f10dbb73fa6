//! The watches of the operator: which objects, which fields are cached, and which units a change affects.

pub mod affected;
mod deletions;
mod invalid;
pub mod sync;

use std::{collections::HashSet, sync::Arc};

use computing_unit_api::{ComputingUnit, names};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, Client, Resource, ResourceExt, core::NamespaceResourceScope};
use tokio::task::JoinSet;

use self::{deletions::DeletionTracker, invalid::InvalidObjects};
use crate::{
    controllers::unit::context::UnitContext,
    gateway::registry::PROVIDERS,
    k8s::{
        affected::{Affected, resolve},
        cache::Cached,
        caches::{GatewayScope, Scope},
        overlay::{Overlay, Overlays},
        progress::Started,
        prune,
        watch::{Watch, WatchReporter, Watchable},
    },
    metrics::Resource as Label,
};

/// Wakes the units that a change affects.
fn wake(context: &UnitContext, affected: HashSet<Affected>) {
    for unit in resolve(&context.caches, affected) {
        context.waker.wake(unit);
    }
}

/// The watches that were started.
pub struct Running {
    /// Those of each scope, in the order of [`Caches::scopes`](crate::k8s::caches::Caches::scopes).
    pub scopes: Vec<Vec<Started>>,
    /// Those of each scope of Gateways, in the order of the caches.
    pub gateways: Vec<Vec<Started>>,
    pub classes: Started,
}

/// Starts every watch.
pub fn start(
    client: &Client,
    context: &Arc<UnitContext>,
    reporter: &WatchReporter,
    tasks: &mut JoinSet<()>,
) -> Running {
    let mut watches = Watches { client, context, reporter, tasks };
    let caches = context.caches.clone();
    let scopes = caches.scopes.iter().map(|scope| watches.scope(scope)).collect();
    let gateways = caches.gateways.iter().map(|gateways| watches.gateways(gateways)).collect();
    let classes = watches.start(
        Watch::new(Label::GatewayClasses, Api::all(client.clone()), &caches.classes)
            .affected_units_of_change(affected::class),
    );
    // Nothing waits for the labels: those that are not known are taken to match.
    let of_namespace = caches.clone();
    watches.start(
        Watch::new(Label::Namespaces, Api::all(client.clone()), &caches.namespaces)
            .prune(prune::namespace)
            .affected_units_of_change(move |before, after| affected::namespace(&of_namespace, before, after)),
    );
    Running { scopes, gateways, classes }
}

struct Watches<'a> {
    client: &'a Client,
    context: &'a Arc<UnitContext>,
    reporter: &'a WatchReporter,
    tasks: &'a mut JoinSet<()>,
}

impl Watches<'_> {
    fn start<K>(&mut self, watch: Watch<K>) -> Started
    where
        K: Watchable,
    {
        let invalid = InvalidObjects { client: self.client.clone(), context: self.context.clone() };
        let watch = watch.on_invalid(move |label, object| invalid.report::<K>(label, object));
        let context = self.context.clone();
        let wake = move |affected| wake(&context, affected);
        watch.start(Box::new(wake), self.reporter, self.tasks)
    }

    fn scope(&mut self, scope: &Scope) -> Vec<Started> {
        // Without `..`, so that a cache without a watch does not compile.
        let Scope {
            namespace,
            units,
            pools,
            catalogs,
            pods,
            services,
            routes,
            pvcs,
            activator_routes,
            endpoints,
            synced: _,
        } = scope;
        let namespace = namespace.as_deref();
        let pools = Watch::in_scope(Label::ComputingUnitPools, self.client, namespace, pools)
            .affected_units_of_change(affected::pool);
        let catalogs = Watch::in_scope(Label::ConfigMaps, self.client, namespace, catalogs)
            .labelled(&names::image_catalogs_selector())
            .prune(prune::identity)
            .affected_units_of_change(affected::catalog);
        let pods = self.children(Label::Pods, namespace, pods, |overlays| &overlays.pods);
        let services = self.children(Label::Services, namespace, services, |overlays| &overlays.services);
        let routes = self.children(Label::HttpRoutes, namespace, routes, |overlays| &overlays.routes);
        let pvcs = self.children(Label::PersistentVolumeClaims, namespace, pvcs, |overlays| &overlays.pvcs);
        let activator_routes = Watch::in_scope(Label::HttpRoutes, self.client, namespace, activator_routes);
        // Nothing reads this cache, but the watch needs one to detect objects that a new list lacks.
        let slices = Cached::<EndpointSlice>::default();
        let endpoints = endpoints.clone();
        let slices = Watch::in_scope(Label::EndpointSlices, self.client, namespace, &slices)
            .labelled(&names::children_selector())
            .before_store(move |event| endpoints.observe_event(event))
            .prune(prune::slice)
            .affected_units(|_, slice| affected::slice(slice));
        vec![
            self.start(self.units(namespace, units)),
            self.start(pools),
            self.start(catalogs),
            self.start(pods.prune(prune::pod)),
            self.start(services.prune(prune::service)),
            self.start(routes),
            self.start(pvcs.prune(prune::pvc).affected_units(|_, pvc| affected::labelled(pvc))),
            self.start(activator_routes.labelled(&names::activators_selector())),
            self.start(slices),
        ]
    }

    fn units(&self, namespace: Option<&str>, units: &Cached<ComputingUnit>) -> Watch<ComputingUnit> {
        let (context, overlays) = (self.context.clone(), self.context.overlays.clone());
        let (deletions, cached) = (Arc::new(DeletionTracker::default()), units.clone());
        let deleted = deletions.clone();
        // Changes of status and labels do not trigger a reconcile.
        let inputs = |unit: &ComputingUnit| (unit.uid(), unit.metadata.generation, unit.metadata.finalizers.clone());
        Watch::in_scope(Label::ComputingUnits, self.client, namespace, units)
            .prune(prune::unit)
            .before_store(move |event| deletions.before_store(&cached, event))
            .after_store(move |event| {
                overlays.units.observe_event(event);
                deleted.after_store(&context);
            })
            .affected_units(move |before, unit| {
                let changed = before.is_none_or(|before| inputs(before) != inputs(unit));
                if changed { vec![Affected::Unit(unit.into())] } else { vec![] }
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
        Watch::in_scope(label, self.client, namespace, cache)
            .labelled(&names::children_selector())
            .after_store(move |event| overlay(&overlays).observe_event(event))
            .affected_units(|_, child| affected::owner_and_namesake(child))
    }

    fn gateways(&mut self, scope: &GatewayScope) -> Vec<Started> {
        let GatewayScope { namespace, gateways, progress, proxies, synced: _ } = scope;
        let namespace = namespace.as_deref();
        let gateways = self.start(
            Watch::in_scope(Label::Gateways, self.client, namespace, gateways)
                .affected_units_of_change(affected::gateway)
                .progress(progress.clone()),
        );
        // Every probe resolves the proxies: their changes affect no unit.
        let proxies = PROVIDERS.iter().zip(proxies).map(|(provider, proxies)| {
            let watch = Watch::in_scope(Label::EndpointSlices, self.client, namespace, proxies);
            self.start(watch.labelled(provider.proxy_selector()))
        });
        let proxies: Vec<_> = proxies.collect();
        std::iter::once(gateways).chain(proxies).collect()
    }
}
