//! Pods with scheduling gates, such as those of a queue: the time at a gate is not part of a start.

use std::time::Duration;

use anyhow::{Context, ensure};
use computing_unit_api::Phase;
use e2e::{
    fixture::SOON,
    units,
    wait::{pass, until},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::with_fixture;

const GATE: &str = "example.com/queue";

fn cpu(pod: Option<&Pod>) -> Option<String> {
    let resources = pod?.spec.as_ref()?.containers[0].resources.as_ref()?;
    Some(resources.requests.as_ref()?.get("cpu")?.0.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn time_at_a_gate_does_not_count_and_amounts_can_be_changed_meanwhile() -> anyhow::Result<()> {
    with_fixture("gated", |fixture| async move {
        let gates = json!({"spec": {"schedulingGates": [{"name": GATE}]}});
        fixture.create_pool_with(&json!({"template": gates})).await?;
        let operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        let message = fixture.until_condition("ada", "PodReady", "False", "SchedulingGated").await?;
        ensure!(message.contains(GATE), "{message}");
        let gated = fixture.units().get("ada").await?;
        ensure!(units::phase(Some(&gated)) == Some(Phase::Pending), "{:?}", gated.status);
        let pod = fixture.pods().get("ada").await?;

        // The pod is older than this.
        fixture.edit_pool(json!({"startTimeout": "1s"})).await?;
        fixture.edit("ada", json!({"resources": {"requests": {"cpu": "7m"}}})).await?;
        until("the new request", SOON, fixture.pods(), "ada", |pod| cpu(pod).as_deref() == Some("7m")).await?;
        pass(Duration::from_secs(3)).await;
        operator.kill().await?;
        let _operator = fixture.start().await?;
        pass(Duration::from_secs(2)).await;
        fixture.until_condition("ada", "PodReady", "False", "SchedulingGated").await?;
        let same = fixture.pods().get("ada").await?;
        ensure!(same.uid() == pod.uid() && cpu(Some(&same)).as_deref() == Some("7m"), "{same:#?}");

        fixture.edit_pool(json!({"startTimeout": "10m"})).await?;
        let ungated = Patch::Merge(json!({"spec": {"schedulingGates": null}}));
        fixture.pods().patch("ada", &PatchParams::default(), &ungated).await?;
        let ready = fixture.until("ada", Phase::Ready).await?;
        ensure!(fixture.pods().get("ada").await?.uid() == pod.uid(), "the same pod");
        let stages = ready.status.context("a status")?.stages;
        ensure!(stages.ungated.is_some() && stages.ungated >= pod.metadata.creation_timestamp, "{stages:?}");
        fixture.delete("ada").await
    })
    .await
}
