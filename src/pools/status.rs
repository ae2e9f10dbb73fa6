//! What is said of a pool, from its units, its neighbours and its Gateway.
//!
//! Pure.

use std::{collections::HashMap, sync::Arc};

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use kube::ResourceExt;

use crate::{
    api::{ComputingUnit, ComputingUnitPool, ComputingUnitPoolStatus, Phase, PhaseCounts},
    gateway::{Gateway, listener},
    routing::overlap,
};

/// Units by pool and phase.
#[derive(Default)]
pub struct Members {
    pools: HashMap<(String, String), PhaseCounts>,
    all: HashMap<Phase, usize>,
}

impl Members {
    /// Counts units.
    pub fn count(units: impl Iterator<Item = Arc<ComputingUnit>>) -> Self {
        let mut members = Self::default();
        for unit in units {
            let phase = unit.status.as_ref().and_then(|status| status.phase).unwrap_or(Phase::Pending);
            *members.all.entry(phase).or_default() += 1;
            let pool = (unit.namespace().unwrap_or_default(), unit.spec.pool_name.clone());
            let counts = members.pools.entry(pool).or_default();
            counts.total += 1;
            *match phase {
                Phase::Pending => &mut counts.pending,
                Phase::Starting => &mut counts.starting,
                Phase::Ready => &mut counts.ready,
                Phase::NotReady => &mut counts.not_ready,
                Phase::Failed => &mut counts.failed,
                Phase::Finished => &mut counts.finished,
                Phase::Suspending => &mut counts.suspending,
                Phase::Suspended => &mut counts.suspended,
                Phase::Terminating => &mut counts.terminating,
            } += 1;
        }
        members
    }

    /// How many units of all pools are in a phase.
    pub fn in_phase(&self, phase: Phase) -> usize {
        self.all.get(&phase).copied().unwrap_or_default()
    }

    fn of(&self, pool: &ComputingUnitPool) -> PhaseCounts {
        let key = (pool.namespace().unwrap_or_default(), pool.name_any());
        self.pools.get(&key).copied().unwrap_or_default()
    }
}

/// The status of `pool`, which is one of `all`.
pub fn status(
    pool: &ComputingUnitPool,
    all: &[Arc<ComputingUnitPool>],
    members: &Members,
    gateway: Option<Arc<Gateway>>,
    entry: Option<(&'static str, String, String)>,
    now: Timestamp,
) -> ComputingUnitPoolStatus {
    let wanted = &pool.spec.gateway_ref;
    let accepted = match overlap::overlapped(pool, all.iter().map(Arc::as_ref)) {
        None => {
            ("Accepted", "True", "Accepted", "no older pool of the gateway answers for the same requests".to_owned())
        }
        Some(older) => {
            let which =
                if older.namespace() == pool.namespace() { format!(" {:?}", older.name_any()) } else { String::new() };
            let message = format!(
                "the routing overlaps that of the older pool{which} on the same gateway: no unit of this pool is \
                 started; give it other paths, another prefix or another domain"
            );
            ("Accepted", "False", "Overlap", message)
        }
    };
    let found = match (
        &gateway,
        gateway.as_ref().and_then(|gateway| listener::missing(gateway, wanted.section_name.as_deref())),
    ) {
        (None, _) => {
            let message =
                format!("there is no Gateway {:?} in namespace {:?}: create it", wanted.name, wanted.namespace);
            ("GatewayFound", "False", "GatewayNotFound", message)
        }
        (Some(_), Some(missing)) => ("GatewayFound", "False", "ListenerNotFound", missing),
        (Some(_), None) => ("GatewayFound", "True", "Found", "the gateway is there".to_owned()),
    };
    let previous = pool.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let dated = |(type_, status, reason, message): (&str, &str, &str, String)| Condition {
        last_transition_time: previous
            .iter()
            .find(|condition| condition.type_ == type_ && condition.status == status)
            .map_or(Time(now), |condition| condition.last_transition_time.clone()),
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: pool.metadata.generation,
    };
    ComputingUnitPoolStatus {
        observed_generation: pool.metadata.generation,
        units: members.of(pool),
        addresses: gateway.map(|gateway| listener::addresses(&gateway)).unwrap_or_default(),
        conditions: [accepted, found]
            .into_iter()
            .chain(entry.as_ref().map(|(status, reason, message)| ("Entry", *status, reason.as_str(), message.clone())))
            .map(dated)
            .collect(),
    }
}

/// Whether two statuses say the same, at whatever time they began to.
pub fn same(a: &ComputingUnitPoolStatus, b: &ComputingUnitPoolStatus) -> bool {
    a.units == b.units && same_but_counts(a, b)
}

/// The same, the counts aside.
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
        all: &[Arc<ComputingUnitPool>],
        units: Vec<ComputingUnit>,
    ) -> ComputingUnitPoolStatus {
        let members = Members::count(units.into_iter().map(Arc::new));
        status(pool, all, &members, None, None, Timestamp::UNIX_EPOCH)
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
        let status = of(&pool, &[], vec![ready, new, other]);
        assert_eq!(status.units, PhaseCounts { total: 2, pending: 1, ready: 1, ..PhaseCounts::default() });
    }

    #[test]
    fn an_overlap_and_a_missing_gateway_are_told() {
        let mut old = testing::pool(testing::query_routing());
        old.metadata.uid = Some("old".into());
        old.metadata.creation_timestamp = Some(testing::time("2026-01-01T00:00:00Z"));
        let mut young = testing::pool(testing::path_routing());
        young.spec.routing.path.as_mut().unwrap().prefix = "/wsapi".into();
        young.metadata.creation_timestamp = Some(testing::time("2026-01-02T00:00:00Z"));
        let all = [Arc::new(old.clone()), Arc::new(young.clone())];
        let status = of(&young, &all, vec![]);
        assert_eq!((reason(&status, "Accepted"), reason(&status, "GatewayFound")), ("Overlap", "GatewayNotFound"));
        assert_eq!(reason(&of(&old, &all, vec![]), "Accepted"), "Accepted");
    }

    #[test]
    fn time_alone_is_no_difference() {
        let mut pool = testing::pool(testing::query_routing());
        let first = of(&pool, &[], vec![]);
        pool.status = Some(first.clone());
        let members = Members::default();
        let later = status(&pool, &[], &members, None, None, Timestamp::now());
        assert_eq!(first, later, "a condition keeps its time while its status stays");
        let mut counted = first.clone();
        counted.units.total = 3;
        assert!(!same(&first, &counted) && same_but_counts(&first, &counted));
    }
}
