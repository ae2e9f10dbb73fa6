//! A pool is changed whose units have the update strategy `Recreate`.

use std::{collections::BTreeSet, pin::pin};

use anyhow::{Context, ensure};
use computing_unit_api::{Phase, names::PORT};
use e2e::{
    fixture::{Fixture, SOON},
    units::{self, Mode},
};
use futures::TryStreamExt;
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
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
async fn ask_at(fixture: &Fixture, port: i32, path: &str) -> anyhow::Result<()> {
    let mut pool = serde_json::to_value(fixture.pools().get("default").await?)?;
    pool["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"] =
        json!({"port": port, "path": path});
    let patch = Patch::Merge(json!({"spec": {"template": pool["spec"]["template"]}}));
    fixture.pools().patch("default", &PatchParams::default(), &patch).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_a_changed_pool_are_recreated_one_at_a_time() -> anyhow::Result<()> {
    with_fixture("turns", |fixture| async move {
        let _operator = fixture.start().await?;
        start(&fixture).await?;
        let before = pods(&fixture).await?;
        let mut events = pin!(watcher(fixture.units(), watcher::Config::default()).applied_objects());
        ask_at(&fixture, PORT, "/api/healthcheck?again").await?;
        let (mut down, mut had) = (BTreeSet::new(), BTreeSet::new());
        while had.len() < NAMES.len() || !down.is_empty() {
            let unit = timeout(SOON, events.try_next()).await.context("the next turn")??.context("a watch")?;
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
    with_fixture("turns-bad", |fixture| async move {
        let _operator = fixture.start().await?;
        start(&fixture).await?;
        let before = pods(&fixture).await?;
        ask_at(&fixture, 1, "/api/healthcheck").await?;
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
        ask_at(&fixture, PORT, "/api/healthcheck").await?;
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
