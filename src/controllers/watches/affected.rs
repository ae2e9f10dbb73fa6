//! The units that a change affects. A change without effect on any unit affects none.

use std::{collections::HashSet, sync::Arc};

use computing_unit_api::{
    ComputingUnit, ComputingUnitPool, GatewayRef,
    gateway::{Gateway, GatewayClass},
    names::labels,
};
use k8s_openapi::api::{core::v1::Namespace, discovery::v1::EndpointSlice};
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};

use crate::{
    gateway::{listener, listener_status, served},
    k8s::{caches::Caches, endpoints, waker::Units},
};

/// The unit that owns an object.
pub fn owner<K: Resource>(child: &K) -> Units {
    let is_unit = |kind: &str, version: &str| {
        kind == ComputingUnit::kind(&()) && version.split('/').next() == Some(&*ComputingUnit::group(&()))
    };
    let namespace = child.namespace().unwrap_or_default();
    child
        .owner_references()
        .iter()
        .filter(|owner| is_unit(&owner.kind, &owner.api_version))
        .map(|owner| ObjectRef::new(&owner.name).within(&namespace))
        .collect()
}

/// The owner of a child, and the unit of the same name, which may wait until the object of a previous owner is deleted.
pub fn owner_and_namesake<K: Resource>(child: &K) -> Units {
    let mut units = owner(child);
    let own = ObjectRef::new(&child.name_any()).within(&child.namespace().unwrap_or_default());
    if !units.contains(&own) {
        units.push(own);
    }
    units
}

/// The unit in the label of a PersistentVolumeClaim. It does not own a retained claim.
pub fn labelled<K: Resource>(pvc: &K) -> Units {
    let namespace = pvc.namespace().unwrap_or_default();
    pvc.labels().get(labels::UNIT).map(|unit| ObjectRef::new(unit).within(&namespace)).into_iter().collect()
}

/// The unit whose Service a slice belongs to.
pub fn slice(slice: &EndpointSlice) -> Units {
    endpoints::unit(slice).map(|(namespace, name)| ObjectRef::new(&name).within(&namespace)).into_iter().collect()
}

/// The units of a pool. If the pool is created or deleted, also the units of all pools of its Gateway, which it may overlap.
pub fn pool(caches: &Caches, before: Option<&ComputingUnitPool>, after: Option<&ComputingUnitPool>) -> Units {
    match (before, after) {
        (Some(before), Some(after)) if before.uid() == after.uid() => {
            if before.metadata.generation == after.metadata.generation {
                return Units::new();
            }
            let namespace = after.namespace();
            let name = after.name_any();
            named(caches.units().filter(|unit| unit.namespace() == namespace && unit.spec.pool_name == name))
        }
        (before, after) => {
            let changed: Vec<&ComputingUnitPool> = before.into_iter().chain(after).collect();
            named(caches.units().filter(|unit| {
                changed.iter().any(|pool| {
                    let own = pool.namespace() == unit.namespace() && pool.name_any() == unit.spec.pool_name;
                    own || caches.pool_of(unit).is_some_and(|theirs| {
                        let (a, b) = (&theirs.spec.gateway_ref, &pool.spec.gateway_ref);
                        (&a.name, &a.namespace) == (&b.name, &b.namespace)
                    })
                })
            }))
        }
    }
}

/// The units behind a Gateway, if their routes or URLs depend on the change. The status changes with every attached route,
/// which affects no unit.
pub fn gateway(caches: &Caches, before: Option<&Gateway>, after: Option<&Gateway>) -> Units {
    if let (Some(before), Some(after)) = (before, after)
        && before.uid() == after.uid()
        && before.metadata.generation == after.metadata.generation
        && listener::addresses(before) == listener::addresses(after)
        && listener_status::unusable(before).eq(listener_status::unusable(after))
    {
        return Units::new();
    }
    let Some(changed) = after.or(before) else { return Units::new() };
    let (name, namespace) = (changed.name_any(), changed.namespace().unwrap_or_default());
    behind(caches, |gateway| gateway.name == name && gateway.namespace == namespace)
}

/// All units, if a class is created, edited or deleted.
pub fn class(caches: &Caches, before: Option<&GatewayClass>, after: Option<&GatewayClass>) -> Units {
    if let (Some(before), Some(after)) = (before, after)
        && before.uid() == after.uid()
        && before.metadata.generation == after.metadata.generation
        && served::unprocessed(before) == served::unprocessed(after)
    {
        return Units::new();
    }
    behind(caches, |_| true)
}

/// The units behind the Gateways of a namespace's pools, if its labels change: listeners may allow its routes or not.
pub fn namespace(caches: &Caches, before: Option<&Namespace>, after: Option<&Namespace>) -> Units {
    if before.map(ResourceExt::labels) == after.map(ResourceExt::labels) {
        return Units::new();
    }
    let name = after.or(before).map(ResourceExt::name_any);
    let pools = caches.pools().filter(|pool| pool.namespace() == name);
    let gateways: HashSet<_> = pools.map(|pool| gateway_name(&pool.spec.gateway_ref)).collect();
    if gateways.is_empty() { Units::new() } else { behind(caches, |gateway| gateways.contains(&gateway_name(gateway))) }
}

fn gateway_name(gateway: &GatewayRef) -> (String, String) {
    (gateway.namespace.clone(), gateway.name.clone())
}

/// The units whose pool refers to a matching Gateway.
pub fn behind(caches: &Caches, matches: impl Fn(&GatewayRef) -> bool) -> Units {
    named(caches.units().filter(|unit| caches.pool_of(unit).is_some_and(|pool| matches(&pool.spec.gateway_ref))))
}

fn named(units: impl Iterator<Item = Arc<ComputingUnit>>) -> Units {
    units.map(|unit| ObjectRef::from_obj(unit.as_ref())).collect()
}

#[cfg(test)]
#[path = "affected_tests.rs"]
mod tests;
