//! Which unit a key belongs to: among the units of one gateway whose final match is the same, the oldest.
//!
//! The index is fed from the watch of the units and answers without reading them all.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use kube::{ResourceExt, runtime::reflector::ObjectRef};

use crate::api::{ComputingUnit, ComputingUnitPool, RoutingType};

/// The requests that a unit claims, as text that is equal exactly where the matches are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim(String);

impl Claim {
    /// What `unit` claims on the gateway of `pool`.
    #[must_use]
    pub fn new(unit: &ComputingUnit, pool: &ComputingUnitPool) -> Self {
        Self::of_key(pool, &super::key(&pool.spec.routing, &unit.name_any(), unit.spec.cuid))
    }

    /// What a unit with that key claims on the gateway of `pool`.
    #[must_use]
    pub fn of_key(pool: &ComputingUnitPool, key: &str) -> Self {
        let gateway = &pool.spec.gateway_ref;
        let routing = &pool.spec.routing;
        let space = match routing.r#type {
            RoutingType::Query => routing.query.as_ref().map(|query| query.parameter.clone()),
            RoutingType::Path => routing.path.as_ref().map(|path| path.prefix.trim_end_matches('/').to_owned()),
            RoutingType::Host => routing.host.as_ref().map(|host| host.domain.clone()),
        }
        .unwrap_or_default();
        Self(format!("{}/{} {:?} {space} {key}", gateway.namespace, gateway.name, routing.r#type))
    }
}

/// Who claims, in the order in which keys are given: by age, which the API server tells in seconds, then by turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claimant {
    created: String,
    turn: u64,
    uid: String,
    namespace: String,
    name: String,
}

impl Claimant {
    fn new(unit: &ComputingUnit, turn: u64) -> Self {
        Self {
            created: unit.creation_timestamp().map(|time| time.0.to_string()).unwrap_or_default(),
            turn,
            uid: unit.uid().unwrap_or_default(),
            namespace: unit.namespace().unwrap_or_default(),
            name: unit.name_any(),
        }
    }
}

/// Who has a key that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The unit that asked.
    Asker,
    /// An older unit of the same namespace, by name.
    Neighbour(String),
    /// An older unit of another namespace.
    Elsewhere,
}

#[derive(Default)]
struct Claims {
    by_claim: HashMap<Claim, BTreeSet<Claimant>>,
    by_uid: BTreeMap<String, Claim>,
    turns: u64,
}

/// All claims of the units that the operator watches.
#[derive(Default)]
pub struct ClaimIndex(Mutex<Claims>);

impl ClaimIndex {
    /// Enters the claim of a unit, replacing an earlier one, and names the unit that loses the key by it, if any.
    pub fn enter(&self, unit: &ComputingUnit, claim: &Claim) -> Option<ObjectRef<ComputingUnit>> {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = unit.uid().unwrap_or_default();
        match claims.by_uid.get(&uid) {
            Some(entered) if entered == claim => return None,
            Some(_) => drop(claims.remove(&uid)),
            None => {}
        }
        claims.turns += 1;
        let me = Claimant::new(unit, claims.turns);
        claims.by_uid.insert(uid, claim.clone());
        let all = claims.by_claim.entry(claim.clone()).or_default();
        all.insert(me.clone());
        let mut order = all.iter();
        match (order.next(), order.next()) {
            (Some(first), Some(second)) if *first == me => Some(ObjectRef::new(&second.name).within(&second.namespace)),
            _ => None,
        }
    }

    /// Who has the key that `unit` has entered.
    pub fn holder(&self, unit: &ComputingUnit, claim: &Claim) -> Holder {
        let claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match claims.by_claim.get(claim).and_then(BTreeSet::first) {
            Some(first) if Some(&first.uid) != unit.metadata.uid.as_ref() => {
                if Some(&first.namespace) == unit.metadata.namespace.as_ref() {
                    Holder::Neighbour(first.name.clone())
                } else {
                    Holder::Elsewhere
                }
            }
            _ => Holder::Asker,
        }
    }

    /// Gives up the claim of a unit that is gone and names the unit that has the key now, if any.
    pub fn release(&self, uid: &str) -> Option<ObjectRef<ComputingUnit>> {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let claim = claims.remove(uid)?;
        let next = claims.by_claim.get(&claim)?.first()?;
        Some(ObjectRef::new(&next.name).within(&next.namespace))
    }
}

impl Claims {
    fn remove(&mut self, uid: &str) -> Option<Claim> {
        let claim = self.by_uid.remove(uid)?;
        if let Some(all) = self.by_claim.get_mut(&claim) {
            all.retain(|claimant| claimant.uid != uid);
            if all.is_empty() {
                self.by_claim.remove(&claim);
            }
        }
        Some(claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_older_unit_keeps_the_key_and_hands_it_on() {
        let index = ClaimIndex::default();
        let pool = testing::pool(testing::query_routing());
        let old = testing::unit("old", Some(42), "2026-01-01T00:00:00Z");
        let young = testing::unit("young", Some(42), "2026-01-02T00:00:00Z");
        let claim = Claim::new(&old, &pool);
        assert_eq!(claim, Claim::new(&young, &pool));
        assert_eq!(index.enter(&young, &claim), None);
        assert_eq!(index.holder(&young, &claim), Holder::Asker, "alone so far");
        assert_eq!(index.enter(&old, &claim).unwrap().name, "young", "displaced");
        assert_eq!(index.enter(&old, &claim), None, "told once");
        assert_eq!(index.holder(&old, &claim), Holder::Asker);
        assert_eq!(index.holder(&young, &claim), Holder::Neighbour("old".into()));
        let next = index.release(&old.uid().unwrap()).unwrap();
        assert_eq!(next.name, "young");
        assert_eq!(index.holder(&young, &claim), Holder::Asker);
    }

    #[test]
    fn among_units_of_the_same_second_the_first_to_claim_keeps_the_key() {
        let pool = testing::pool(testing::query_routing());
        let units = ["a", "b"].map(|name| testing::unit(name, Some(42), "2026-01-01T00:00:00Z"));
        for [first, second] in [[0, 1], [1, 0]].map(|order| order.map(|at| &units[at])) {
            let index = ClaimIndex::default();
            let claim = Claim::new(first, &pool);
            assert_eq!(index.enter(first, &claim), None);
            assert_eq!(index.enter(second, &claim), None, "displaces nobody");
            assert_eq!(index.enter(first, &claim), None);
            assert_eq!(index.holder(first, &claim), Holder::Asker);
            assert_eq!(index.holder(second, &claim), Holder::Neighbour(first.name_any()));
        }
    }

    #[test]
    fn a_name_and_a_number_that_read_alike_are_one_key() {
        let pool = testing::pool(testing::query_routing());
        let named = testing::unit("u42", None, "2026-01-01T00:00:00Z");
        let numbered = testing::unit("other", Some(42), "2026-01-01T00:00:00Z");
        assert_ne!(Claim::new(&named, &pool), Claim::new(&numbered, &pool));
    }
}
