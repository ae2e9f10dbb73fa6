//! All caches. Watches fill them, and everything else only reads them.
//!
//! A scope is one watched namespace, or all namespaces. For another kind of child, add a field to [`Scope`] and one to
//! [`Overlays`](super::overlay::Overlays), and start its watch in `controllers::watches`.

use std::{sync::Arc, time::Duration};

use computing_unit_api::{
    ComputingUnit, ComputingUnitPool, GatewayRef,
    gateway::{Gateway, GatewayClass, HTTPRoute},
};
use k8s_openapi::api::{
    core::v1::{Namespace, PersistentVolumeClaim, Pod, Service},
    discovery::v1::EndpointSlice,
};
use tokio::{sync::watch, time::Instant};

use kube::runtime::reflector::ObjectRef;

use super::{cache::Cached, endpoints::Endpoints, progress::Progress};
use crate::{
    gateway::{proxy_stores::ProxyStores, registry::PROVIDERS},
    image_catalog::ImageCatalog,
};

/// How long a namespace that cannot be listed is waited for, before the others go on without it.
pub const GRACE: Duration = Duration::from_secs(30);

/// The units of one scope, their pools and their children.
#[derive(Default)]
pub struct Scope {
    /// `None` for all namespaces.
    pub namespace: Option<String>,
    pub units: Cached<ComputingUnit>,
    pub pools: Cached<ComputingUnitPool>,
    pub catalogs: Cached<ImageCatalog>,
    pub pods: Cached<Pod>,
    pub services: Cached<Service>,
    /// Routes of units.
    pub routes: Cached<HTTPRoute>,
    pub pvcs: Cached<PersistentVolumeClaim>,
    /// Routes of pools to the activator.
    pub activator_routes: Cached<HTTPRoute>,
    /// Which pods are ready endpoints of their unit's Service.
    pub endpoints: Arc<Endpoints>,
    /// Whether all of it is listed, with the keys and rollout slots of its units restored.
    pub synced: watch::Sender<bool>,
}

/// The Gateways of one scope.
#[derive(Default)]
pub struct GatewayScope {
    /// `None` for all namespaces.
    pub namespace: Option<String>,
    pub gateways: Cached<Gateway>,
    /// The progress of the watch of Gateways.
    pub progress: watch::Sender<Progress>,
    /// The EndpointSlices of the proxies, for each provider.
    pub proxies: Vec<Cached<EndpointSlice>>,
    /// Whether all of it is listed.
    pub synced: watch::Sender<bool>,
}

pub struct Caches {
    started: Instant,
    pub scopes: Vec<Scope>,
    pub gateways: Vec<GatewayScope>,
    pub classes: Cached<GatewayClass>,
    /// Their labels only. Empty if they cannot be read.
    pub namespaces: Cached<Namespace>,
    /// The namespace of Envoy Gateway's controller.
    controller_namespace: String,
}

impl Caches {
    /// Empty caches for the namespaces of units and of Gateways.
    pub fn new(scopes: &[Option<String>], gateways: &[Option<String>], controller_namespace: &str) -> Self {
        let scope = |namespace: &Option<String>| Scope { namespace: namespace.clone(), ..Scope::default() };
        let gateway = |namespace: &Option<String>| GatewayScope {
            namespace: namespace.clone(),
            proxies: PROVIDERS.iter().map(|_| Cached::default()).collect(),
            ..GatewayScope::default()
        };
        Self {
            started: Instant::now(),
            scopes: scopes.iter().map(scope).collect(),
            gateways: gateways.iter().map(gateway).collect(),
            classes: Cached::default(),
            namespaces: Cached::default(),
            controller_namespace: controller_namespace.to_owned(),
        }
    }

    /// The scope that contains a namespace.
    pub fn scope(&self, namespace: &str) -> Option<&Scope> {
        self.scopes.iter().find(|scope| scope.namespace.as_deref().is_none_or(|own| own == namespace))
    }

    /// Whether the scope that contains a namespace is listed. The objects of other scopes must be left alone.
    pub fn synced(&self, namespace: &str) -> bool {
        self.scope(namespace).is_some_and(|scope| *scope.synced.borrow())
    }

    /// Whether the Gateways of a namespace are listed. Those of a namespace that is not watched do not exist.
    pub fn gateways_synced(&self, namespace: &str) -> bool {
        let scope = self.gateways.iter().find(|scope| scope.namespace.as_deref().is_none_or(|own| own == namespace));
        scope.is_none_or(|scope| *scope.synced.borrow())
    }

    /// Until when a namespace that cannot be listed is waited for.
    pub fn grace(&self) -> Instant {
        self.started + GRACE
    }

    /// The pools of all scopes.
    pub fn pools(&self) -> impl Iterator<Item = Arc<ComputingUnitPool>> {
        self.scopes.iter().flat_map(|scope| scope.pools.all())
    }

    /// Increases after every change of a pool.
    pub fn pools_revision(&self) -> u64 {
        self.scopes.iter().map(|scope| scope.pools.revision()).sum()
    }

    /// The units of all scopes.
    pub fn units(&self) -> impl Iterator<Item = Arc<ComputingUnit>> {
        self.scopes.iter().flat_map(|scope| scope.units.all())
    }

    /// The pool that a unit refers to.
    pub fn pool_of(&self, unit: &ComputingUnit) -> Option<Arc<ComputingUnitPool>> {
        let namespace = unit.metadata.namespace.as_deref().unwrap_or_default();
        self.scope(namespace)?.pools.get(namespace, &unit.spec.pool_name)
    }

    /// The image catalog of a pool. `None` if the pool has none, or if it does not exist.
    pub fn catalog_of(&self, pool: &ComputingUnitPool) -> Option<Arc<ImageCatalog>> {
        let namespace = pool.metadata.namespace.as_deref().unwrap_or_default();
        self.scope(namespace)?.catalogs.get(namespace, &pool.spec.image_catalog.as_ref()?.config_map_name)
    }

    /// A namespace. `None` if it does not exist, or cannot be read.
    pub fn namespace(&self, name: &str) -> Option<Arc<Namespace>> {
        self.namespaces.get_ref(&ObjectRef::new(name))
    }

    /// The stores from which the proxies of a Gateway are resolved.
    pub fn proxies(&self) -> ProxyStores {
        ProxyStores {
            gateways: self.gateways.iter().map(|scope| scope.gateways.store()).collect(),
            classes: self.classes.store(),
            namespaces: self.namespaces.store(),
            controller_namespace: self.controller_namespace.clone(),
            slices: self.gateways.iter().flat_map(|scope| &scope.proxies).map(Cached::store).collect(),
        }
    }

    /// Whether the API server does not serve Gateways.
    pub fn gateway_api_missing(&self) -> bool {
        self.gateways.iter().any(|scope| *scope.progress.borrow() == Progress::NotServed)
    }

    pub fn gateway(&self, gateway: &GatewayRef) -> Option<Arc<Gateway>> {
        self.gateways.iter().find_map(|scope| scope.gateways.get(&gateway.namespace, &gateway.name))
    }
}
