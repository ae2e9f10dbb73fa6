//! What a change affects. It is resolved to units late: a relist of many pools costs one pass over the units, and not one
//! for each pool.

use std::collections::HashSet;

use computing_unit_api::{ComputingUnit, GatewayRef};
use kube::runtime::reflector::ObjectRef;

use super::{caches::Caches, waker::Units};

/// Units that a change affects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Affected {
    Unit(ObjectRef<ComputingUnit>),
    /// The units that refer to the pool of this namespace and name.
    Pool {
        namespace: String,
        name: String,
    },
    /// The units that name this image, by its name or reference, and whose pool has the catalog of this namespace and name.
    CatalogImage {
        namespace: String,
        catalog: String,
        image: String,
    },
    /// The units that name an image, and whose pool has the catalog of this namespace and name.
    Catalog {
        namespace: String,
        catalog: String,
    },
    /// The units whose pool refers to the Gateway of this namespace and name.
    Gateway {
        namespace: String,
        name: String,
    },
    /// The units of all Gateways.
    AllGateways,
}

impl Affected {
    pub fn gateway(gateway: &GatewayRef) -> Self {
        Self::Gateway { namespace: gateway.namespace.clone(), name: gateway.name.clone() }
    }
}

/// The units, each once, in one pass.
pub fn resolve(caches: &Caches, affected: HashSet<Affected>) -> Units {
    let mut units: HashSet<ObjectRef<ComputingUnit>> = HashSet::new();
    let (named, queries): (HashSet<_>, HashSet<_>) =
        affected.into_iter().partition(|affected| matches!(affected, Affected::Unit(_)));
    if !queries.is_empty() {
        let matching = caches.units().filter(|unit| matches_any(caches, unit, &queries));
        units.extend(matching.map(|unit| ObjectRef::from_obj(unit.as_ref())));
    }
    // A unit that waits for its children to be deleted may not be in the cache yet.
    units.extend(named.into_iter().filter_map(|affected| match affected {
        Affected::Unit(unit) => Some(unit),
        _ => None,
    }));
    units.into_iter().collect()
}

fn matches_any(caches: &Caches, unit: &ComputingUnit, queries: &HashSet<Affected>) -> bool {
    let namespace = unit.metadata.namespace.clone().unwrap_or_default();
    if queries.contains(&Affected::Pool { namespace: namespace.clone(), name: unit.spec.pool_name.clone() }) {
        return true;
    }
    let Some(pool) = caches.pool_of(unit) else { return false };
    if queries.contains(&Affected::AllGateways) || queries.contains(&Affected::gateway(&pool.spec.gateway_ref)) {
        return true;
    }
    let Some((image, catalog)) = unit.spec.image.clone().zip(pool.spec.image_catalog.as_ref()) else { return false };
    let catalog = catalog.config_map_name.clone();
    queries.contains(&Affected::Catalog { namespace: namespace.clone(), catalog: catalog.clone() })
        || queries.contains(&Affected::CatalogImage { namespace, catalog, image })
}
