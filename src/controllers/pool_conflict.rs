//! Why a pool is not accepted: no listener allows its routes, or its routing overlaps that of another pool.
//!
//! Of two overlapping pools the one that is accepted already stays, and of two new ones the older. A pool that no listener
//! allows affects no other pool.

use std::sync::Arc;

use computing_unit_api::{ComputingUnitPool, ConditionStatus, ConditionType, Conditions};
use kube::ResourceExt;

use crate::{
    gateway::allowed_routes,
    k8s::caches::Caches,
    routing::{overlap, overlap_index::OverlapIndex},
};

/// Why a pool is not accepted.
#[derive(Clone, Debug)]
pub enum PoolConflict {
    /// No listener of the Gateway allows routes of the pool's namespace.
    NotAllowedByListeners,
    /// The routing overlaps that of this pool on the same Gateway.
    Overlap(Arc<ComputingUnitPool>),
}

impl PoolConflict {
    /// Why `pool` is not accepted beside the other pools. `None` if it is accepted.
    pub fn of(caches: &Caches, overlaps: &OverlapIndex, pool: &ComputingUnitPool) -> Option<Self> {
        if allowed(caches, pool) == Some(false) {
            return Some(Self::NotAllowedByListeners);
        }
        let overlapping = overlaps.overlapping(pool, caches.pools_revision(), || caches.pools());
        let conflicting =
            overlapping.into_iter().filter(|other| precedes(other, pool) && allowed(caches, other) == Some(true));
        // Always the same of several, so that the message is stable.
        conflicting.reduce(|a, b| if overlap::older(&b, &a) { b } else { a }).map(Self::Overlap)
    }

    /// What is wrong and what to do, as a sentence. Pools of other namespaces are not named.
    pub fn message(&self, pool: &ComputingUnitPool) -> String {
        let (name, gateway) = (pool.name_any(), &pool.spec.gateway_ref);
        match self {
            Self::NotAllowedByListeners => format!(
                "no listener of Gateway {}/{} allows routes of namespace {:?} for pool {name:?}: change \
                 spec.listeners[].allowedRoutes of the Gateway, or label the namespace accordingly",
                gateway.namespace,
                gateway.name,
                pool.namespace().unwrap_or_default()
            ),
            Self::Overlap(other) => {
                let same_namespace = other.namespace() == pool.namespace();
                let which = if same_namespace { format!("pool {:?}", other.name_any()) } else { "a pool".to_owned() };
                let place = if same_namespace { "" } else { " of another namespace" };
                format!(
                    "the routing of pool {name:?} overlaps that of {which}{place} on the same Gateway: give the pool \
                     other paths, another prefix or another domain"
                )
            }
        }
    }
}

/// Why each of `pools` is not accepted, in their order.
pub fn conflicts(
    caches: &Caches,
    overlaps: &OverlapIndex,
    pools: &[Arc<ComputingUnitPool>],
) -> Vec<Option<PoolConflict>> {
    pools.iter().map(|pool| PoolConflict::of(caches, overlaps, pool)).collect()
}

/// Whether a listener allows routes of the pool. `None` if its Gateway does not exist.
fn allowed(caches: &Caches, pool: &ComputingUnitPool) -> Option<bool> {
    let gateway = caches.gateway(&pool.spec.gateway_ref)?;
    let namespace = pool.namespace().unwrap_or_default();
    let object = caches.namespace(&namespace);
    let labels = object.as_ref().map(|object| object.labels());
    let section_name = pool.spec.gateway_ref.section_name.as_deref();
    Some(allowed_routes::allows(&gateway, section_name, &namespace, labels))
}

/// Whether `other` takes precedence over `pool`.
fn precedes(other: &ComputingUnitPool, pool: &ComputingUnitPool) -> bool {
    match (is_accepted(other), is_accepted(pool)) {
        (true, false) => true,
        (false, true) => false,
        (true, true) | (false, false) => overlap::older(other, pool),
    }
}

fn is_accepted(pool: &ComputingUnitPool) -> bool {
    let accepted = pool.status.as_ref().and_then(|status| status.conditions.find(ConditionType::Accepted));
    accepted.is_some_and(|accepted| accepted.status == ConditionStatus::True)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        k8s::caches::Caches,
        testing::{self, gateway},
    };
    use computing_unit_api::{Routing, gateway::Gateway};

    fn caches(from: &serde_json::Value, labels: &[(&str, serde_json::Value)]) -> Caches {
        let caches = Caches::new(&[None], &[None], "envoy-gateway-system");
        let allowed: Gateway =
            gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": from}}]));
        caches.gateways[0].gateways.fill([allowed]);
        caches.namespaces.fill(labels.iter().map(|(name, labels)| {
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap()
        }));
        caches
    }

    fn pool(
        name: &str,
        namespace: &str,
        created: &str,
        accepted: Option<&str>,
        routing: Routing,
    ) -> Arc<ComputingUnitPool> {
        let mut pool = testing::pool(routing);
        pool.metadata.name = Some(name.to_owned());
        pool.metadata.namespace = Some(namespace.to_owned());
        pool.metadata.uid = Some(format!("{namespace}-{name}"));
        pool.metadata.creation_timestamp = Some(testing::time(created));
        let condition = |status| {
            json!({"type": "Accepted", "status": status, "reason": "Accepted", "message": "",
                   "lastTransitionTime": created})
        };
        pool.status =
            accepted.map(|status| serde_json::from_value(json!({"conditions": [condition(status)]})).unwrap());
        Arc::new(pool)
    }

    fn wide() -> Routing {
        let mut routing = testing::path_routing();
        routing.path.as_mut().unwrap().prefix = "/".into();
        routing
    }

    const OLD: &str = "2026-01-01T00:00:00Z";
    const NEW: &str = "2026-01-02T00:00:00Z";

    fn conflict(
        caches: &Caches,
        pool: &Arc<ComputingUnitPool>,
        other: &Arc<ComputingUnitPool>,
    ) -> Option<PoolConflict> {
        caches.scopes[0].pools.fill([pool.as_ref().clone(), other.as_ref().clone()]);
        PoolConflict::of(caches, &OverlapIndex::default(), pool)
    }

    fn refused(caches: &Caches, pool: &Arc<ComputingUnitPool>, other: &Arc<ComputingUnitPool>) -> bool {
        conflict(caches, pool, other).is_some()
    }

    #[test]
    fn accepted_pool_stays_and_of_two_new_ones_the_older() {
        let caches = caches(&json!({"from": "All"}), &[]);
        for (old, new, expected) in [
            (None, None, (false, true)),
            (Some("True"), Some("True"), (false, true)),
            (None, Some("True"), (true, false)),
            (Some("False"), Some("True"), (true, false)),
            (Some("True"), None, (false, true)),
        ] {
            let old_pool = pool("old", "units", OLD, old, testing::query_routing());
            let new_pool = pool("new", "units", NEW, new, wide());
            let found = (refused(&caches, &old_pool, &new_pool), refused(&caches, &new_pool, &old_pool));
            assert_eq!(found, expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn pool_that_no_listener_allows_affects_no_other() {
        let selector = json!({"from": "Selector", "selector": {"matchLabels": {"units": "true"}}});
        let caches = caches(&selector, &[("units", json!({"units": "true"})), ("stranger", json!({}))]);
        let stranger = pool("squat", "stranger", OLD, Some("True"), wide());
        let own = pool("own", "units", NEW, None, testing::query_routing());
        assert!(!refused(&caches, &own, &stranger));
        let conflict = conflict(&caches, &stranger, &own).unwrap();
        assert!(matches!(conflict, PoolConflict::NotAllowedByListeners));
        assert!(conflict.message(&stranger).contains("allowedRoutes"), "{}", conflict.message(&stranger));
    }

    #[test]
    fn names_are_unique_per_namespace_so_a_lookup_domain_is_not_shared_between_namespaces() {
        let caches = caches(&json!({"from": "All"}), &[]);
        let first = pool("a", "units", OLD, None, testing::lookup_routing());
        let second = pool("b", "units", NEW, None, testing::lookup_routing());
        let elsewhere = pool("c", "other", NEW, None, testing::lookup_routing());
        assert!(!refused(&caches, &second, &first));
        assert!(refused(&caches, &elsewhere, &first) && !refused(&caches, &first, &elsewhere));
        let conflict = conflict(&caches, &elsewhere, &first).unwrap();
        assert!(!conflict.message(&elsewhere).contains("units\""), "{}", conflict.message(&elsewhere));
    }
}
