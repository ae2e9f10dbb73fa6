//! The status of a pool, computed from its units, the other pools and its Gateway.
//!
//! Pure.

use std::{collections::HashMap, sync::Arc};

use computing_unit_api::{
    ComputingUnit, ComputingUnitPool, ComputingUnitPoolStatus, ConditionType, Phase, PhaseCounts, Reason,
    gateway::Gateway,
};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use kube::ResourceExt;

use crate::{
    controllers::{condition::Draft, pool_conflict::PoolConflict},
    gateway::listener,
};

/// The units of each pool, by phase.
#[derive(Default)]
pub struct Members {
    pools: HashMap<(String, String), Vec<Phase>>,
    all: Vec<Phase>,
}

impl Members {
    /// Counts units.
    pub fn count(units: impl Iterator<Item = Arc<ComputingUnit>>) -> Self {
        let mut members = Self::default();
        for unit in units {
            let phase = unit.status.as_ref().and_then(|status| status.phase).unwrap_or(Phase::Pending);
            let pool = (unit.namespace().unwrap_or_default(), unit.spec.pool_name.clone());
            members.pools.entry(pool).or_default().push(phase);
            members.all.push(phase);
        }
        members
    }

    /// The units of all pools.
    pub fn total(&self) -> PhaseCounts {
        PhaseCounts::count(self.all.iter().copied())
    }

    fn of(&self, pool: &ComputingUnitPool) -> PhaseCounts {
        let key = (pool.namespace().unwrap_or_default(), pool.name_any());
        PhaseCounts::count(self.pools.get(&key).into_iter().flatten().copied())
    }
}

/// The status of `pool`. `conflict` is why it is not accepted, and `optional` the conditions of what only some pools have.
pub fn status(
    pool: &ComputingUnitPool,
    conflict: Option<&PoolConflict>,
    members: &Members,
    gateway: Option<Arc<Gateway>>,
    optional: impl IntoIterator<Item = Draft>,
    now: Timestamp,
) -> ComputingUnitPoolStatus {
    let previous = pool.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let mut conditions = vec![accepted(pool, conflict), gateway_found(pool, gateway.as_deref())];
    conditions.extend(optional);
    conditions.push(ready(&conditions));
    ComputingUnitPoolStatus {
        observed_generation: pool.metadata.generation,
        units: members.of(pool),
        conditions: conditions.iter().map(|draft| draft.dated(previous, pool.metadata.generation, now)).collect(),
        addresses: gateway.map(|gateway| listener::addresses(&gateway)).unwrap_or_default(),
    }
}

fn accepted(pool: &ComputingUnitPool, conflict: Option<&PoolConflict>) -> Draft {
    let type_ = ConditionType::Accepted;
    let Some(conflict) = conflict else {
        return Draft::yes(type_, Reason::Accepted, "the routing overlaps that of no other pool on the Gateway");
    };
    let reason = match conflict {
        PoolConflict::NotAllowedByListeners => Reason::NotAllowedByListeners,
        PoolConflict::Overlap(_) => Reason::Overlap,
    };
    Draft::no(type_, reason, format!("{}. Units of this pool are not started", conflict.message(pool)))
}

/// `Ready` repeats the first of the others that does not hold. It does not depend on the image catalog, which a backend
/// changes at any time: clients would take the pool for broken.
fn ready(others: &[Draft]) -> Draft {
    match others.iter().find(|draft| !draft.holds() && draft.type_ != ConditionType::ImageCatalogValid) {
        Some(draft) => Draft::no(ConditionType::Ready, draft.reason.clone(), &draft.message),
        None => Draft::yes(ConditionType::Ready, Reason::Ready, "the pool takes units"),
    }
}

fn gateway_found(pool: &ComputingUnitPool, gateway: Option<&Gateway>) -> Draft {
    let type_ = ConditionType::GatewayFound;
    let wanted = &pool.spec.gateway_ref;
    let Some(gateway) = gateway else {
        let message =
            format!("Gateway {:?} does not exist in namespace {:?}: create it", wanted.name, wanted.namespace);
        return Draft::no(type_, Reason::GatewayNotFound, message);
    };
    match listener::missing(gateway, wanted.section_name.as_deref()) {
        Some(missing) => Draft::no(type_, Reason::ListenerNotFound, missing),
        None => Draft::yes(type_, Reason::Found, "the Gateway exists"),
    }
}

/// Whether two statuses differ in times only.
pub fn same(a: &ComputingUnitPoolStatus, b: &ComputingUnitPoolStatus) -> bool {
    a.units == b.units && same_but_counts(a, b)
}

/// Whether two statuses differ in times and counts only.
pub fn same_but_counts(a: &ComputingUnitPoolStatus, b: &ComputingUnitPoolStatus) -> bool {
    let words = |status: &ComputingUnitPoolStatus| -> Vec<_> {
        let words = |c: &Condition| (c.type_.clone(), c.status.clone(), c.reason.clone(), c.message.clone());
        status.conditions.iter().map(words).collect()
    };
    a.observed_generation == b.observed_generation && a.addresses == b.addresses && words(a) == words(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn of(
        pool: &ComputingUnitPool,
        conflict: Option<&PoolConflict>,
        units: Vec<ComputingUnit>,
    ) -> ComputingUnitPoolStatus {
        let members = Members::count(units.into_iter().map(Arc::new));
        status(pool, conflict, &members, None, None, Timestamp::UNIX_EPOCH)
    }

    fn reason<'a>(status: &'a ComputingUnitPoolStatus, type_: &str) -> &'a str {
        &status.conditions.iter().find(|condition| condition.type_ == type_).unwrap().reason
    }

    #[test]
    fn units_are_counted_by_pool_and_phase() {
        let pool = testing::pool(testing::query_routing());
        let mut ready = testing::unit("a", Some(1), "2026-01-01T00:00:00Z");
        ready.status = Some(serde_json::from_value(serde_json::json!({"phase": "Ready"})).unwrap());
        let new = testing::unit("b", Some(2), "2026-01-01T00:00:00Z");
        let mut other = testing::unit("c", Some(3), "2026-01-01T00:00:00Z");
        other.spec.pool_name = "other".into();
        let status = of(&pool, None, vec![ready, new, other]);
        assert_eq!(status.units, PhaseCounts::count([Phase::Ready, Phase::Pending]));
    }

    #[test]
    fn overlap_and_missing_gateway_are_reported() {
        let mut old = testing::pool(testing::query_routing());
        old.metadata.name = Some("old".into());
        let young = testing::pool(testing::path_routing());
        let conflict = PoolConflict::Overlap(Arc::new(old.clone()));
        let status = of(&young, Some(&conflict), vec![]);
        assert_eq!((reason(&status, "Accepted"), reason(&status, "GatewayFound")), ("Overlap", "GatewayNotFound"));
        assert_eq!(reason(&status, "Ready"), "Overlap");
        let status = of(&young, Some(&PoolConflict::NotAllowedByListeners), vec![]);
        assert_eq!(reason(&status, "Accepted"), "NotAllowedByListeners");
        assert_eq!(reason(&of(&old, None, vec![]), "Accepted"), "Accepted");
    }

    #[test]
    fn time_alone_is_no_difference() {
        let mut pool = testing::pool(testing::query_routing());
        let first = of(&pool, None, vec![]);
        pool.status = Some(first.clone());
        let members = Members::default();
        let later = status(&pool, None, &members, None, None, Timestamp::now());
        assert_eq!(first, later, "a condition keeps its time while its status stays");
        let mut counted = first.clone();
        counted.units = PhaseCounts::count([Phase::Ready]);
        assert!(!same(&first, &counted) && same_but_counts(&first, &counted));
    }
}
