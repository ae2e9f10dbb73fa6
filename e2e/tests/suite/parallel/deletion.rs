//! A unit is deleted with all its children, whatever else is broken or missing.

use computing_unit_api::{Phase, gateway::GROUP};
use e2e::{
    faults::Fault,
    fixture::Fixture,
    namespace,
    units::{Mode, with},
};
use kube::api::DeleteParams;
use serde_json::json;

use super::with_fixture;

async fn ready(fixture: &Fixture, name: &str) -> anyhow::Result<()> {
    fixture.create(&fixture.unit(name)).await?;
    fixture.until(name, Phase::Ready).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_whose_image_cannot_be_pulled_is_deleted() -> anyhow::Result<()> {
    with_fixture("unpulled", |fixture| async move {
        let missing = json!([{"name": "missing", "image": "docker.io/local/there-is-none:dev", "default": true}]);
        fixture.create_pool_with(&json!({"images": missing})).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        let message = fixture.until_condition("ada", "PodReady", "False", "ImagePullFailed").await?;
        assert!(message.contains("docker.io/local/there-is-none:dev"), "{message}");
        fixture.delete("ada").await?;
        fixture.until_nothing_is_left("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_without_a_pool_is_deleted() -> anyhow::Result<()> {
    with_fixture("poolless", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        ready(&fixture, "ada").await?;
        fixture.pools().delete("default", &DeleteParams::default()).await?;
        fixture.until_condition("ada", "Accepted", "False", "PoolNotFound").await?;
        fixture.delete("ada").await?;
        fixture.until_nothing_is_left("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_deleted_with_their_namespace() -> anyhow::Result<()> {
    with_fixture("leaving", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let operator = fixture.start().await?;
        ready(&fixture, "ada").await?;
        let never = json!({"spec": {"resources": {"limits": {"cpu": "1000"}}}});
        fixture.create(&with(&fixture.unit("bob"), &never)).await?;
        fixture.until_condition("bob", "PodReady", "False", "Unschedulable").await?;
        namespace::until_removed(&fixture.cluster, &fixture.namespace).await?;
        drop(operator);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_without_a_finalizer_is_deleted_at_once() -> anyhow::Result<()> {
    with_fixture("unseen", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        fixture.create(&fixture.unit("ada")).await?;
        fixture.delete("ada").await?;
        let _operator = fixture.start().await?;
        ready(&fixture, "ada").await?;
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_waits_for_gateway_api_and_is_deleted_without_it() -> anyhow::Result<()> {
    with_fixture("apiless", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        fixture.proxy.inject(Fault::not_served(GROUP));
        let _operator = fixture.start().await?;
        for name in ["ada", "bob"] {
            fixture.create(&fixture.unit(name)).await?;
        }
        let message = fixture.until_condition("ada", "RouteAccepted", "False", "GatewayApiMissing").await?;
        assert!(message.contains("does not have Gateway API (gateway.networking.k8s.io/v1): install"), "{message}");
        fixture.delete("ada").await?;
        fixture.until_nothing_is_left("ada").await?;

        fixture.proxy.restore().await;
        fixture.until("bob", Phase::Ready).await?;
        fixture.delete("bob").await?;
        fixture.until_nothing_is_left("bob").await
    })
    .await
}
