//! What the operator knows of the cluster: one cache for each kind of object, fed by watches, read by everything else.
//!
//! Nothing here decides what is to be done. A scope is one watched namespace, or all of them.

use std::sync::Arc;

use computing_unit_api::{
    ComputingUnit, ComputingUnitPool, GatewayRef,
    gateway::{Gateway, GatewayClass, HTTPRoute},
};
use k8s_openapi::api::{
    core::v1::{PersistentVolumeClaim, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use tokio::sync::watch;

use super::{endpoints::Endpoints, follow::Progress};
use crate::probe::Stores;

/// The units, pools and children of one watched namespace, or of all.
pub struct Scope {
    /// The namespace; all where absent.
    pub namespace: Option<String>,
    /// Units.
    pub units: Store<ComputingUnit>,
    /// Pools.
    pub pools: Store<ComputingUnitPool>,
    /// Pods of units.
    pub pods: Store<Pod>,
    /// Services of units.
    pub services: Store<Service>,
    /// Routes of units.
    pub routes: Store<HTTPRoute>,
    /// Volumes of units.
    pub pvcs: Store<PersistentVolumeClaim>,
    /// Entries of pools.
    pub activator_routes: Store<HTTPRoute>,
    /// Which pods are ready endpoints of their unit's Service.
    pub endpoints: Arc<Endpoints>,
}

/// All caches.
pub struct Caches {
    /// One for each watched namespace, or a single one for all.
    pub scopes: Vec<Scope>,
    /// Gateways, of each namespace where they are looked for.
    pub gateways: Vec<Store<Gateway>>,
    /// How far each of their watches has come.
    pub gateway_watches: Vec<watch::Receiver<Progress>>,
    /// Gateway classes.
    pub classes: Store<GatewayClass>,
    /// The endpoints of the gateways' own proxies.
    pub proxies: Vec<Store<EndpointSlice>>,
}

impl Caches {
    /// The scope that a namespace belongs to.
    #[must_use]
    pub fn scope(&self, namespace: &str) -> Option<&Scope> {
        self.scopes.iter().find(|scope| scope.namespace.as_deref().is_none_or(|own| own == namespace))
    }

    /// Every pool.
    pub fn pools(&self) -> impl Iterator<Item = Arc<ComputingUnitPool>> {
        self.scopes.iter().flat_map(|scope| scope.pools.state())
    }

    /// Every unit.
    pub fn units(&self) -> impl Iterator<Item = Arc<ComputingUnit>> {
        self.scopes.iter().flat_map(|scope| scope.units.state())
    }

    /// The pool that a unit is made from.
    #[must_use]
    pub fn pool_of(&self, unit: &ComputingUnit) -> Option<Arc<ComputingUnitPool>> {
        let namespace = unit.metadata.namespace.as_deref().unwrap_or_default();
        get(&self.scope(namespace)?.pools, namespace, &unit.spec.pool_name)
    }

    /// The caches that tell which proxies there are.
    #[must_use]
    pub fn proxies(&self) -> Stores {
        Stores { gateways: self.gateways.clone(), classes: self.classes.clone(), slices: self.proxies.clone() }
    }

    /// Whether the API server has no Gateways at all.
    #[must_use]
    pub fn gateway_api_missing(&self) -> bool {
        self.gateway_watches.iter().any(|progress| *progress.borrow() == Progress::Missing)
    }

    /// A Gateway.
    #[must_use]
    pub fn gateway(&self, gateway: &GatewayRef) -> Option<Arc<Gateway>> {
        self.gateways.iter().find_map(|store| get(store, &gateway.namespace, &gateway.name))
    }
}

/// The object of that name.
#[must_use]
pub fn get<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<Arc<K>>
where
    K: Lookup<DynamicType = ()> + Clone + 'static,
{
    store.get(&ObjectRef::new(name).within(namespace))
}

/// Waits until the caches are filled.
pub async fn synced(synced: &watch::Receiver<bool>) {
    // The sender lives as long as the controllers.
    let _ = synced.clone().wait_for(|synced| *synced).await;
}
