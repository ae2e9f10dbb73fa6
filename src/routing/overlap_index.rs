//! Which pools overlap which. Each pair is compared once per edit: comparing all pools at each reconcile would cost the
//! square of their number.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use computing_unit_api::ComputingUnitPool;
use kube::ResourceExt;
use parking_lot::Mutex;

use super::overlap;

/// Derived from a set of pools, and updated when the set has another revision.
#[derive(Default)]
pub struct OverlapIndex(Mutex<Index>);

#[derive(Default)]
struct Index {
    /// The revision of the pools. `None` before the first update.
    revision: Option<u64>,
    /// By UID.
    pools: HashMap<String, Entry>,
}

struct Entry {
    pool: Arc<ComputingUnitPool>,
    /// UIDs of the pools that it overlaps.
    overlaps: HashSet<String>,
}

impl OverlapIndex {
    /// The pools that `pool` overlaps, in no particular order. `pools` lists all pools, and has to return those of `revision`
    /// or later ones.
    pub fn overlapping<I>(
        &self,
        pool: &ComputingUnitPool,
        revision: u64,
        pools: impl FnOnce() -> I,
    ) -> Vec<Arc<ComputingUnitPool>>
    where
        I: Iterator<Item = Arc<ComputingUnitPool>>,
    {
        let mut index = self.0.lock();
        if index.revision.is_none_or(|known| known < revision) {
            index.update(pools());
            index.revision = Some(revision);
        }
        let entry = pool.metadata.uid.as_ref().and_then(|uid| index.pools.get(uid));
        let overlaps = entry.into_iter().flat_map(|entry| &entry.overlaps);
        overlaps.filter_map(|uid| Some(index.pools.get(uid)?.pool.clone())).collect()
    }
}

impl Index {
    fn update(&mut self, pools: impl Iterator<Item = Arc<ComputingUnitPool>>) {
        let mut current: HashMap<String, Arc<ComputingUnitPool>> =
            pools.filter_map(|pool| Some((pool.uid()?, pool))).collect();
        let outdated =
            |uid: &String, entry: &Entry| current.get(uid).is_none_or(|pool| inputs(pool) != inputs(&entry.pool));
        let removed: HashSet<String> =
            self.pools.iter().filter(|(uid, entry)| outdated(uid, entry)).map(|(uid, _)| uid.clone()).collect();
        self.pools.retain(|uid, _| !removed.contains(uid));
        for (uid, entry) in &mut self.pools {
            if !removed.is_empty() {
                entry.overlaps.retain(|other| !removed.contains(other));
            }
            // Its status may have changed.
            entry.pool = current.remove(uid).unwrap_or_else(|| entry.pool.clone());
        }
        for (uid, pool) in current {
            self.insert(uid, pool);
        }
    }

    fn insert(&mut self, uid: String, pool: Arc<ComputingUnitPool>) {
        let mut overlaps = HashSet::new();
        for (other, entry) in &mut self.pools {
            if overlap::conflict(&pool, &entry.pool) {
                entry.overlaps.insert(uid.clone());
                overlaps.insert(other.clone());
            }
        }
        self.pools.insert(uid, Entry { pool, overlaps });
    }
}

/// What an overlap depends on.
fn inputs(pool: &ComputingUnitPool) -> (Option<i64>, bool) {
    (pool.metadata.generation, pool.metadata.deletion_timestamp.is_some())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::testing::{self, path_routing};

    fn pool(name: &str, generation: i64, prefix: &str) -> Arc<ComputingUnitPool> {
        let mut routing = path_routing();
        routing.path.as_mut().unwrap().prefix = prefix.to_owned();
        let mut pool = testing::pool(routing);
        pool.metadata.name = Some(name.to_owned());
        pool.metadata.uid = Some(name.to_owned());
        pool.metadata.generation = Some(generation);
        Arc::new(pool)
    }

    /// What each of `pools` overlaps according to the index, and by comparison of each with each.
    fn compare(index: &OverlapIndex, revision: u64, pools: &[Arc<ComputingUnitPool>]) {
        for pool in pools {
            let uids = |pools: Vec<Arc<ComputingUnitPool>>| pools.iter().filter_map(|pool| pool.uid()).collect();
            let found: HashSet<String> = uids(index.overlapping(pool, revision, || pools.iter().cloned()));
            let expected = pools.iter().filter(|other| overlap::conflict(pool, other)).cloned().collect();
            assert_eq!(found, uids(expected), "{:?} at revision {revision}", pool.uid());
        }
    }

    #[test]
    fn index_follows_creations_edits_and_deletions() {
        let index = OverlapIndex::default();
        let (wide, narrow) = (pool("wide", 1, "/units"), pool("narrow", 1, "/units/more"));
        let (other, moved) = (pool("other", 1, "/apart"), pool("other", 2, "/units/other"));
        let mut terminating = wide.as_ref().clone();
        terminating.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH));
        let histories = [
            vec![wide.clone()],
            vec![wide.clone(), narrow.clone(), other.clone()],
            vec![wide.clone(), narrow.clone(), moved.clone()],
            vec![Arc::new(terminating), narrow.clone(), moved.clone()],
            vec![narrow, moved],
            vec![],
            vec![wide, other],
        ];
        for (revision, pools) in (1..).zip(histories) {
            compare(&index, revision, &pools);
        }
    }

    #[test]
    fn statuses_are_those_of_the_latest_revision() {
        let index = OverlapIndex::default();
        let (wide, narrow) = (pool("wide", 1, "/units"), pool("narrow", 1, "/units/more"));
        index.overlapping(&wide, 1, || [wide.clone(), narrow.clone()].into_iter());
        let mut changed = narrow.as_ref().clone();
        changed.status = Some(computing_unit_api::ComputingUnitPoolStatus::default());
        let changed = Arc::new(changed);
        let found = index.overlapping(&wide, 2, || [wide.clone(), changed].into_iter());
        assert!(found[0].status.is_some());
    }

    #[test]
    fn pools_are_listed_once_per_revision() {
        let index = OverlapIndex::default();
        let wide = pool("wide", 1, "/units");
        let mut lists = 0;
        for revision in [1, 1, 1, 2, 2] {
            index.overlapping(&wide, revision, || {
                lists += 1;
                std::iter::once(wide.clone())
            });
        }
        assert_eq!(lists, 2);
    }
}
