//! Fills the index from watches of units and pools, in every replica. Fields that the activator does not read are
//! dropped.

use std::{collections::HashSet, pin::pin, sync::Arc};

use computing_unit_api::{ComputingUnit, ComputingUnitPool, ComputingUnitSpec, ComputingUnitStatus};
use futures::{StreamExt, stream::FuturesUnordered};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::{Client, Resource, ResourceExt, core::NamespaceResourceScope, runtime::watcher::Event};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::index::Index;
use crate::{
    health::Gates,
    k8s::{
        cache::Cached,
        caches::GRACE,
        progress::{Started, listed},
        scope::scopes,
        watch::{Watch, WatchReporter, Watchable},
    },
    metrics::{Metrics, Resource as Label},
};

/// The readiness gate, which opens when units and pools have been listed once.
const GATE: &str = "units and pools of the activator";

/// Starts watches of `namespaces`, or of all namespaces if it is empty. They end when the set is dropped.
pub fn start(
    client: &Client,
    namespaces: &[String],
    index: &Arc<Index>,
    metrics: &Arc<Metrics>,
    gates: &Gates,
) -> JoinSet<()> {
    gates.close(GATE);
    let reporter = WatchReporter { metrics: metrics.clone(), gates: gates.clone() };
    let (mut tasks, scopes_listed) = (JoinSet::new(), FuturesUnordered::new());
    for scope in scopes(namespaces) {
        let mut watches = Watches { client, scope: scope.clone(), reporter: &reporter, tasks: &mut tasks };
        let started = [watches.units(index.clone()), watches.pools(index.clone())];
        let index = index.clone();
        scopes_listed.push(async move {
            listed(started.map(|watch| watch.progress)).await;
            index.set_synced(scope.as_deref());
        });
    }
    let gates = gates.clone();
    tasks.spawn(async move {
        enough_listed(scopes_listed).await;
        gates.open(GATE);
    });
    tasks
}

/// Waits until every scope is listed. A scope that cannot be listed is not waited for longer than the others take, after a
/// grace period.
async fn enough_listed(mut scopes: FuturesUnordered<impl Future<Output = ()>>) {
    let mut grace = pin!(sleep_until(Instant::now() + GRACE));
    let mut some = false;
    loop {
        tokio::select! {
            listed = scopes.next() => match listed {
                None => return,
                Some(()) => some = true,
            },
            () = &mut grace, if !grace.is_elapsed() => {}
        }
        if some && grace.is_elapsed() {
            return;
        }
    }
}

struct Watches<'a> {
    client: &'a Client,
    scope: Option<String>,
    reporter: &'a WatchReporter,
    tasks: &'a mut JoinSet<()>,
}

impl Watches<'_> {
    fn units(&mut self, index: Arc<Index>) -> Started {
        let scope = self.scope.clone();
        self.start(Label::ComputingUnits, prune_unit, move |event, uids| match event {
            Event::Apply(unit) | Event::InitApply(unit) => index.apply_unit(unit.clone()),
            Event::Delete(unit) => index.delete_unit(&unit.uid().unwrap_or_default()),
            Event::InitDone => index.retain_units(scope.as_deref(), &uids()),
            Event::Init => {}
        })
    }

    fn pools(&mut self, index: Arc<Index>) -> Started {
        let scope = self.scope.clone();
        self.start(Label::ComputingUnitPools, prune_pool, move |event, uids| match event {
            Event::Apply(pool) | Event::InitApply(pool) => index.apply_pool(pool.clone()),
            Event::Delete(pool) => index.delete_pool(&pool.uid().unwrap_or_default()),
            Event::InitDone => index.retain_pools(scope.as_deref(), &uids()),
            Event::Init => {}
        })
    }

    fn start<K>(
        &mut self,
        label: Label,
        prune: fn(&mut K),
        handle: impl Fn(&Event<K>, &dyn Fn() -> HashSet<String>) + Send + 'static,
    ) -> Started
    where
        K: Watchable + Resource<Scope = NamespaceResourceScope>,
    {
        let cache = Cached::<K>::default();
        // No reconcile is triggered, and the leader reports objects that cannot be read.
        let watch =
            Watch::in_scope(label, self.client, self.scope.as_deref(), &cache).prune(prune).after_store(move |event| {
                handle(event, &|| cache.all().iter().filter_map(|object| object.uid()).collect());
            });
        watch.start(Box::new(|_| ()), self.reporter, self.tasks)
    }
}

/// Keeps identity, key, operating mode and progress of a unit.
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

/// Keeps routing and activator settings of a pool.
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
    use tokio::time::Duration;

    use super::*;
    use crate::testing;

    #[tokio::test(start_paused = true)]
    async fn scope_that_cannot_be_listed_is_not_waited_for_after_the_grace_period() {
        let scopes = |after: [Duration; 2]| {
            let ends = after.into_iter().map(|after| sleep_until(Instant::now() + after));
            ends.collect::<FuturesUnordered<_>>()
        };
        let (soon, late, never) = (Duration::from_secs(1), 2 * GRACE, Duration::from_hours(1));
        for (after, expected) in [([soon; 2], soon), ([soon, never], GRACE), ([late, never], late)] {
            let began = Instant::now();
            enough_listed(scopes(after)).await;
            assert_eq!(began.elapsed().as_secs(), expected.as_secs(), "{after:?}");
        }
    }

    #[test]
    fn pruned_objects_keep_the_fields_that_the_activator_reads() {
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
