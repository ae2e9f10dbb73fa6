//! Units and pools by what a request names: the pool that it came by, and the key that it carries.
//!
//! It is fed by watches and lives in memory, so that a flood of made-up keys is answered without asking anybody.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use computing_unit_api::{ActivatorSpec, ComputingUnit, ComputingUnitPool};
use kube::ResourceExt;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

use crate::routing::{self, keys::RoutingKey};

/// A name within a namespace.
type Named = (String, String);

/// All units and pools that are watched.
#[derive(Default)]
pub struct Index {
    state: RwLock<State>,
    complete: AtomicBool,
}

#[derive(Default)]
struct State {
    pools: HashMap<String, Arc<ComputingUnitPool>>,
    pools_by_name: HashMap<Named, String>,
    units: HashMap<String, watch::Sender<Arc<ComputingUnit>>>,
    units_by_name: HashMap<Named, String>,
    units_by_number: HashMap<(String, i64), BTreeSet<String>>,
}

/// A unit that was asked for.
pub struct Found {
    /// The unit as it is, and as it will be.
    pub unit: watch::Receiver<Arc<ComputingUnit>>,
    /// What its pool wants of an entry.
    pub entry: ActivatorSpec,
    /// The host name that requests for it have where its pool has units looked up by one.
    pub lookup_host: Option<String>,
}

impl Index {
    /// All units and pools were listed once.
    pub fn completed(&self) {
        self.complete.store(true, Ordering::Relaxed);
    }

    /// Whether what is not found is not there.
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    /// The pool with that UID, if it has an entry.
    pub fn pool(&self, uid: &str) -> Option<Arc<ComputingUnitPool>> {
        let pool = self.read().pools.get(uid)?.clone();
        (pool.spec.activator.is_some() && pool.metadata.deletion_timestamp.is_none()).then_some(pool)
    }

    /// The unit that has the key `key` where requests come by the entry of `pool`: one of any pool of the same
    /// namespace that shares the keys. Of several, the one that the key was given to.
    pub fn find(&self, pool: &ComputingUnitPool, key: &str) -> Option<Found> {
        let state = self.read();
        let namespace = pool.metadata.namespace.as_ref()?;
        let wanted = RoutingKey::of_key(pool, key);
        let numbered = key.parse().ok().and_then(|number| state.units_by_number.get(&(namespace.clone(), number)));
        let named = state.units_by_name.get(&(namespace.clone(), key.to_owned()));
        let candidates = named.into_iter().chain(numbered.into_iter().flatten());
        let claimed = candidates.filter_map(|uid| {
            let sender = state.units.get(uid)?;
            let unit = sender.borrow();
            let pool = state.pools_by_name.get(&(namespace.clone(), unit.spec.pool_name.clone()))?;
            let pool = state.pools.get(pool)?;
            (RoutingKey::new(&unit, pool) == wanted).then_some(())?;
            let order = (refused(&unit), unit.creation_timestamp().map(|time| time.0), uid);
            let lookup_host = routing::lookup_host(&pool.spec.routing, &unit.name_any());
            Some((order, sender, pool.spec.activator.clone()?, lookup_host))
        });
        let (_, sender, entry, lookup_host) = claimed.min_by(|a, b| a.0.cmp(&b.0))?;
        Some(Found { unit: sender.subscribe(), entry, lookup_host })
    }

    /// A unit is there, or has changed.
    pub fn unit(&self, unit: ComputingUnit) {
        let mut state = self.write();
        let Some(uid) = unit.uid() else { return };
        let name = (unit.namespace().unwrap_or_default(), unit.name_any());
        if let Some(other) = state.units_by_name.insert(name.clone(), uid.clone()).filter(|other| *other != uid) {
            state.forget_unit(&other);
        }
        if let Some(number) = unit.spec.cuid {
            state.units_by_number.entry((name.0, number)).or_default().insert(uid.clone());
        }
        match state.units.get(&uid) {
            Some(sender) => drop(sender.send_replace(Arc::new(unit))),
            None => drop(state.units.insert(uid, watch::Sender::new(Arc::new(unit)))),
        }
    }

    /// A unit is gone.
    pub fn no_unit(&self, uid: &str) {
        self.write().forget_unit(uid);
    }

    /// These are all units of a namespace, or of all.
    pub fn only_units(&self, namespace: Option<&str>, alive: &HashSet<String>) {
        let mut state = self.write();
        let of_scope =
            |unit: &ComputingUnit| namespace.is_none_or(|own| unit.metadata.namespace.as_deref() == Some(own));
        let gone: Vec<String> = state
            .units
            .iter()
            .filter(|(uid, sender)| !alive.contains(*uid) && of_scope(&sender.borrow()))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in &gone {
            state.forget_unit(uid);
        }
    }

    /// A pool is there, or has changed.
    pub fn add_pool(&self, pool: ComputingUnitPool) {
        let mut state = self.write();
        let Some(uid) = pool.uid() else { return };
        let name = (pool.namespace().unwrap_or_default(), pool.name_any());
        if let Some(other) = state.pools_by_name.insert(name, uid.clone()).filter(|other| *other != uid) {
            state.pools.remove(&other);
        }
        state.pools.insert(uid, Arc::new(pool));
    }

    /// A pool is gone.
    pub fn no_pool(&self, uid: &str) {
        self.write().forget_pool(uid);
    }

    /// These are all pools of a namespace, or of all.
    pub fn only_pools(&self, namespace: Option<&str>, alive: &HashSet<String>) {
        let mut state = self.write();
        let of_scope =
            |pool: &ComputingUnitPool| namespace.is_none_or(|own| pool.metadata.namespace.as_deref() == Some(own));
        let gone: Vec<String> = state
            .pools
            .iter()
            .filter(|(uid, pool)| !alive.contains(*uid) && of_scope(pool))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in &gone {
            state.forget_pool(uid);
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
    fn forget_unit(&mut self, uid: &str) {
        // Whoever waits for the unit learns of its end by the end of its channel.
        let Some(sender) = self.units.remove(uid) else { return };
        let unit = sender.borrow().clone();
        let name = (unit.namespace().unwrap_or_default(), unit.name_any());
        if self.units_by_name.get(&name).is_some_and(|own| own == uid) {
            self.units_by_name.remove(&name);
        }
        if let Some(number) = unit.spec.cuid {
            let number = (name.0, number);
            if let Some(all) = self.units_by_number.get_mut(&number) {
                all.remove(uid);
                if all.is_empty() {
                    self.units_by_number.remove(&number);
                }
            }
        }
    }

    fn forget_pool(&mut self, uid: &str) {
        let Some(pool) = self.pools.remove(uid) else { return };
        let name = (pool.namespace().unwrap_or_default(), pool.name_any());
        if self.pools_by_name.get(&name).is_some_and(|own| own == uid) {
            self.pools_by_name.remove(&name);
        }
    }
}

/// Whether the unit was refused, for another one having its key or for anything else.
fn refused(unit: &ComputingUnit) -> bool {
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
    fn a_unit_is_found_by_the_key_of_its_pools_mode() {
        for (routing, key, other) in
            [(query_routing(), "42", "ada"), (path_routing(), "ada", "42"), (host_routing(), "ada", "42")]
        {
            let index = Index::default();
            // In whatever order the watches tell.
            index.unit(testing::unit("ada", Some(42), "2026-01-01T00:00:00Z"));
            index.add_pool(pool("default", routing));
            assert_eq!(found(&index, "default-uid", key).as_deref(), Some("ada"));
            for unknown in [other, "", "042", "+42", "nobody"] {
                assert_eq!(found(&index, "default-uid", unknown), None, "{unknown}");
            }
            assert_eq!(found(&index, "elsewhere", key), None);
        }
    }

    #[test]
    fn pools_that_share_their_keys_share_their_entries() {
        let index = Index::default();
        index.add_pool(pool("default", query_routing()));
        index.add_pool(pool("large", query_routing()));
        let mut other = query_routing();
        other.query.as_mut().unwrap().parameter = "unit".into();
        index.add_pool(pool("other", other));
        let mut unit = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        unit.spec.pool_name = "large".into();
        index.unit(unit);
        assert_eq!(found(&index, "default-uid", "42").as_deref(), Some("ada"));
        assert_eq!(found(&index, "other-uid", "42"), None);
        let mut silent = pool("large", query_routing());
        silent.spec.activator = None;
        index.add_pool(silent);
        assert_eq!(found(&index, "default-uid", "42"), None, "its pool has no entry");
    }

    #[test]
    fn of_two_units_with_one_key_the_one_that_has_it_is_meant() {
        let index = Index::default();
        index.add_pool(pool("default", query_routing()));
        let mut first = testing::unit("first", Some(42), "2026-01-01T00:00:00Z");
        index.unit(first.clone());
        index.unit(testing::unit("second", Some(42), "2026-01-02T00:00:00Z"));
        assert_eq!(found(&index, "default-uid", "42").as_deref(), Some("first"));
        let refusal = json!({"conditions": [{"type": "Accepted", "status": "False", "reason": "KeyConflict",
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        first.status = Some(serde_json::from_value(refusal).unwrap());
        index.unit(first);
        assert_eq!(found(&index, "default-uid", "42").as_deref(), Some("second"));
        index.no_unit("second-uid");
        index.only_units(Some("units"), &HashSet::new());
        assert_eq!(found(&index, "default-uid", "42"), None);
        assert!(index.read().units_by_number.is_empty() && index.read().units_by_name.is_empty(), "nothing is kept");
    }

    #[test]
    fn a_new_list_of_one_namespace_leaves_the_others_alone() {
        let index = Index::default();
        index.add_pool(pool("default", query_routing()));
        index.unit(testing::unit("ada", Some(42), "2026-01-01T00:00:00Z"));
        index.only_units(Some("elsewhere"), &HashSet::new());
        index.only_pools(Some("elsewhere"), &HashSet::new());
        assert_eq!(found(&index, "default-uid", "42").as_deref(), Some("ada"));
        index.only_pools(None, &HashSet::new());
        assert_eq!(found(&index, "default-uid", "42"), None);
    }
}
