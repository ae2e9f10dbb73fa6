//! A pool is changed whose units have the update strategy `Recreate`.

use std::{collections::BTreeSet, pin::pin};

use anyhow::{Context, ensure};
use computing_unit_api::{Phase, names::PORT};
use e2e::{
    fixture::{Fixture, SOON},
    units::{self, Mode},
    wait::until,
};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;
use tokio::time::timeout;

use super::with_fixture;

const NAMES: [&str; 4] = ["ada", "bob", "cyd", "dan"];

async fn start(fixture: &Fixture) -> anyhow::Result<()> {
    fixture.create_default_pool(Mode::Query).await?;
    for name in NAMES {
        let spec = json!({"spec": {"updateStrategy": "Recreate"}});
        fixture.create(&units::with(&fixture.unit(name), &spec)).await?;
    }
    for name in NAMES {
        fixture.until(name, Phase::Ready).await?;
    }
    Ok(())
}

async fn pods(fixture: &Fixture) -> anyhow::Result<Vec<Option<String>>> {
    let all = fixture.pods().list(&ListParams::default()).await?;
    Ok(NAMES.map(|name| all.iter().find(|pod| pod.name_any() == name).and_then(ResourceExt::uid)).to_vec())
}

/// Changes the readiness probe of the template.
async fn probe_at(fixture: &Fixture, port: i32, path: &str) -> anyhow::Result<()> {
    fixture
        .edit_template(|template| {
            template["spec"]["containers"][0]["readinessProbe"]["httpGet"] = json!({"port": port, "path": path});
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_a_changed_pool_are_recreated_one_at_a_time() -> anyhow::Result<()> {
    with_fixture("rollout", |fixture| async move {
        let _operator = fixture.start().await?;
        start(&fixture).await?;
        let before = pods(&fixture).await?;
        let mut events = pin!(watcher(fixture.units(), watcher::Config::default()).applied_objects());
        probe_at(&fixture, PORT, "/api/healthcheck?again").await?;
        let (mut down, mut had) = (BTreeSet::new(), BTreeSet::new());
        while had.len() < NAMES.len() || !down.is_empty() {
            let unit = timeout(SOON, events.try_next()).await.context("the next replacement")??.context("a watch")?;
            if units::phase(Some(&unit)) == Some(Phase::Ready) {
                down.remove(&unit.name_any());
            } else {
                down.insert(unit.name_any());
                had.insert(unit.name_any());
            }
            ensure!(down.len() <= 1, "at once: {down:?}");
        }
        let after = pods(&fixture).await?;
        ensure!(before.iter().zip(&after).all(|(before, after)| before != after), "{before:?} {after:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_change_stops_at_the_first_unit_until_it_is_reverted() -> anyhow::Result<()> {
    with_fixture("rollout-bad", |fixture| async move {
        let _operator = fixture.start().await?;
        start(&fixture).await?;
        let before = pods(&fixture).await?;
        probe_at(&fixture, 1, "/api/healthcheck").await?;
        let mut events = pin!(watcher(fixture.units(), watcher::Config::default()).applied_objects());
        let (mut down, mut queued) = (BTreeSet::new(), BTreeSet::new());
        while down.len() + queued.len() < NAMES.len() {
            let unit = timeout(SOON, events.try_next()).await.context("a word")??.context("a watch")?;
            if units::phase(Some(&unit)) != Some(Phase::Ready) {
                down.insert(unit.name_any());
            } else if units::condition(Some(&unit), "UpdatePending", "True").is_some_and(|(why, _)| why == "Queued") {
                queued.insert(unit.name_any());
            }
        }
        ensure!(down.len() == 1, "{down:?} {queued:?}");
        // A user's own edit waits for nobody, and is not held up by the pod that does not start.
        let own = queued.pop_first().context("one that waits")?;
        fixture.edit(&own, json!({"env": [{"name": "OWN", "value": "1"}]})).await?;
        fixture.until(&own, Phase::Starting).await?;
        probe_at(&fixture, PORT, "/api/healthcheck").await?;
        for name in NAMES {
            fixture.until(name, Phase::Ready).await?;
        }
        let after = pods(&fixture).await?;
        for (name, (before, after)) in NAMES.iter().zip(before.iter().zip(&after)) {
            ensure!(queued.contains(*name) == (before == after), "{name}: {before:?} {after:?}");
        }
        Ok(())
    })
    .await
}

/// A unit with the update strategy `Recreate` and 64Mi that is Ready.
async fn start_one(fixture: &Fixture) -> anyhow::Result<()> {
    fixture.create_default_pool(Mode::Query).await?;
    let spec = json!({"updateStrategy": "Recreate", "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}}});
    fixture.create(&units::with(&fixture.unit("ada"), &json!({"spec": spec}))).await?;
    fixture.until("ada", Phase::Ready).await?;
    Ok(())
}

async fn uid(fixture: &Fixture) -> anyhow::Result<Option<String>> {
    Ok(fixture.pods().get("ada").await?.uid())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_a_limit_range_refuses_replaces_none() -> anyhow::Result<()> {
    with_fixture("rollout-range", |fixture| async move {
        let _operator = fixture.start().await?;
        start_one(&fixture).await?;
        let before = uid(&fixture).await?;
        let range = json!({"metadata": {"name": "units"}, "spec": {"limits": [
            {"type": "Container", "max": {"cpu": "1", "memory": "128Mi"}},
        ]}});
        let ranges: Api<LimitRange> = Api::namespaced(fixture.cluster.client(), &fixture.namespace);
        ranges.create(&PostParams::default(), &serde_json::from_value(range)?).await?;
        // An amount alone: the next pod would be refused as well.
        fixture.edit("ada", json!({"resources": {"limits": {"memory": "1Gi"}}})).await?;
        let words = fixture.until_condition("ada", "ResizePending", "True", "Forbidden").await?;
        ensure!(words.contains("maximum memory usage per Container is 128Mi"), "{words}");
        // With a change that needs another pod.
        fixture.edit("ada", json!({"env": [{"name": "OWN", "value": "1"}]})).await?;
        let words = fixture.until_condition("ada", "UpdatePending", "True", "ReplacementRefused").await?;
        ensure!(words.contains("maximum memory usage per Container is 128Mi"), "{words}");
        fixture.until("ada", Phase::Ready).await?;
        ensure!(uid(&fixture).await? == before, "the pod was deleted");
        fixture.edit("ada", json!({"resources": {"limits": {"memory": "96Mi"}}})).await?;
        fixture.until("ada", Phase::Starting).await?;
        fixture.until("ada", Phase::Ready).await?;
        ensure!(uid(&fixture).await? != before, "the pod was not replaced");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_full_of_the_running_pod_holds_up_no_replacement() -> anyhow::Result<()> {
    with_fixture("rollout-quota", |fixture| async move {
        let _operator = fixture.start().await?;
        start_one(&fixture).await?;
        let before = uid(&fixture).await?;
        let quotas: Api<ResourceQuota> = Api::namespaced(fixture.cluster.client(), &fixture.namespace);
        let quota = json!({"metadata": {"name": "units"}, "spec": {"hard": {"pods": "1", "limits.memory": "64Mi"}}});
        quotas.create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
        let counted = |quota: Option<&ResourceQuota>| {
            let used = quota.and_then(|quota| quota.status.as_ref()?.used.as_ref()?.get("pods"));
            used.is_some_and(|used| used.0 == "1")
        };
        until("a quota that counts the pod", SOON, quotas.clone(), "units", counted).await?;
        // More than the quota has, once the running pod is gone.
        fixture.edit("ada", json!({"resources": {"limits": {"memory": "96Mi"}}})).await?;
        let words = fixture.until_condition("ada", "ResizePending", "True", "Forbidden").await?;
        ensure!(words.contains("exceeded quota: units"), "{words}");
        fixture.edit("ada", json!({"env": [{"name": "OWN", "value": "1"}]})).await?;
        let words = fixture.until_condition("ada", "UpdatePending", "True", "ReplacementRefused").await?;
        ensure!(words.contains("exceeded quota: units"), "{words}");
        ensure!(uid(&fixture).await? == before, "the pod was deleted");
        // As much as the running pod has.
        fixture.edit("ada", json!({"resources": {"limits": {"memory": "64Mi"}}})).await?;
        fixture.until("ada", Phase::Starting).await?;
        fixture.until("ada", Phase::Ready).await?;
        ensure!(uid(&fixture).await? != before, "the pod was not replaced");
        Ok(())
    })
    .await
}

/// Gives the template another command.
async fn run_command(fixture: &Fixture, command: &serde_json::Value) -> anyhow::Result<()> {
    fixture
        .edit_template(|template| {
            template["spec"]["restartPolicy"] = json!("Never");
            template["spec"]["containers"][0]["command"] = command.clone();
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_breaks_units_stays_stopped_and_correcting_it_starts_them() -> anyhow::Result<()> {
    with_fixture("rollout-stop", |fixture| async move {
        let operator = fixture.start().await?;
        start(&fixture).await?;
        let before = pods(&fixture).await?;
        // The image has no such program: the container cannot be created, or it ends at once.
        run_command(&fixture, &json!(["/computing-unit-engine-that-is-not-there"])).await?;
        fixture.edit_pool(json!({"startTimeout": "5s"})).await?;
        let failed = |fixture: &Fixture| {
            let units = fixture.units();
            async move {
                let all = units.list(&ListParams::default()).await?;
                let names = all.iter().filter(|unit| units::phase(Some(unit)) == Some(Phase::Failed));
                anyhow::Ok(names.map(ResourceExt::name_any).collect::<Vec<_>>())
            }
        };
        let mut events = pin!(watcher(fixture.units(), watcher::Config::default()).applied_objects());
        loop {
            let unit = timeout(SOON, events.try_next()).await.context("a failed unit")??.context("a watch")?;
            if units::phase(Some(&unit)) == Some(Phase::Failed) {
                break;
            }
        }
        // A restarted operator, and a unit that is edited meanwhile, so that all units are reconciled.
        drop(operator);
        let _operator = fixture.start().await?;
        let first = failed(&fixture).await?;
        ensure!(first.len() == 1, "{first:?}");
        for name in NAMES.iter().filter(|name| **name != first[0]) {
            fixture.until_condition(name, "UpdatePending", "True", "Queued").await?;
        }
        ensure!(failed(&fixture).await? == first, "the rollout went on");
        fixture.edit_pool(json!({"startTimeout": "5m"})).await?;
        run_command(&fixture, &json!(null)).await?;
        for name in NAMES {
            let current = |unit: Option<&computing_unit_api::ComputingUnit>| {
                units::phase(unit) == Some(Phase::Ready) && units::condition(unit, "UpdatePending", "True").is_none()
            };
            until("Ready with the corrected template", SOON, fixture.units(), name, current).await?;
        }
        let after = pods(&fixture).await?;
        ensure!(before.iter().zip(&after).all(|(before, after)| before != after), "{before:?} {after:?}");
        Ok(())
    })
    .await
}
