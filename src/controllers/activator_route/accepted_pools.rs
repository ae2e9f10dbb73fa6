//! The accepted pools, grouped by key space: one pool is compared with its group and not with every other pool.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use computing_unit_api::{ComputingUnitPool, Routing, RoutingType};
use kube::ResourceExt;

use crate::{
    controllers::pool_conflict::PoolConflict,
    routing::{mode, overlap},
};

/// The pools without a conflict.
#[derive(Default)]
pub struct AcceptedPools {
    uids: HashSet<String>,
    groups: HashMap<KeySpace, Group>,
}

/// Pools of one key space share their keys.
#[derive(PartialEq, Eq, Hash)]
struct KeySpace {
    gateway: (String, String),
    mode: RoutingType,
    name: String,
}

/// The accepted pools of one key space.
#[derive(Default)]
struct Group {
    /// The oldest with an activator.
    oldest: Option<Arc<ComputingUnitPool>>,
    /// Without duplicates: pools with the same routing do not hide each other's units.
    routings: Vec<Routing>,
}

impl AcceptedPools {
    /// `conflicts` has those of `pools`, in their order.
    pub fn new(pools: &[Arc<ComputingUnitPool>], conflicts: &[Option<PoolConflict>]) -> Self {
        let accepted = pools.iter().zip(conflicts).filter(|(_, conflict)| conflict.is_none());
        accepted.map(|(pool, _)| pool.clone()).collect()
    }

    pub fn contains(&self, pool: &ComputingUnitPool) -> bool {
        pool.metadata.uid.as_ref().is_some_and(|uid| self.uids.contains(uid))
    }

    /// The oldest pool with an activator that shares its keys with `pool` and is older.
    pub fn older_with_activator(&self, pool: &ComputingUnitPool) -> Option<&ComputingUnitPool> {
        let oldest = self.group(pool)?.oldest.as_deref()?;
        overlap::older(oldest, pool).then_some(oldest)
    }

    /// The routings of the pools that share their keys with `pool` and have another routing.
    pub fn other_routings(&self, pool: &ComputingUnitPool) -> Vec<&Routing> {
        let group = self.group(pool);
        let routings = group.into_iter().flat_map(|group| &group.routings);
        routings.filter(|routing| **routing != pool.spec.routing).collect()
    }

    fn group(&self, pool: &ComputingUnitPool) -> Option<&Group> {
        self.groups.get(&key_space(pool)?)
    }
}

impl FromIterator<Arc<ComputingUnitPool>> for AcceptedPools {
    fn from_iter<I: IntoIterator<Item = Arc<ComputingUnitPool>>>(pools: I) -> Self {
        let mut accepted = Self::default();
        for pool in pools {
            accepted.uids.extend(pool.uid());
            let Some(key_space) = key_space(&pool) else { continue };
            if pool.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let group = accepted.groups.entry(key_space).or_default();
            if !group.routings.contains(&pool.spec.routing) {
                group.routings.push(pool.spec.routing.clone());
            }
            let is_oldest = group.oldest.as_deref().is_none_or(|oldest| overlap::older(&pool, oldest));
            if pool.spec.activator.is_some() && is_oldest {
                group.oldest = Some(pool);
            }
        }
        accepted
    }
}

fn key_space(pool: &ComputingUnitPool) -> Option<KeySpace> {
    let routing = &pool.spec.routing;
    let gateway = &pool.spec.gateway_ref;
    Some(KeySpace {
        gateway: (gateway.namespace.clone(), gateway.name.clone()),
        mode: routing.r#type,
        name: mode(routing)?.key_space().to_owned(),
    })
}
