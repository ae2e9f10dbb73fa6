//! Reservations of routing keys. A key belongs to the unit that holds it, until that unit releases it or is deleted.
//!
//! Units that request a held key queue in the order of their requests. The holder is recorded in its status, from which a
//! restarted operator restores the index before any unit is reconciled.

use std::collections::{BTreeSet, HashMap, VecDeque};

use computing_unit_api::{ComputingUnit, ComputingUnitPool};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use parking_lot::Mutex;

use super::mode::mode;

/// A key, its key space and its Gateway. Two units conflict if and only if these are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

    /// The routing key that the status of a unit records as held.
    pub fn held_by(unit: &ComputingUnit) -> Option<Self> {
        unit.status.as_ref()?.held_key.clone().map(Self)
    }
}

impl std::fmt::Display for RoutingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The reservation of the key that a unit needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub key: RoutingKey,
    pub holder: Holder,
    /// Whether the unit holds the key or is in the queue for it.
    pub requested: bool,
}

/// The holder of a key, from the point of view of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// No unit holds the key.
    Nobody,
    /// The unit itself.
    Unit,
    /// Another unit of the same namespace, by name.
    Other(String),
    /// A unit in another namespace.
    OtherNamespace,
}

/// A unit that requests a key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    uid: String,
    namespace: String,
    name: String,
}

impl Request {
    fn new(unit: &ComputingUnit) -> Self {
        Self {
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
    /// The first request holds the key. A queue is never empty.
    queues: HashMap<RoutingKey, VecDeque<Request>>,
    keys: HashMap<String, BTreeSet<RoutingKey>>,
}

/// The reservations of all watched units.
#[derive(Default)]
pub struct KeyIndex(Mutex<Index>);

impl KeyIndex {
    /// Adds the unit to the end of the queue for a key, unless it is in it. The unit holds the key if no other does.
    pub fn request(&self, unit: &ComputingUnit, key: &RoutingKey) {
        let mut index = self.0.lock();
        let request = Request::new(unit);
        if index.keys.entry(request.uid.clone()).or_default().insert(key.clone()) {
            index.queues.entry(key.clone()).or_default().push_back(request);
        }
    }

    /// The reservation of the key that a unit needs.
    pub fn reservation(&self, unit: &ComputingUnit, key: RoutingKey) -> Reservation {
        let index = self.0.lock();
        let requested = unit.uid().and_then(|uid| index.keys.get(&uid)).is_some_and(|keys| keys.contains(&key));
        let holder = match index.queues.get(&key).and_then(VecDeque::front) {
            None => Holder::Nobody,
            Some(holder) if Some(&holder.uid) == unit.metadata.uid.as_ref() => Holder::Unit,
            Some(holder) if Some(&holder.namespace) == unit.metadata.namespace.as_ref() => {
                Holder::Other(holder.name.clone())
            }
            Some(_) => Holder::OtherNamespace,
        };
        Reservation { key, holder, requested }
    }

    /// Whether the unit has requested a key other than `key`.
    pub fn has_others(&self, uid: &str, key: Option<&RoutingKey>) -> bool {
        self.0.lock().keys.get(uid).is_some_and(|keys| keys.iter().any(|requested| Some(requested) != key))
    }

    /// Removes the requests of a unit, except that for `kept`. Returns the units that hold a key now.
    pub fn release(&self, uid: &str, kept: Option<&RoutingKey>) -> Vec<ObjectRef<ComputingUnit>> {
        let mut index = self.0.lock();
        let Some(requested) = index.keys.remove(uid) else { return vec![] };
        let (kept, released) = requested.into_iter().partition::<BTreeSet<_>, _>(|key| Some(key) == kept);
        if !kept.is_empty() {
            index.keys.insert(uid.to_owned(), kept);
        }
        released.iter().filter_map(|key| index.remove(uid, key)).collect()
    }
}

impl Index {
    /// Removes a unit from the queue for a key. Returns the unit that holds the key instead of it.
    fn remove(&mut self, uid: &str, key: &RoutingKey) -> Option<ObjectRef<ComputingUnit>> {
        let queue = self.queues.get_mut(key)?;
        let held = queue.front().is_some_and(|holder| holder.uid == uid);
        queue.retain(|request| request.uid != uid);
        let next = queue.front().filter(|_| held).map(Request::unit);
        if queue.is_empty() {
            self.queues.remove(key);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn holder(index: &KeyIndex, unit: &ComputingUnit, key: &RoutingKey) -> Holder {
        index.reservation(unit, key.clone()).holder
    }

    fn units() -> (ComputingUnit, ComputingUnit, RoutingKey) {
        let pool = testing::pool(testing::query_routing());
        let old = testing::unit("old", Some(42), "2026-01-01T00:00:00Z");
        let young = testing::unit("young", Some(42), "2026-01-02T00:00:00Z");
        let key = RoutingKey::new(&old, &pool);
        assert_eq!(key, RoutingKey::new(&young, &pool));
        (old, young, key)
    }

    #[test]
    fn key_belongs_to_its_holder_whatever_the_age_of_others() {
        let (old, young, key) = units();
        let index = KeyIndex::default();
        assert_eq!(holder(&index, &young, &key), Holder::Nobody);
        index.request(&young, &key);
        assert_eq!(holder(&index, &young, &key), Holder::Unit);
        assert_eq!(holder(&index, &old, &key), Holder::Other("young".into()));
        index.request(&old, &key);
        index.request(&young, &key);
        assert_eq!(holder(&index, &young, &key), Holder::Unit, "an older unit takes nothing");
        assert_eq!(holder(&index, &old, &key), Holder::Other("young".into()));
        let next = index.release(&young.uid().unwrap(), None);
        assert_eq!(next, [ObjectRef::from_obj(&old)]);
        assert_eq!(holder(&index, &old, &key), Holder::Unit);
    }

    #[test]
    fn contenders_queue_in_the_order_of_their_requests() {
        let (old, young, key) = units();
        let third = testing::unit("third", Some(42), "2025-01-01T00:00:00Z");
        let index = KeyIndex::default();
        for unit in [&old, &young, &third] {
            index.request(unit, &key);
        }
        assert_eq!(index.release(&young.uid().unwrap(), None), [], "it did not hold the key");
        assert_eq!(index.release(&old.uid().unwrap(), None), [ObjectRef::from_obj(&third)]);
        assert_eq!(index.release(&third.uid().unwrap(), None), []);
        assert_eq!(holder(&index, &old, &key), Holder::Nobody);
    }

    #[test]
    fn unit_can_hold_two_keys_while_its_route_changes() {
        let (old, young, key) = units();
        let other = RoutingKey::new(&old, &testing::pool(testing::path_routing()));
        let index = KeyIndex::default();
        let uid = old.uid().unwrap();
        index.request(&old, &key);
        assert!(!index.has_others(&uid, Some(&key)) && index.has_others(&uid, Some(&other)));
        index.request(&old, &other);
        index.request(&young, &key);
        assert_eq!(holder(&index, &old, &key), Holder::Unit);
        assert_eq!(index.release(&uid, Some(&other)), [ObjectRef::from_obj(&young)]);
        assert_eq!(holder(&index, &old, &other), Holder::Unit);
        assert!(!index.has_others(&uid, Some(&other)));
    }

    #[test]
    fn name_and_cuid_are_different_keys() {
        let pool = testing::pool(testing::query_routing());
        let named = testing::unit("u42", None, "2026-01-01T00:00:00Z");
        let numbered = testing::unit("other", Some(42), "2026-01-01T00:00:00Z");
        assert_ne!(RoutingKey::new(&named, &pool), RoutingKey::new(&numbered, &pool));
    }
}
