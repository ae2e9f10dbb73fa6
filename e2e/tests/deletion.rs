//! A unit that is deleted goes, with all that belongs to it, whatever else is broken or missing by then.

#![allow(clippy::unwrap_used, missing_docs)]

use computing_unit_api::{Phase, gateway::GROUP};
use e2e::{
    faults::Fault,
    namespace,
    stage::{Stage, play},
    units::{Mode, with},
};
use kube::api::DeleteParams;
use serde_json::json;

async fn ready(stage: &Stage, name: &str) -> anyhow::Result<()> {
    stage.make(&stage.unit(name)).await?;
    stage.until(name, Phase::Ready).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_goes_while_its_image_cannot_be_pulled() -> anyhow::Result<()> {
    play("unpulled", |stage| async move {
        let missing = json!([{"name": "missing", "image": "docker.io/local/there-is-none:dev", "default": true}]);
        stage.make_pool_with(&json!({"images": missing})).await?;
        let _operator = stage.start().await?;
        stage.make(&stage.unit("ada")).await?;
        let message = stage.until_says("ada", "PodReady", "False", "ImagePullFailed").await?;
        assert!(message.contains("docker.io/local/there-is-none:dev"), "{message}");
        stage.delete("ada").await?;
        stage.until_nothing_is_left("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_goes_while_its_pool_is_gone() -> anyhow::Result<()> {
    play("poolless", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        let _operator = stage.start().await?;
        ready(&stage, "ada").await?;
        stage.pools().delete("default", &DeleteParams::default()).await?;
        stage.until_says("ada", "Accepted", "False", "PoolNotFound").await?;
        stage.delete("ada").await?;
        stage.until_nothing_is_left("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn units_go_with_their_namespace() -> anyhow::Result<()> {
    play("leaving", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        let operator = stage.start().await?;
        ready(&stage, "ada").await?;
        let never = json!({"spec": {"resources": {"limits": {"cpu": "1000"}}}});
        stage.make(&with(&stage.unit("bob"), &never)).await?;
        stage.until_says("bob", "PodReady", "False", "Unschedulable").await?;
        namespace::until_removed(&stage.cluster, &stage.namespace).await?;
        drop(operator);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_no_operator_has_seen_goes_at_once() -> anyhow::Result<()> {
    play("unseen", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        stage.make(&stage.unit("ada")).await?;
        stage.delete("ada").await?;
        let _operator = stage.start().await?;
        ready(&stage, "ada").await?;
        stage.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_waits_for_gateway_api_and_can_be_deleted_without_it() -> anyhow::Result<()> {
    play("apiless", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        stage.proxy.inject(Fault::not_served(GROUP));
        let _operator = stage.start().await?;
        for name in ["ada", "bob"] {
            stage.make(&stage.unit(name)).await?;
        }
        let message = stage.until_says("ada", "RouteAccepted", "False", "GatewayApiMissing").await?;
        assert!(message.contains("does not have Gateway API: install it"), "{message}");
        stage.delete("ada").await?;
        stage.until_nothing_is_left("ada").await?;

        stage.proxy.mend().await;
        stage.until("bob", Phase::Ready).await?;
        stage.delete("bob").await?;
        stage.until_nothing_is_left("bob").await
    })
    .await
}
