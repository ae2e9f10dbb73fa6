//! Fills the index from watches of its own, whether this process leads or not. What the entry does not read is not kept.

use std::{collections::HashSet, fmt::Debug, sync::Arc};

use computing_unit_api::{ComputingUnit, ComputingUnitPool, ComputingUnitSpec, ComputingUnitStatus};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::{Client, Resource, ResourceExt, core::NamespaceResourceScope, runtime::watcher::Event};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::index::Index;
use crate::{
    health::Gates,
    k8s::{
        cache::Cached,
        progress::{ProgressReceiver, listed},
        scope::{in_scope, scopes},
        waker::Waker,
        watch::Watch,
    },
    metrics::{Metrics, Resource as Label},
};

/// What is not ready until all units and pools were listed once.
const GATE: &str = "units and pools of the activator";

/// Starts the watches of `namespaces`, or of all. They end with the set.
pub fn follow(
    client: &Client,
    namespaces: &[String],
    index: &Arc<Index>,
    metrics: &Arc<Metrics>,
    gates: &Gates,
) -> JoinSet<()> {
    gates.close(GATE);
    let (mut tasks, mut watched) = (JoinSet::new(), vec![]);
    for scope in scopes(namespaces) {
        let mut start = Start { client, scope, metrics, tasks: &mut tasks, watched: &mut watched };
        start.units(index.clone());
        start.pools(index.clone());
    }
    let (gates, index) = (gates.clone(), index.clone());
    tasks.spawn(async move {
        listed(watched).await;
        index.completed();
        gates.open(GATE);
    });
    tasks
}

struct Start<'a> {
    client: &'a Client,
    scope: Option<String>,
    metrics: &'a Arc<Metrics>,
    tasks: &'a mut JoinSet<()>,
    watched: &'a mut Vec<ProgressReceiver>,
}

impl Start<'_> {
    fn units(&mut self, index: Arc<Index>) {
        let scope = self.scope.clone();
        self.start(Label::ComputingUnits, prune_unit, move |event, all| match event {
            Event::Apply(unit) | Event::InitApply(unit) => index.unit(unit.clone()),
            Event::Delete(unit) => index.no_unit(&unit.uid().unwrap_or_default()),
            Event::InitDone => index.only_units(scope.as_deref(), &all()),
            Event::Init => {}
        });
    }

    fn pools(&mut self, index: Arc<Index>) {
        let scope = self.scope.clone();
        self.start(Label::ComputingUnitPools, prune_pool, move |event, all| match event {
            Event::Apply(pool) | Event::InitApply(pool) => index.add_pool(pool.clone()),
            Event::Delete(pool) => index.no_pool(&pool.uid().unwrap_or_default()),
            Event::InitDone => index.only_pools(scope.as_deref(), &all()),
            Event::Init => {}
        });
    }

    fn start<K>(
        &mut self,
        label: Label,
        prune: fn(&mut K),
        told: impl Fn(&Event<K>, &dyn Fn() -> HashSet<String>) + Send + 'static,
    ) where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let cache = Cached::<K>::default();
        // No unit is woken, and what cannot be read is reported by whoever leads.
        let watch = Watch::new(label, in_scope(self.client, self.scope.as_deref()), &cache)
            .prune(prune)
            .after_store(move |event| told(event, &|| cache.all().iter().filter_map(|object| object.uid()).collect()));
        self.watched.push(watch.start(Waker::new(&[]).0, self.metrics, self.tasks));
    }
}

/// Keeps of a unit which it is, whether it is to run, and how far it has come.
fn prune_unit(unit: &mut ComputingUnit) {
    unit.metadata.managed_fields = None;
    unit.metadata.annotations = None;
    unit.metadata.labels = None;
    let spec = std::mem::take(&mut unit.spec);
    unit.spec = ComputingUnitSpec {
        operating_mode: spec.operating_mode,
        cuid: spec.cuid,
        pool_name: spec.pool_name,
        ..ComputingUnitSpec::default()
    };
    unit.status = unit.status.take().map(|status| ComputingUnitStatus {
        observed_generation: status.observed_generation,
        phase: status.phase,
        stages: status.stages,
        conditions: status.conditions,
        ..ComputingUnitStatus::default()
    });
}

/// Keeps of a pool its routing and its entry.
fn prune_pool(pool: &mut ComputingUnitPool) {
    pool.metadata.managed_fields = None;
    pool.metadata.annotations = None;
    pool.spec.template = PodTemplateSpec::default();
    pool.spec.images = vec![];
    pool.spec.volume_claim_templates = vec![];
    pool.status = None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn what_is_read_is_kept() {
        let mut unit = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        unit.spec.image = Some("engine:2".into());
        unit.status = Some(ComputingUnitStatus { url: Some("x".into()), ..ComputingUnitStatus::default() });
        prune_unit(&mut unit);
        assert_eq!((unit.spec.cuid, unit.spec.image, unit.status.unwrap().url), (Some(42), None, None));
        assert_eq!((unit.spec.pool_name.as_str(), unit.metadata.generation), ("default", Some(1)));
        let mut pool = testing::pool(testing::query_routing());
        prune_pool(&mut pool);
        assert!(pool.spec.template.spec.is_none() && pool.spec.routing.query.is_some());
    }
}
