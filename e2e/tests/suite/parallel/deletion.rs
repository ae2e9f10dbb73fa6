//! A unit is deleted with all its children, whatever else is broken or missing.

use std::time::{Duration, Instant};

use computing_unit_api::{ComputingUnit, OperatingMode, Phase, gateway::GROUP};
use e2e::{
    faults::Fault,
    fixture::{Fixture, SOON},
    namespace,
    rights::Namespaces,
    units::{self, Mode, with},
    wait::until,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

use super::with_fixture;

async fn ready(fixture: &Fixture, name: &str) -> anyhow::Result<()> {
    fixture.create(&fixture.unit(name)).await?;
    fixture.until(name, Phase::Ready).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_whose_image_cannot_be_pulled_is_deleted() -> anyhow::Result<()> {
    with_fixture("unpulled", |fixture| async move {
        let missing = json!([{"name": "missing", "image": "localhost/there-is-none:dev", "default": true}]);
        fixture.create_pool_with(&json!({"images": missing})).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        let message = fixture.until_condition("ada", "PodReady", "False", "ImagePullFailed").await?;
        assert!(message.contains("localhost/there-is-none:dev"), "{message}");
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

/// Units in one namespace, of which a third is suspended.
const FLEET: usize = 30;
/// A namespace with that many units is gone within this time.
const GONE: Duration = Duration::from_mins(1);

/// A namespace of units, with the rights of the operator in it, and how long its deletion took.
async fn deleted_fleet(fixture: &Fixture, namespace: &str) -> anyhow::Result<Duration> {
    let client = fixture.cluster.client();
    let gateways: &[&str] = &[&fixture.cluster.gateway().namespace];
    fixture.grant(Namespaces { units: &[namespace], gateways }).await?;
    let pool = units::pool(namespace, fixture.cluster.gateway(), Mode::Path);
    Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &pool).await?;
    let fleet = Api::<ComputingUnit>::namespaced(client.clone(), namespace);
    let mut operator = fixture.operator.clone().watch(&[namespace]).start()?;
    operator.ready(SOON).await?;
    let wanted = |number: usize| if number.is_multiple_of(3) { Phase::Suspended } else { Phase::Ready };
    for number in 0..FLEET {
        let mut unit = units::unit(namespace, &format!("unit-{number}"), 1);
        unit.spec.cuid = None;
        if wanted(number) == Phase::Suspended {
            unit.spec.operating_mode = OperatingMode::Suspended;
        }
        fleet.create(&PostParams::default(), &unit).await?;
    }
    for number in 0..FLEET {
        let so = |unit: Option<&ComputingUnit>| units::phase(unit) == Some(wanted(number));
        until("phase", 3 * SOON, fleet.clone(), &format!("unit-{number}"), so).await?;
    }
    let namespaces = Api::<Namespace>::all(client);
    let began = Instant::now();
    namespaces.delete(namespace, &DeleteParams::default()).await?;
    until("deletion", GONE, namespaces, namespace, |namespace| namespace.is_none()).await?;
    Ok(began.elapsed())
}

/// The namespace controller deletes Roles, bindings and units in no particular order.
#[tokio::test(flavor = "multi_thread")]
async fn namespaces_are_deleted_although_the_operators_roles_in_them_are_deleted_first() -> anyhow::Result<()> {
    with_fixture("fleets", |fixture| async move {
        for round in 1..=5 {
            let cluster = fixture.cluster.clone();
            let took =
                namespace::within(&cluster, "fleet", async |fleet| deleted_fleet(&fixture, &fleet).await).await?;
            println!("round {round}: {FLEET} units, gone after {:.1} s", took.as_secs_f64());
        }
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
