//! Empty caches, and what fills them.

use std::sync::Arc;

use computing_unit_api::{
    ComputingUnit, ComputingUnitPool,
    gateway::{Gateway, GatewayClass, HTTPRoute},
};
use k8s_openapi::api::{
    core::v1::{PersistentVolumeClaim, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::runtime::reflector::store::{Writer, store};
use tokio::sync::watch;

use super::{
    caches::{Caches, Scope},
    endpoints::Endpoints,
    follow::Progress,
};

/// What fills the caches.
pub struct Writers {
    /// Those of the scopes.
    pub scopes: Vec<ScopeWriters>,
    /// Those of the namespaces of gateways.
    pub gateways: Vec<GatewayWriters>,
    /// That of the gateway classes.
    pub classes: Writer<GatewayClass>,
}

/// What fills the caches of one scope.
pub struct ScopeWriters {
    /// The namespace; all where absent.
    pub namespace: Option<String>,
    /// Units.
    pub units: Writer<ComputingUnit>,
    /// Pools.
    pub pools: Writer<ComputingUnitPool>,
    /// Pods of units.
    pub pods: Writer<Pod>,
    /// Services of units.
    pub services: Writer<Service>,
    /// Routes of units.
    pub routes: Writer<HTTPRoute>,
    /// Volumes of units.
    pub pvcs: Writer<PersistentVolumeClaim>,
    /// Entries of pools.
    pub activator_routes: Writer<HTTPRoute>,
    /// Which pods are ready endpoints.
    pub endpoints: Arc<Endpoints>,
}

/// What fills the caches of one namespace of gateways.
pub struct GatewayWriters {
    /// The namespace; all where absent.
    pub namespace: Option<String>,
    /// Gateways.
    pub gateways: Writer<Gateway>,
    /// How far their watch has come.
    pub progress: watch::Sender<Progress>,
    /// Endpoints of their proxies.
    pub proxies: Writer<EndpointSlice>,
}

/// Empty caches for the namespaces of units and of gateways, and what fills them.
#[must_use]
pub fn empty(scopes: &[Option<String>], gateways: &[Option<String>]) -> (Caches, Writers) {
    let (classes, classes_writer) = store();
    let mut caches = Caches { scopes: vec![], gateways: vec![], gateway_watches: vec![], classes, proxies: vec![] };
    let mut writers = Writers { scopes: vec![], gateways: vec![], classes: classes_writer };
    for namespace in scopes {
        let (scope, filling) = scope(namespace.as_ref());
        caches.scopes.push(scope);
        writers.scopes.push(filling);
    }
    for namespace in gateways.iter().cloned() {
        let (gateways, gateways_writer) = store();
        let (proxies, proxies_writer) = store();
        let (progress, watched) = watch::channel(Progress::default());
        caches.gateways.push(gateways);
        caches.gateway_watches.push(watched);
        caches.proxies.push(proxies);
        let (gateways, proxies) = (gateways_writer, proxies_writer);
        writers.gateways.push(GatewayWriters { namespace, gateways, progress, proxies });
    }
    (caches, writers)
}

fn scope(namespace: Option<&String>) -> (Scope, ScopeWriters) {
    let (units, units_writer) = store();
    let (pools, pools_writer) = store();
    let (pods, pods_writer) = store();
    let (services, services_writer) = store();
    let (routes, routes_writer) = store();
    let (pvcs, pvcs_writer) = store();
    let (activator_routes, activator_routes_writer) = store();
    let endpoints = Arc::<Endpoints>::default();
    let namespace = namespace.cloned();
    let writers = ScopeWriters {
        namespace: namespace.clone(),
        units: units_writer,
        pools: pools_writer,
        pods: pods_writer,
        services: services_writer,
        routes: routes_writer,
        pvcs: pvcs_writer,
        activator_routes: activator_routes_writer,
        endpoints: endpoints.clone(),
    };
    (Scope { namespace, units, pools, pods, services, routes, pvcs, activator_routes, endpoints }, writers)
}
