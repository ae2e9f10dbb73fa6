//! A pod that is lost is made anew, each time after a longer delay; a unit whose pod has ended for good, or was not ready
//! in time, says how and is not tried again until somebody asks.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use anyhow::{Context, ensure};
use computing_unit_api::{ComputingUnit, ComputingUnitStatus, Phase};
use e2e::{
    faults::Call,
    stage::{SOON, Stage, play},
    units::{self, Mode, with},
    wait::until,
};
use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, EvictParams, ListParams},
};
use serde_json::json;

const QUIET: Duration = Duration::from_secs(3);

fn of(unit: Option<&ComputingUnit>) -> Option<&ComputingUnitStatus> {
    unit?.status.as_ref()
}

fn count(unit: Option<&ComputingUnit>) -> i32 {
    of(unit).and_then(|status| Some(status.restarts.as_ref()?.count)).unwrap_or(0)
}

/// Waits until the `nth` loss is written down: the delay until the next pod, and when that is.
async fn until_lost(stage: &Stage, nth: i32) -> anyhow::Result<(i64, i64)> {
    let written = |unit: Option<&ComputingUnit>| count(unit) == nth;
    let unit = until("written loss", SOON, stage.units(), "ada", written).await?.context("the unit")?;
    let status = unit.status.unwrap();
    let next = status.restarts.unwrap().next.context("when the next pod is made")?.0;
    let lost = status.last_failure.context("how the pod was lost")?.time.unwrap().0;
    Ok((next.as_second() - lost.as_second(), next.as_second()))
}

/// Waits until the unit is ready by another pod than that; the pod.
async fn until_another(stage: &Stage, before: &Pod) -> anyhow::Result<Pod> {
    let uid = before.uid();
    until("another pod", SOON, stage.pods(), "ada", |pod| pod.is_some_and(|pod| pod.uid() != uid)).await?;
    stage.until("ada", Phase::Ready).await?;
    Ok(stage.pods().get("ada").await?)
}

fn created(pod: &Pod) -> i64 {
    pod.metadata.creation_timestamp.as_ref().unwrap().0.as_second()
}

/// Waits until the operator has nothing to say for a while, and asks whether it then is as it was.
async fn stays(stage: &Stage, name: &str, phase: Phase) -> anyhow::Result<()> {
    stage.proxy.quiet(QUIET, SOON).await?;
    let before = stage.proxy.quiet(QUIET, SOON).await?;
    ensure!(units::phase(Some(&stage.units().get(name).await?)) == Some(phase), "{name} is {phase:?}");
    ensure!(stage.pods().get_opt(name).await?.is_none(), "{name} has no pod");
    let calls = stage.proxy.counts().since(&before).only(|call| call.is_write() && call.resource != "leases");
    ensure!(calls.total() == 0, "{}", stage.proxy.describe(&before));
    Ok(())
}

async fn events(stage: &Stage) -> anyhow::Result<Vec<(String, String)>> {
    let api = Api::<Event>::namespaced(stage.cluster.client(), &stage.namespace);
    let of_units =
        |event: &Event| event.regarding.as_ref().is_some_and(|of| of.kind.as_deref() == Some("ComputingUnit"));
    let all = api.list(&ListParams::default()).await?.into_iter().filter(of_units);
    Ok(all.map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default())).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_deleted_again_and_again_comes_back_later_each_time() -> anyhow::Result<()> {
    play("deleted", |stage| async move {
        stage.make_pool_with(&json!({"restartBackoff": {"initial": "1s", "max": "4s", "reset": "10m"}})).await?;
        let _operator = stage.start().await?;
        stage.make(&stage.unit("ada")).await?;
        let url = stage.until("ada", Phase::Ready).await?.status.unwrap().url;
        let mut pod = stage.pods().get("ada").await?;
        let force = DeleteParams::default().grace_period(0);
        for (nth, at_least, how) in
            [(1, 1, DeleteParams::default()), (2, 2, force.clone()), (3, 4, force.clone()), (4, 4, force)]
        {
            stage.pods().delete("ada", &how).await?;
            let (delay, next) = until_lost(&stage, nth).await?;
            ensure!((at_least..=at_least + 2).contains(&delay), "the {nth}. delay is {delay} s");
            let another = until_another(&stage, &pod).await?;
            ensure!(created(&another) >= next, "the {nth}. pod came {} s early", next - created(&another));
            pod = another;
        }
        let status = stage.units().get("ada").await?.status.unwrap();
        assert_eq!(status.url, url, "its URL is the same");
        assert_eq!(status.last_failure.unwrap().reason, "PodLost");
        let told = events(&stage).await?;
        ensure!(told.iter().any(|(reason, note)| reason == "PodLost" && note.contains("made anew in")), "{told:?}");
        stage.delete("ada").await
    })
    .await
}

/// Whoever deletes every pod at once gets no more of them than the delays allow.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_deleted_as_soon_as_it_is_there_meets_the_delay() -> anyhow::Result<()> {
    play("loop", |stage| async move {
        stage.make_pool_with(&json!({"restartBackoff": {"initial": "1s", "max": "2s", "reset": "10m"}})).await?;
        let _operator = stage.start().await?;
        let pods = stage.pods();
        let deleter = tokio::spawn(async move {
            loop {
                let there = |pod: Option<&Pod>| pod.is_some_and(|pod| pod.metadata.deletion_timestamp.is_none());
                if until("pod", SOON, pods.clone(), "ada", there).await.is_err() {
                    return;
                }
                let _ = pods.delete("ada", &DeleteParams::default().grace_period(0)).await;
            }
        });
        let before = stage.proxy.counts();
        stage.make(&stage.unit("ada")).await?;
        let often = |unit: Option<&ComputingUnit>| count(unit) >= 4;
        let unit = until("four losses", SOON, stage.units(), "ada", often).await?;
        deleter.abort();
        let made = |call: &Call| call.resource == "pods" && call.is_write() && call.subresource.is_empty();
        let made = stage.proxy.counts().since(&before).only(made).total();
        let lost = u64::try_from(count(unit.as_ref()))?;
        ensure!(made <= lost + 1, "{made} pods were made for {lost} losses\n{}", stage.proxy.describe(&before));
        stage.until("ada", Phase::Ready).await?;
        stage.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_evicted_is_made_anew() -> anyhow::Result<()> {
    play("evicted", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        let _operator = stage.start().await?;
        stage.make(&stage.unit("ada")).await?;
        stage.until("ada", Phase::Ready).await?;
        let pod = stage.pods().get("ada").await?;
        stage.pods().evict("ada", &EvictParams::default()).await?;
        until_another(&stage, &pod).await?;
        let failure = stage.units().get("ada").await?.status.unwrap().last_failure.unwrap();
        ensure!(failure.reason == "PodEvicted" && failure.message.contains("is evicted"), "{failure:?}");
        stage.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_while_a_pod_is_waited_for_is_no_matter() -> anyhow::Result<()> {
    play("killed", |stage| async move {
        stage.make_pool_with(&json!({"restartBackoff": {"initial": "8s", "max": "8s", "reset": "10m"}})).await?;
        let operator = stage.start().await?;
        stage.make(&stage.unit("ada")).await?;
        stage.until("ada", Phase::Ready).await?;
        let pod = stage.pods().get("ada").await?;
        stage.pods().delete("ada", &DeleteParams::default().grace_period(0)).await?;
        let (_, next) = until_lost(&stage, 1).await?;
        operator.kill().await?;
        let _operator = stage.start().await?;
        let another = until_another(&stage, &pod).await?;
        ensure!(created(&another) >= next, "it came {} s early", next - created(&another));
        assert_eq!(count(Some(&stage.units().get("ada").await?)), 1, "it is counted once");
        stage.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_fails_and_is_not_restarted_says_how() -> anyhow::Result<()> {
    play("failed", |stage| async move {
        stage.make_pool_with(&json!({"template": {"spec": {"restartPolicy": "Never"}}})).await?;
        let operator = stage.start().await?;
        let fails = json!({"spec": {"env": [
            {"name": "FAIL_START", "value": "3"}, {"name": "FAIL_MESSAGE", "value": "out of cheese"},
        ]}});
        stage.make(&with(&stage.unit("ada"), &fails)).await?;
        let status = stage.until("ada", Phase::Failed).await?.status.unwrap();
        let failure = status.last_failure.unwrap();
        assert_eq!(
            (failure.reason.as_str(), failure.container.as_deref(), failure.exit_code),
            ("PodFailed", Some("engine"), Some(3))
        );
        ensure!(failure.message.contains("out of cheese"), "{failure:?}");
        let message = stage.until_says("ada", "Finished", "True", "PodFailed").await?;
        ensure!(message.contains("exit code 3") && message.contains("until the unit is edited"), "{message}");
        until("end of the pod", SOON, stage.pods(), "ada", |pod| pod.is_none()).await?;
        stays(&stage, "ada", Phase::Failed).await?;
        operator.kill().await?;
        let _operator = stage.start().await?;
        stays(&stage, "ada", Phase::Failed).await?;
        let told = events(&stage).await?;
        assert_eq!(told.iter().filter(|(reason, _)| reason == "Failed").count(), 1, "{told:?}");
        // Suspended and resumed, it fails again; edited, it runs.
        stage.edit("ada", json!({"operatingMode": "Suspended"})).await?;
        stage.until("ada", Phase::Suspended).await?;
        stage.edit("ada", json!({"operatingMode": "Running"})).await?;
        stage.until("ada", Phase::Failed).await?;
        stage.edit("ada", json!({"env": []})).await?;
        let ready = stage.until("ada", Phase::Ready).await?;
        ensure!(units::says(Some(&ready), "Finished", "True").is_none());
        ensure!(ready.status.unwrap().last_failure.is_some(), "it is still told");
        stage.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_ends_by_itself_is_finished() -> anyhow::Result<()> {
    play("succeeded", |stage| async move {
        stage.make_pool_with(&json!({"template": {"spec": {"restartPolicy": "OnFailure"}}})).await?;
        let _operator = stage.start().await?;
        let ends = json!({"spec": {"env": [{"name": "FAIL_START", "value": "0"}]}});
        stage.make(&with(&stage.unit("ada"), &ends)).await?;
        stage.until("ada", Phase::Finished).await?;
        stage.until_says("ada", "Finished", "True", "PodSucceeded").await?;
        until("end of the pod", SOON, stage.pods(), "ada", |pod| pod.is_none()).await?;
        stays(&stage, "ada", Phase::Finished).await?;
        stage.delete("ada").await?;
        stage.until_nothing_is_left("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_too_long_is_given_up_until_the_unit_is_edited() -> anyhow::Result<()> {
    play("late", |stage| async move {
        let images = json!([
            {"name": "engine", "image": units::ENGINE},
            {"name": "missing", "image": "docker.io/local/there-is-none:dev"},
        ]);
        stage.make_pool_with(&json!({"startTimeout": "20s", "images": images})).await?;
        let operator = stage.start().await?;
        stage.make(&with(&stage.unit("ada"), &json!({"spec": {"image": "missing"}}))).await?;
        let early = stage.until_says("ada", "PodReady", "False", "ImagePullFailed").await?;
        ensure!(early.contains("there-is-none"), "{early}");
        let status = stage.until("ada", Phase::Failed).await?.status.unwrap();
        let failure = status.last_failure.unwrap();
        ensure!(failure.reason == "StartTimeout" && failure.message.contains("there-is-none"), "{failure:?}");
        stage.until_says("ada", "Finished", "True", "StartTimeout").await?;
        until("end of the pod", SOON, stage.pods(), "ada", |pod| pod.is_none()).await?;
        stays(&stage, "ada", Phase::Failed).await?;
        operator.kill().await?;
        let _operator = stage.start().await?;
        stays(&stage, "ada", Phase::Failed).await?;
        stage.edit("ada", json!({"image": "engine"})).await?;
        stage.until("ada", Phase::Ready).await?;
        stage.delete("ada").await
    })
    .await
}

/// Room for a pod may take time to be made: before the timeout that is no failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_no_node_takes_is_no_failure_before_the_timeout() -> anyhow::Result<()> {
    play("unschedulable", |stage| async move {
        stage.make_pool_with(&json!({"startTimeout": "6s"})).await?;
        let _operator = stage.start().await?;
        let large = json!({"spec": {"resources": {"limits": {"cpu": "1000"}}}});
        stage.make(&with(&stage.unit("ada"), &large)).await?;
        stage.until_says("ada", "PodReady", "False", "Unschedulable").await?;
        let early = stage.units().get("ada").await?;
        ensure!(units::phase(Some(&early)) == Some(Phase::Pending), "{:?}", early.status);
        let status = stage.until("ada", Phase::Failed).await?.status.unwrap();
        ensure!(status.last_failure.unwrap().message.contains("no node takes the pod"));
        until("end of the pod", SOON, stage.pods(), "ada", |pod| pod.is_none()).await?;
        stage.delete("ada").await
    })
    .await
}
