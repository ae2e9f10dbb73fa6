//! A lost pod is recreated with backoff. A unit whose pod has finished, or did not start in time, reports why and is not
//! retried until it is edited.

use std::time::Duration;

use anyhow::{Context, ensure};
use computing_unit_api::{ComputingUnit, ComputingUnitStatus, Phase};
use e2e::{
    faults::Call,
    fixture::{Fixture, SOON},
    units::{self, Mode, with},
    wait::{eventually, until},
};
use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, EvictParams, ListParams},
};
use serde_json::json;

use super::with_fixture;

const QUIET: Duration = Duration::from_secs(3);

fn of(unit: Option<&ComputingUnit>) -> Option<&ComputingUnitStatus> {
    unit?.status.as_ref()
}

fn count(unit: Option<&ComputingUnit>) -> i32 {
    of(unit).and_then(|status| Some(status.restarts.as_ref()?.count)).unwrap_or(0)
}

/// Waits until the `nth` loss is recorded. Returns the backoff, and the time of the next pod.
async fn until_lost(fixture: &Fixture, nth: i32) -> anyhow::Result<(i64, i64)> {
    let written = |unit: Option<&ComputingUnit>| count(unit) == nth;
    let unit = until("written loss", SOON, fixture.units(), "ada", written).await?.context("the unit")?;
    let status = unit.status.unwrap();
    let next = status.restarts.unwrap().next.context("when the next pod is made")?.0;
    let lost = status.last_failure.context("how the pod was lost")?.time.unwrap().0;
    Ok((next.as_second() - lost.as_second(), next.as_second()))
}

/// Waits until the unit is Ready with another pod, and returns that pod.
async fn until_another(fixture: &Fixture, before: &Pod) -> anyhow::Result<Pod> {
    let uid = before.uid();
    until("another pod", SOON, fixture.pods(), "ada", |pod| pod.is_some_and(|pod| pod.uid() != uid)).await?;
    fixture.until("ada", Phase::Ready).await?;
    Ok(fixture.pods().get("ada").await?)
}

fn created(pod: &Pod) -> i64 {
    pod.metadata.creation_timestamp.as_ref().unwrap().0.as_second()
}

/// Waits until the operator is quiet, and checks that the unit stays in that phase without a pod and without a write.
async fn stays(fixture: &Fixture, name: &str, phase: Phase) -> anyhow::Result<()> {
    fixture.proxy.quiet(QUIET, SOON).await?;
    let before = fixture.proxy.quiet(QUIET, SOON).await?;
    ensure!(units::phase(Some(&fixture.units().get(name).await?)) == Some(phase), "{name} is {phase:?}");
    ensure!(fixture.pods().get_opt(name).await?.is_none(), "{name} has no pod");
    let calls = fixture.proxy.counts().since(&before).only(|call| call.is_write() && call.resource != "leases");
    ensure!(calls.total() == 0, "{}", fixture.proxy.describe(&before));
    Ok(())
}

async fn events(fixture: &Fixture) -> anyhow::Result<Vec<(String, String)>> {
    let api = Api::<Event>::namespaced(fixture.cluster.client(), &fixture.namespace);
    let of_units =
        |event: &Event| event.regarding.as_ref().is_some_and(|of| of.kind.as_deref() == Some("ComputingUnit"));
    let all = api.list(&ListParams::default()).await?.into_iter().filter(of_units);
    Ok(all.map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default())).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeatedly_deleted_pod_is_recreated_with_backoff() -> anyhow::Result<()> {
    with_fixture("deleted", |fixture| async move {
        fixture.create_pool_with(&json!({"restartBackoff": {"initial": "1s", "max": "4s", "reset": "10m"}})).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        let url = fixture.until("ada", Phase::Ready).await?.status.unwrap().url;
        let mut pod = fixture.pods().get("ada").await?;
        let force = DeleteParams::default().grace_period(0);
        for (nth, at_least, how) in
            [(1, 1, DeleteParams::default()), (2, 2, force.clone()), (3, 4, force.clone()), (4, 4, force)]
        {
            fixture.pods().delete("ada", &how).await?;
            let (delay, next) = until_lost(&fixture, nth).await?;
            ensure!((at_least..=at_least + 2).contains(&delay), "the {nth}. delay is {delay} s");
            let another = until_another(&fixture, &pod).await?;
            ensure!(created(&another) >= next, "the {nth}. pod came {} s early", next - created(&another));
            pod = another;
        }
        let status = fixture.units().get("ada").await?.status.unwrap();
        assert_eq!(status.url, url, "its URL is the same");
        assert_eq!(status.last_failure.unwrap().reason, "PodLost");
        let told = events(&fixture).await?;
        ensure!(told.iter().any(|(reason, note)| reason == "PodLost" && note.contains("restarting in")), "{told:?}");
        fixture.delete("ada").await
    })
    .await
}

/// A client that deletes every pod at once gets no more pods than the backoff allows.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_deleted_at_once_is_recreated_with_backoff() -> anyhow::Result<()> {
    with_fixture("loop", |fixture| async move {
        fixture.create_pool_with(&json!({"restartBackoff": {"initial": "1s", "max": "2s", "reset": "10m"}})).await?;
        let _operator = fixture.start().await?;
        let pods = fixture.pods();
        let deleter = tokio::spawn(async move {
            loop {
                let there = |pod: Option<&Pod>| pod.is_some_and(|pod| pod.metadata.deletion_timestamp.is_none());
                if until("pod", SOON, pods.clone(), "ada", there).await.is_err() {
                    return;
                }
                let _ = pods.delete("ada", &DeleteParams::default().grace_period(0)).await;
            }
        });
        let before = fixture.proxy.counts();
        fixture.create(&fixture.unit("ada")).await?;
        let often = |unit: Option<&ComputingUnit>| count(unit) >= 4;
        let unit = until("four losses", SOON, fixture.units(), "ada", often).await?;
        deleter.abort();
        let made = |call: &Call| call.resource == "pods" && call.is_write() && call.subresource.is_empty();
        let made = fixture.proxy.counts().since(&before).only(made).total();
        let lost = u64::try_from(count(unit.as_ref()))?;
        ensure!(made <= lost + 1, "{made} pods were made for {lost} losses\n{}", fixture.proxy.describe(&before));
        fixture.until("ada", Phase::Ready).await?;
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_pod_is_recreated() -> anyhow::Result<()> {
    with_fixture("evicted", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        fixture.until("ada", Phase::Ready).await?;
        let pod = fixture.pods().get("ada").await?;
        fixture.pods().evict("ada", &EvictParams::default()).await?;
        until_another(&fixture, &pod).await?;
        let failure = fixture.units().get("ada").await?.status.unwrap().last_failure.unwrap();
        ensure!(failure.reason == "PodEvicted" && failure.message.contains("is evicted"), "{failure:?}");
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn backoff_survives_an_operator_crash() -> anyhow::Result<()> {
    with_fixture("killed", |fixture| async move {
        fixture.create_pool_with(&json!({"restartBackoff": {"initial": "8s", "max": "8s", "reset": "10m"}})).await?;
        let operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        fixture.until("ada", Phase::Ready).await?;
        let pod = fixture.pods().get("ada").await?;
        fixture.pods().delete("ada", &DeleteParams::default().grace_period(0)).await?;
        let (_, next) = until_lost(&fixture, 1).await?;
        operator.kill().await?;
        let _operator = fixture.start().await?;
        let another = until_another(&fixture, &pod).await?;
        ensure!(created(&another) >= next, "it came {} s early", next - created(&another));
        assert_eq!(count(Some(&fixture.units().get("ada").await?)), 1, "it is counted once");
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_engine_is_reported_and_not_restarted() -> anyhow::Result<()> {
    with_fixture("failed", |fixture| async move {
        fixture.create_pool_with(&json!({"template": {"spec": {"restartPolicy": "Never"}}})).await?;
        let operator = fixture.start().await?;
        let fails = json!({"spec": {"env": [
            {"name": "FAIL_START", "value": "3"}, {"name": "FAIL_MESSAGE", "value": "out of cheese"},
        ]}});
        fixture.create(&with(&fixture.unit("ada"), &fails)).await?;
        let status = fixture.until("ada", Phase::Failed).await?.status.unwrap();
        let failure = status.last_failure.unwrap();
        assert_eq!(
            (failure.reason.as_str(), failure.container.as_deref(), failure.exit_code),
            ("PodFailed", Some("engine"), Some(3))
        );
        ensure!(failure.message.contains("out of cheese"), "{failure:?}");
        let message = fixture.until_condition("ada", "Finished", "True", "PodFailed").await?;
        ensure!(message.contains("exited with code 3") && message.contains("edit the unit"), "{message}");
        until("end of the pod", SOON, fixture.pods(), "ada", |pod| pod.is_none()).await?;
        stays(&fixture, "ada", Phase::Failed).await?;
        operator.kill().await?;
        let _operator = fixture.start().await?;
        stays(&fixture, "ada", Phase::Failed).await?;
        let told = events(&fixture).await?;
        assert_eq!(told.iter().filter(|(reason, _)| reason == "Failed").count(), 1, "{told:?}");
        // Suspended and resumed, it fails again; edited, it runs.
        fixture.edit("ada", json!({"operatingMode": "Suspended"})).await?;
        fixture.until("ada", Phase::Suspended).await?;
        fixture.edit("ada", json!({"operatingMode": "Running"})).await?;
        fixture.until("ada", Phase::Failed).await?;
        fixture.edit("ada", json!({"env": []})).await?;
        let ready = fixture.until("ada", Phase::Ready).await?;
        ensure!(units::condition(Some(&ready), "Finished", "True").is_none());
        ensure!(ready.status.unwrap().last_failure.is_some(), "it is still told");
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_exits_with_success_finishes_its_unit() -> anyhow::Result<()> {
    with_fixture("succeeded", |fixture| async move {
        fixture.create_pool_with(&json!({"template": {"spec": {"restartPolicy": "OnFailure"}}})).await?;
        let _operator = fixture.start().await?;
        let ends = json!({"spec": {"env": [{"name": "FAIL_START", "value": "0"}]}});
        fixture.create(&with(&fixture.unit("ada"), &ends)).await?;
        fixture.until("ada", Phase::Finished).await?;
        fixture.until_condition("ada", "Finished", "True", "PodSucceeded").await?;
        until("end of the pod", SOON, fixture.pods(), "ada", |pod| pod.is_none()).await?;
        stays(&fixture, "ada", Phase::Finished).await?;
        fixture.delete("ada").await?;
        fixture.until_nothing_is_left("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_timeout_fails_the_unit_until_it_is_edited() -> anyhow::Result<()> {
    with_fixture("late", |fixture| async move {
        let images = json!([
            {"name": "engine", "image": units::ENGINE},
            {"name": "missing", "image": "localhost/there-is-none:dev"},
        ]);
        fixture.create_pool_with(&json!({"startTimeout": "20s", "images": images})).await?;
        let operator = fixture.start().await?;
        fixture.create(&with(&fixture.unit("ada"), &json!({"spec": {"image": "missing"}}))).await?;
        let early = fixture.until_condition("ada", "PodReady", "False", "ImagePullFailed").await?;
        ensure!(early.contains("there-is-none"), "{early}");
        let status = fixture.until("ada", Phase::Failed).await?.status.unwrap();
        let failure = status.last_failure.unwrap();
        ensure!(failure.reason == "StartTimeout" && failure.message.contains("there-is-none"), "{failure:?}");
        fixture.until_condition("ada", "Finished", "True", "StartTimeout").await?;
        until("end of the pod", SOON, fixture.pods(), "ada", |pod| pod.is_none()).await?;
        stays(&fixture, "ada", Phase::Failed).await?;
        operator.kill().await?;
        let _operator = fixture.start().await?;
        stays(&fixture, "ada", Phase::Failed).await?;
        fixture.edit("ada", json!({"image": "engine"})).await?;
        fixture.until("ada", Phase::Ready).await?;
        fixture.delete("ada").await
    })
    .await
}

/// The status of a pod says only that its container is being created.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_cannot_be_mounted_is_reported_in_the_words_of_the_kubelet() -> anyhow::Result<()> {
    with_fixture("unmounted", |fixture| async move {
        fixture.create_pool(&units::with_secret(&fixture.pool(Mode::Query), "later")).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        // A busy kubelet reports it late, and the operator lists the Events at growing intervals.
        let condition = |unit: Option<&_>| units::condition(unit, "PodReady", "False");
        let reported = |unit: Option<&_>| condition(unit).is_some_and(|(reason, _)| reason == "VolumeMountFailed");
        let unit = until("VolumeMountFailed", SOON * 3, fixture.units(), "ada", reported).await?;
        let (_, words) = condition(unit.as_ref()).unwrap();
        ensure!(words.contains("MountVolume.SetUp failed") && words.contains("secret \"later\" not found"), "{words}");
        let recorded = || async {
            let events = events(&fixture).await?;
            Ok(events.iter().any(|(reason, note)| reason == "VolumeMountFailed" && *note == words).then_some(()))
        };
        eventually("Event of the unit", SOON, recorded).await?;
        fixture.create_secret("later").await?;
        fixture.until("ada", Phase::Ready).await?;
        fixture.delete("ada").await
    })
    .await
}

/// An autoscaler may need time to add a node, so this is no failure before the timeout.
#[tokio::test(flavor = "multi_thread")]
async fn an_unschedulable_pod_fails_the_unit_only_after_the_timeout() -> anyhow::Result<()> {
    with_fixture("unschedulable", |fixture| async move {
        fixture.create_pool_with(&json!({"startTimeout": "6s"})).await?;
        let _operator = fixture.start().await?;
        let large = json!({"spec": {"resources": {"limits": {"cpu": "1000"}}}});
        fixture.create(&with(&fixture.unit("ada"), &large)).await?;
        fixture.until_condition("ada", "PodReady", "False", "Unschedulable").await?;
        let early = fixture.units().get("ada").await?;
        ensure!(units::phase(Some(&early)) == Some(Phase::Pending), "{:?}", early.status);
        let status = fixture.until("ada", Phase::Failed).await?.status.unwrap();
        ensure!(status.last_failure.unwrap().message.contains("cannot be scheduled"));
        until("end of the pod", SOON, fixture.pods(), "ada", |pod| pod.is_none()).await?;
        fixture.delete("ada").await
    })
    .await
}
