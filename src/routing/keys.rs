//! Reservations of routing keys: of the units of one Gateway that request the same key, the oldest holds it.
//!
//! The watch of the units fills the index, so that a lookup does not have to list them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use computing_unit_api::{ComputingUnit, ComputingUnitPool};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use parking_lot::Mutex;

use super::mode::mode;

/// A key, its key space and its Gateway. Two units conflict if and only if these are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoutingKey(String);

impl RoutingKey {
    /// The routing key of a unit of `pool`.
    pub fn new(unit: &ComputingUnit, pool: &ComputingUnitPool) -> Self {
        Self::of_request(pool, &super::key(&pool.spec.routing, &unit.name_any(), unit.spec.cuid))
    }

    /// The routing key of requests for units of `pool` that carry `key`.
    pub fn of_request(pool: &ComputingUnitPool, key: &str) -> Self {
        let gateway = &pool.spec.gateway_ref;
        let routing = &pool.spec.routing;
        let space = mode(routing).map_or("", |mode| mode.key_space());
        Self(format!("{}/{} {:?} {space} {key}", gateway.namespace, gateway.name, routing.r#type))
    }
}

/// The reservation of the key that a unit needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub key: RoutingKey,
    pub holder: Holder,
}

/// The holder of a key, from the point of view of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The unit has not requested the key yet.
    Nobody,
    /// The unit itself.
    Unit,
    /// An older unit of the same namespace, by name.
    Other(String),
    /// An older unit in another namespace.
    OtherNamespace,
}

/// A unit's request for a key. The first request in order holds the key: that of the oldest unit, and among units
/// created in the same second, which is the API server's resolution, the first one recorded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Request {
    created: String,
    sequence: u64,
    uid: String,
    namespace: String,
    name: String,
}

impl Request {
    fn new(unit: &ComputingUnit, sequence: u64) -> Self {
        Self {
            created: unit.creation_timestamp().map(|time| time.0.to_string()).unwrap_or_default(),
            sequence,
            uid: unit.uid().unwrap_or_default(),
            namespace: unit.namespace().unwrap_or_default(),
            name: unit.name_any(),
        }
    }

    fn unit(&self) -> ObjectRef<ComputingUnit> {
        ObjectRef::new(&self.name).within(&self.namespace)
    }
}

#[derive(Default)]
struct Index {
    by_key: HashMap<RoutingKey, BTreeSet<Request>>,
    by_uid: BTreeMap<String, RoutingKey>,
    last_sequence: u64,
}

/// The reservations of all watched units.
#[derive(Default)]
pub struct KeyIndex(Mutex<Index>);

impl KeyIndex {
    /// Records the request of a unit and replaces its earlier one. Returns the unit that loses the key, if any.
    pub fn reserve(&self, unit: &ComputingUnit, key: &RoutingKey) -> Option<ObjectRef<ComputingUnit>> {
        let mut index = self.0.lock();
        let uid = unit.uid().unwrap_or_default();
        match index.by_uid.get(&uid) {
            Some(requested) if requested == key => return None,
            Some(_) => drop(index.remove(&uid)),
            None => {}
        }
        index.last_sequence += 1;
        let request = Request::new(unit, index.last_sequence);
        index.by_uid.insert(uid, key.clone());
        let all = index.by_key.entry(key.clone()).or_default();
        all.insert(request.clone());
        let mut order = all.iter();
        match (order.next(), order.next()) {
            (Some(first), Some(second)) if *first == request => Some(second.unit()),
            _ => None,
        }
    }

    /// The reservation of the key that a unit needs.
    pub fn reservation(&self, unit: &ComputingUnit, key: RoutingKey) -> Reservation {
        let index = self.0.lock();
        let requested = unit.uid().and_then(|uid| index.by_uid.get(&uid)) == Some(&key);
        let first = index.by_key.get(&key).and_then(BTreeSet::first).filter(|_| requested);
        let holder = match first {
            None => Holder::Nobody,
            Some(first) if Some(&first.uid) == unit.metadata.uid.as_ref() => Holder::Unit,
            Some(first) if Some(&first.namespace) == unit.metadata.namespace.as_ref() => {
                Holder::Other(first.name.clone())
            }
            Some(_) => Holder::OtherNamespace,
        };
        Reservation { key, holder }
    }

    /// Removes the request of a deleted unit. Returns the unit that holds the key now, if any.
    pub fn release(&self, uid: &str) -> Option<ObjectRef<ComputingUnit>> {
        let mut index = self.0.lock();
        let key = index.remove(uid)?;
        Some(index.by_key.get(&key)?.first()?.unit())
    }
}

impl Index {
    fn remove(&mut self, uid: &str) -> Option<RoutingKey> {
        let key = self.by_uid.remove(uid)?;
        if let Some(all) = self.by_key.get_mut(&key) {
            all.retain(|request| request.uid != uid);
            if all.is_empty() {
                self.by_key.remove(&key);
            }
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn holder(index: &KeyIndex, unit: &ComputingUnit, key: &RoutingKey) -> Holder {
        index.reservation(unit, key.clone()).holder
    }

    #[test]
    fn older_unit_holds_the_key_until_it_is_released() {
        let index = KeyIndex::default();
        let pool = testing::pool(testing::query_routing());
        let old = testing::unit("old", Some(42), "2026-01-01T00:00:00Z");
        let young = testing::unit("young", Some(42), "2026-01-02T00:00:00Z");
        let key = RoutingKey::new(&old, &pool);
        assert_eq!(key, RoutingKey::new(&young, &pool));
        assert_eq!(holder(&index, &young, &key), Holder::Nobody);
        assert_eq!(index.reserve(&young, &key), None);
        assert_eq!(holder(&index, &young, &key), Holder::Unit, "the only request so far");
        assert_eq!(holder(&index, &old, &key), Holder::Nobody, "not requested yet");
        assert_eq!(index.reserve(&old, &key).unwrap().name, "young", "loses the key");
        assert_eq!(index.reserve(&old, &key), None, "returned once");
        assert_eq!(holder(&index, &old, &key), Holder::Unit);
        assert_eq!(holder(&index, &young, &key), Holder::Other("old".into()));
        let next = index.release(&old.uid().unwrap()).unwrap();
        assert_eq!(next.name, "young");
        assert_eq!(holder(&index, &young, &key), Holder::Unit);
    }

    #[test]
    fn first_request_holds_the_key_among_units_created_in_the_same_second() {
        let pool = testing::pool(testing::query_routing());
        let units = ["a", "b"].map(|name| testing::unit(name, Some(42), "2026-01-01T00:00:00Z"));
        for [first, second] in [[0, 1], [1, 0]].map(|order| order.map(|at| &units[at])) {
            let index = KeyIndex::default();
            let key = RoutingKey::new(first, &pool);
            assert_eq!(index.reserve(first, &key), None);
            assert_eq!(index.reserve(second, &key), None, "displaces nobody");
            assert_eq!(index.reserve(first, &key), None);
            assert_eq!(holder(&index, first, &key), Holder::Unit);
            assert_eq!(holder(&index, second, &key), Holder::Other(first.name_any()));
        }
    }

    #[test]
    fn name_and_cuid_are_different_keys() {
        let pool = testing::pool(testing::query_routing());
        let named = testing::unit("u42", None, "2026-01-01T00:00:00Z");
        let numbered = testing::unit("other", Some(42), "2026-01-01T00:00:00Z");
        assert_ne!(RoutingKey::new(&named, &pool), RoutingKey::new(&numbered, &pool));
    }
}
