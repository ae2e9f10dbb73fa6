//! What each kind of change affects. A change without effect on any unit affects nothing.

use computing_unit_api::{
    ComputingUnit, ComputingUnitPool,
    gateway::{Gateway, GatewayClass},
    names::labels,
};
use k8s_openapi::api::{core::v1::Namespace, discovery::v1::EndpointSlice};
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};

use crate::{
    gateway::{listener, listener_status, served},
    image_catalog::{self, ImageCatalog},
    k8s::{affected::Affected, caches::Caches, endpoints},
};

/// The unit that owns an object.
pub fn owner<K: Resource>(child: &K) -> Vec<Affected> {
    let is_unit = |kind: &str, version: &str| {
        kind == ComputingUnit::kind(&()) && version.split('/').next() == Some(&*ComputingUnit::group(&()))
    };
    let namespace = child.namespace().unwrap_or_default();
    child
        .owner_references()
        .iter()
        .filter(|owner| is_unit(&owner.kind, &owner.api_version))
        .map(|owner| unit(&owner.name, &namespace))
        .collect()
}

/// The owner of a child, and the unit of the same name, which may wait until the object of a previous owner is deleted.
pub fn owner_and_namesake<K: Resource>(child: &K) -> Vec<Affected> {
    let mut units = owner(child);
    let own = unit(&child.name_any(), &child.namespace().unwrap_or_default());
    if !units.contains(&own) {
        units.push(own);
    }
    units
}

/// The unit in the label of a PersistentVolumeClaim. It does not own a retained claim.
pub fn labelled<K: Resource>(pvc: &K) -> Vec<Affected> {
    let namespace = pvc.namespace().unwrap_or_default();
    pvc.labels().get(labels::UNIT).map(|name| unit(name, &namespace)).into_iter().collect()
}

/// The unit whose Service a slice belongs to.
pub fn slice(slice: &EndpointSlice) -> Vec<Affected> {
    endpoints::unit(slice).map(|(namespace, name)| unit(&name, &namespace)).into_iter().collect()
}

fn unit(name: &str, namespace: &str) -> Affected {
    Affected::Unit(ObjectRef::new(name).within(namespace))
}

/// The units of a pool. If the pool is created or deleted, also the units of all pools of its Gateway, which it may overlap.
pub fn pool(before: Option<&ComputingUnitPool>, after: Option<&ComputingUnitPool>) -> Vec<Affected> {
    let own = |pool: &ComputingUnitPool| Affected::Pool {
        namespace: pool.namespace().unwrap_or_default(),
        name: pool.name_any(),
    };
    match (before, after) {
        (Some(before), Some(after)) if before.uid() == after.uid() => {
            if before.metadata.generation == after.metadata.generation { Vec::new() } else { vec![own(after)] }
        }
        (before, after) => {
            let changed = before.into_iter().chain(after);
            changed.flat_map(|pool| [own(pool), Affected::gateway(&pool.spec.gateway_ref)]).collect()
        }
    }
}

/// The units that name an image that has changed. If the catalog is created or deleted, the units that name any: what is
/// reported of those that are rejected depends on it.
pub fn catalog(before: Option<&ImageCatalog>, after: Option<&ImageCatalog>) -> Vec<Affected> {
    let Some(object) = after.or(before) else { return Vec::new() };
    let (namespace, catalog) = (object.namespace().unwrap_or_default(), object.name_any());
    if before.is_none() || after.is_none() {
        return vec![Affected::Catalog { namespace, catalog }];
    }
    let images = image_catalog::changed(before, after).into_iter();
    images
        .map(|image| Affected::CatalogImage { namespace: namespace.clone(), catalog: catalog.clone(), image })
        .collect()
}

/// The units of a Gateway, if their routes or URLs depend on the change. The status changes with every attached route,
/// which affects no unit.
pub fn gateway(before: Option<&Gateway>, after: Option<&Gateway>) -> Vec<Affected> {
    if let (Some(before), Some(after)) = (before, after)
        && before.uid() == after.uid()
        && before.metadata.generation == after.metadata.generation
        && listener::addresses(before) == listener::addresses(after)
        && listener_status::unusable(before).eq(listener_status::unusable(after))
    {
        return Vec::new();
    }
    let changed = after.or(before);
    let affected = |gateway: &Gateway| Affected::Gateway {
        namespace: gateway.namespace().unwrap_or_default(),
        name: gateway.name_any(),
    };
    changed.map(affected).into_iter().collect()
}

/// All units, if a class is created, edited or deleted.
pub fn class(before: Option<&GatewayClass>, after: Option<&GatewayClass>) -> Vec<Affected> {
    if let (Some(before), Some(after)) = (before, after)
        && before.uid() == after.uid()
        && before.metadata.generation == after.metadata.generation
        && served::unprocessed(before) == served::unprocessed(after)
    {
        return Vec::new();
    }
    vec![Affected::AllGateways]
}

/// The units of the Gateways of a namespace's pools, if its labels change: listeners may allow its routes or not.
pub fn namespace(caches: &Caches, before: Option<&Namespace>, after: Option<&Namespace>) -> Vec<Affected> {
    if before.map(ResourceExt::labels) == after.map(ResourceExt::labels) {
        return Vec::new();
    }
    let Some(name) = after.or(before).map(ResourceExt::name_any) else { return Vec::new() };
    let pools = caches.scope(&name).into_iter().flat_map(|scope| scope.pools.all());
    let pools = pools.filter(|pool| pool.metadata.namespace.as_ref() == Some(&name));
    pools.map(|pool| Affected::gateway(&pool.spec.gateway_ref)).collect()
}

#[cfg(test)]
#[path = "affected_tests.rs"]
mod tests;
