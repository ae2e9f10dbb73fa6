//! An index of units and pools by what a request contains: the pool of its route, and a key.
//!
//! Watches keep it up to date in memory, so requests with unknown keys cost the API server nothing.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use computing_unit_api::{ActivatorSpec, ComputingUnit, ComputingUnitPool};
use kube::ResourceExt;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

use crate::routing::{keys::RoutingKey, mode};

/// Namespace and name.
type ObjectName = (String, String);

#[derive(Default)]
pub struct Index {
    state: RwLock<State>,
    /// The scopes whose units and pools have not been listed yet. `None` stands for all namespaces.
    pending: RwLock<HashSet<Option<String>>>,
}

#[derive(Default)]
struct State {
    pools: HashMap<String, Arc<ComputingUnitPool>>,
    pools_by_name: HashMap<ObjectName, String>,
    units: HashMap<String, watch::Sender<Arc<ComputingUnit>>>,
    units_by_name: HashMap<ObjectName, String>,
    units_by_cuid: HashMap<(String, i64), BTreeSet<String>>,
}

/// A unit that requests can reach through the activator.
pub struct IndexedUnit {
    /// The unit and its changes. The channel is closed when the unit is deleted.
    pub unit: watch::Receiver<Arc<ComputingUnit>>,
    /// The settings of the unit's own pool.
    pub activator: ActivatorSpec,
    /// The internal host name that requests for the unit need, if its pool uses such names.
    pub lookup_host: Option<String>,
}

impl Index {
    /// The empty index of some scopes.
    pub fn new(scopes: impl IntoIterator<Item = Option<String>>) -> Self {
        Self { state: RwLock::default(), pending: RwLock::new(scopes.into_iter().collect()) }
    }

    /// Records that all units and pools of a scope have been listed once.
    pub fn set_synced(&self, scope: Option<&str>) {
        self.pending.write().retain(|pending| pending.as_deref() != scope);
    }

    /// Whether a unit of the namespace that is not in the index does not exist; of any namespace, if it is `None`.
    pub fn synced(&self, namespace: Option<&str>) -> bool {
        let pending = self.pending.read();
        pending.iter().all(|scope| scope.as_deref().zip(namespace).is_some_and(|(pending, own)| pending != own))
    }

    /// The pool with that UID, if it has an activator.
    pub fn pool(&self, uid: &str) -> Option<Arc<ComputingUnitPool>> {
        let pool = self.read().pools.get(uid)?.clone();
        (pool.spec.activator.is_some() && pool.metadata.deletion_timestamp.is_none()).then_some(pool)
    }

    /// The unit that a request through the activator route of `pool` is for, given its key. The unit may belong to any
    /// pool of the same namespace with the same key space. If several units have the key, it is the one that holds the
    /// key.
    pub fn find(&self, pool: &ComputingUnitPool, key: &str) -> Option<IndexedUnit> {
        let state = self.read();
        let namespace = pool.metadata.namespace.as_ref()?;
        let wanted = RoutingKey::of_request(pool, key);
        let by_cuid = key.parse().ok().and_then(|cuid| state.units_by_cuid.get(&(namespace.clone(), cuid)));
        let by_name = state.units_by_name.get(&(namespace.clone(), key.to_owned()));
        let candidates = by_name.into_iter().chain(by_cuid.into_iter().flatten());
        let requesting = candidates.filter_map(|uid| {
            let sender = state.units.get(uid)?;
            let unit = sender.borrow();
            let pool = state.pools_by_name.get(&(namespace.clone(), unit.spec.pool_name.clone()))?;
            let pool = state.pools.get(pool)?;
            (RoutingKey::new(&unit, pool) == wanted).then_some(())?;
            let waiting = RoutingKey::held_by(&unit).as_ref() != Some(&wanted);
            let order = (waiting, rejected(&unit), unit.creation_timestamp().map(|time| time.0), uid);
            let lookup_host = mode(&pool.spec.routing)?.lookup_host(&unit.name_any());
            Some((order, sender, pool.spec.activator.clone()?, lookup_host))
        });
        let (_, sender, activator, lookup_host) = requesting.min_by(|a, b| a.0.cmp(&b.0))?;
        Some(IndexedUnit { unit: sender.subscribe(), activator, lookup_host })
    }

    pub fn apply_unit(&self, unit: ComputingUnit) {
        let mut state = self.write();
        let Some(uid) = unit.uid() else { return };
        let name = (unit.namespace().unwrap_or_default(), unit.name_any());
        if let Some(other) = state.units_by_name.insert(name.clone(), uid.clone()).filter(|other| *other != uid) {
            state.remove_unit(&other);
        }
        if let Some(cuid) = unit.spec.cuid {
            state.units_by_cuid.entry((name.0, cuid)).or_default().insert(uid.clone());
        }
        match state.units.get(&uid) {
            Some(sender) => drop(sender.send_replace(Arc::new(unit))),
            None => drop(state.units.insert(uid, watch::Sender::new(Arc::new(unit)))),
        }
    }

    pub fn delete_unit(&self, uid: &str) {
        self.write().remove_unit(uid);
    }

    /// Removes the units of a namespace, or of all, that are not in `existing`.
    pub fn retain_units(&self, namespace: Option<&str>, existing: &HashSet<String>) {
        let mut state = self.write();
        let in_scope =
            |unit: &ComputingUnit| namespace.is_none_or(|own| unit.metadata.namespace.as_deref() == Some(own));
        let deleted: Vec<String> = state
            .units
            .iter()
            .filter(|(uid, sender)| !existing.contains(*uid) && in_scope(&sender.borrow()))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in &deleted {
            state.remove_unit(uid);
        }
    }

    pub fn apply_pool(&self, pool: ComputingUnitPool) {
        let mut state = self.write();
        let Some(uid) = pool.uid() else { return };
        let name = (pool.namespace().unwrap_or_default(), pool.name_any());
        if let Some(other) = state.pools_by_name.insert(name, uid.clone()).filter(|other| *other != uid) {
            state.pools.remove(&other);
        }
        state.pools.insert(uid, Arc::new(pool));
    }

    pub fn delete_pool(&self, uid: &str) {
        self.write().remove_pool(uid);
    }

    /// Removes the pools of a namespace, or of all, that are not in `existing`.
    pub fn retain_pools(&self, namespace: Option<&str>, existing: &HashSet<String>) {
        let mut state = self.write();
        let in_scope =
            |pool: &ComputingUnitPool| namespace.is_none_or(|own| pool.metadata.namespace.as_deref() == Some(own));
        let deleted: Vec<String> = state
            .pools
            .iter()
            .filter(|(uid, pool)| !existing.contains(*uid) && in_scope(pool))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in &deleted {
            state.remove_pool(uid);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write()
    }
}

impl State {
    fn remove_unit(&mut self, uid: &str) {
        // Dropping the sender closes the channel, which ends the holds of requests for the unit.
        let Some(sender) = self.units.remove(uid) else { return };
        let unit = sender.borrow().clone();
        let name = (unit.namespace().unwrap_or_default(), unit.name_any());
        if self.units_by_name.get(&name).is_some_and(|own| own == uid) {
            self.units_by_name.remove(&name);
        }
        if let Some(cuid) = unit.spec.cuid {
            let cuid = (name.0, cuid);
            if let Some(all) = self.units_by_cuid.get_mut(&cuid) {
                all.remove(uid);
                if all.is_empty() {
                    self.units_by_cuid.remove(&cuid);
                }
            }
        }
    }

    fn remove_pool(&mut self, uid: &str) {
        let Some(pool) = self.pools.remove(uid) else { return };
        let name = (pool.namespace().unwrap_or_default(), pool.name_any());
        if self.pools_by_name.get(&name).is_some_and(|own| own == uid) {
            self.pools_by_name.remove(&name);
        }
    }
}

/// Whether the unit was rejected, for a key conflict or for anything else.
fn rejected(unit: &ComputingUnit) -> bool {
    let conditions = unit.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == "Accepted" && condition.status == "False")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, host_routing, path_routing, query_routing};
    use computing_unit_api::Routing;

    fn pool(name: &str, routing: Routing) -> ComputingUnitPool {
        let mut pool = testing::pool(routing);
        pool.metadata.name = Some(name.into());
        pool.metadata.uid = Some(format!("{name}-uid"));
        pool.spec.activator = Some(serde_json::from_value(json!({})).unwrap());
        pool
    }

    fn found(index: &Index, pool: &str, key: &str) -> Option<String> {
        let pool = index.pool(pool)?;
        index.find(&pool, key).map(|found| found.unit.borrow().name_any())
    }

    #[test]
    fn scope_that_is_not_listed_does_not_affect_the_others() {
        let scopes = ["a", "b"].map(|name| Some(name.to_owned()));
        let index = Index::new(scopes);
        assert!(!index.synced(Some("a")) && !index.synced(None));
        index.set_synced(Some("a"));
        assert!(index.synced(Some("a")) && !index.synced(Some("b")) && !index.synced(None));
        index.set_synced(Some("b"));
        assert!(index.synced(Some("b")) && index.synced(None));
        let index = Index::new([None]);
        assert!(!index.synced(Some("a")));
        index.set_synced(None);
        assert!(index.synced(Some("a")));
    }

    #[test]
    fn unit_is_found_by_the_key_of_its_mode() {
        for (routing, key, other) in
            [(query_routing(), "42", "ada"), (path_routing(), "ada", "42"), (host_routing(), "ada", "42")]
        {
            let index = Index::default();
            // The watches are not ordered.
            index.apply_unit(testing::unit("ada", Some(42), "2026-01-01T00:00:00Z"));
            index.apply_pool(pool("default", routing));
            assert_eq!(found(&index, "default-uid", key).as_deref(), Some("ada"));
            for unknown in [other, "", "042", "+42", "nobody"] {
                assert_eq!(found(&index, "default-uid", unknown), None, "{unknown}");
            }
            assert_eq!(found(&index, "elsewhere", key), None);
        }
    }

    #[test]
    fn activator_answers_for_all_pools_with_the_same_key_space() {
        let index = Index::default();
        index.apply_pool(pool("default", query_routing()));
        index.apply_pool(pool("large", query_routing()));
        let mut other = query_routing();
        other.query.as_mut().unwrap().parameter = "unit".into();
        index.apply_pool(pool("other", other));
        let mut unit = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        unit.spec.pool_name = "large".into();
        index.apply_unit(unit);
        assert_eq!(found(&index, "default-uid", "42").as_deref(), Some("ada"));
        assert_eq!(found(&index, "other-uid", "42"), None);
        let mut disabled = pool("large", query_routing());
        disabled.spec.activator = None;
        index.apply_pool(disabled);
        assert_eq!(found(&index, "default-uid", "42"), None, "its pool has no activator");
    }

    #[test]
    fn request_is_for_the_unit_that_holds_the_key() {
        let index = Index::default();
        index.apply_pool(pool("default", query_routing()));
        let mut first = testing::unit("first", Some(42), "2026-01-01T00:00:00Z");
        index.apply_unit(first.clone());
        index.apply_unit(testing::unit("second", Some(42), "2026-01-02T00:00:00Z"));
        assert_eq!(found(&index, "default-uid", "42").as_deref(), Some("first"));
        let rejected = json!({"conditions": [{"type": "Accepted", "status": "False", "reason": "KeyConflict",
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        first.status = Some(serde_json::from_value(rejected).unwrap());
        index.apply_unit(first);
        assert_eq!(found(&index, "default-uid", "42").as_deref(), Some("second"));
        index.delete_unit("second-uid");
        index.retain_units(Some("units"), &HashSet::new());
        assert_eq!(found(&index, "default-uid", "42"), None);
        assert!(index.read().units_by_cuid.is_empty() && index.read().units_by_name.is_empty(), "the index is empty");
    }

    #[test]
    fn list_of_one_namespace_does_not_affect_others() {
        let index = Index::default();
        index.apply_pool(pool("default", query_routing()));
        index.apply_unit(testing::unit("ada", Some(42), "2026-01-01T00:00:00Z"));
        index.retain_units(Some("elsewhere"), &HashSet::new());
        index.retain_pools(Some("elsewhere"), &HashSet::new());
        assert_eq!(found(&index, "default-uid", "42").as_deref(), Some("ada"));
        index.retain_pools(None, &HashSet::new());
        assert_eq!(found(&index, "default-uid", "42"), None);
    }
}
