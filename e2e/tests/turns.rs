//! A pool is changed whose units say `Recreate`: they are made anew by turns.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::BTreeSet, pin::pin};

use anyhow::{Context, ensure};
use computing_unit_api::{Phase, names::PORT};
use e2e::{
    stage::{SOON, Stage, play},
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

const NAMES: [&str; 4] = ["ada", "bob", "cyd", "dan"];

async fn start(stage: &Stage) -> anyhow::Result<()> {
    stage.make_pool(Mode::Query).await?;
    for name in NAMES {
        let spec = json!({"spec": {"updateStrategy": "Recreate"}});
        stage.make(&units::with(&stage.unit(name), &spec)).await?;
    }
    for name in NAMES {
        stage.until(name, Phase::Ready).await?;
    }
    Ok(())
}

async fn pods(stage: &Stage) -> anyhow::Result<Vec<Option<String>>> {
    let all = stage.pods().list(&ListParams::default()).await?;
    Ok(NAMES.map(|name| all.iter().find(|pod| pod.name_any() == name).and_then(ResourceExt::uid)).to_vec())
}

/// Gives the engine another readiness probe, and so another template.
async fn ask_at(stage: &Stage, port: i32, path: &str) -> anyhow::Result<()> {
    let mut pool = serde_json::to_value(stage.pools().get("default").await?)?;
    pool["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"] =
        json!({"port": port, "path": path});
    let patch = Patch::Merge(json!({"spec": {"template": pool["spec"]["template"]}}));
    stage.pools().patch("default", &PatchParams::default(), &patch).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_a_changed_pool_are_made_anew_one_by_one() -> anyhow::Result<()> {
    play("turns", |stage| async move {
        let _operator = stage.start().await?;
        start(&stage).await?;
        let before = pods(&stage).await?;
        let mut events = pin!(watcher(stage.units(), watcher::Config::default()).applied_objects());
        ask_at(&stage, PORT, "/api/healthcheck?again").await?;
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
        let after = pods(&stage).await?;
        ensure!(before.iter().zip(&after).all(|(before, after)| before != after), "{before:?} {after:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_which_units_do_not_start_stops_at_the_first_until_it_is_taken_back() -> anyhow::Result<()> {
    play("turns-bad", |stage| async move {
        let _operator = stage.start().await?;
        start(&stage).await?;
        let before = pods(&stage).await?;
        ask_at(&stage, 1, "/api/healthcheck").await?;
        let mut events = pin!(watcher(stage.units(), watcher::Config::default()).applied_objects());
        let (mut down, mut queued) = (BTreeSet::new(), BTreeSet::new());
        while down.len() + queued.len() < NAMES.len() {
            let unit = timeout(SOON, events.try_next()).await.context("a word")??.context("a watch")?;
            if units::phase(Some(&unit)) != Some(Phase::Ready) {
                down.insert(unit.name_any());
            } else if units::says(Some(&unit), "UpdatePending", "True").is_some_and(|(why, _)| why == "Queued") {
                queued.insert(unit.name_any());
            }
        }
        ensure!(down.len() == 1, "{down:?} {queued:?}");
        // A user's own edit waits for nobody, and is not held up by the pod that does not start.
        let own = queued.pop_first().context("one that waits")?;
        stage.edit(&own, json!({"env": [{"name": "OWN", "value": "1"}]})).await?;
        stage.until(&own, Phase::Starting).await?;
        ask_at(&stage, PORT, "/api/healthcheck").await?;
        for name in NAMES {
            stage.until(name, Phase::Ready).await?;
        }
        let after = pods(&stage).await?;
        for (name, (before, after)) in NAMES.iter().zip(before.iter().zip(&after)) {
            ensure!(queued.contains(*name) == (before == after), "{name}: {before:?} {after:?}");
        }
        Ok(())
    })
    .await
}
