//! A routing key belongs to the unit that holds it. No other unit, restart or pool takes it away.

use computing_unit_api::{ComputingUnit, ComputingUnitPool, Phase};
use e2e::{
    attach::Cluster,
    faults::OperatorProcess,
    fixture::{Fixture, SOON},
    namespace,
    rights::Namespaces,
    traffic::{Hammer, Hammering},
    units::{self, Mode, with},
    wait::until,
};
use kube::{Api, ResourceExt, api::PostParams};
use serde_json::{Value, json};

use super::with_fixture;

/// Requests for a unit. A response under the route of another unit is misrouted.
async fn load(cluster: &Cluster, mode: Mode, unit: &ComputingUnit) -> anyhow::Result<Hammering> {
    let target = units::target(mode, unit)?.route(&unit.uid().unwrap_or_default());
    Hammer::new(&cluster.proxies().await?, target).connections(4).rate(100.0).start()
}

async fn accepted_is_false(units: Api<ComputingUnit>, name: &str, reason: &str) -> anyhow::Result<()> {
    let refused = |unit: Option<&ComputingUnit>| {
        units::condition(unit, "Accepted", "False").is_some_and(|(found, _)| found == reason)
    };
    until(reason, SOON, units, name, refused).await.map(drop)
}

async fn route_version(fixture: &Fixture) -> anyhow::Result<(Option<String>, Option<i64>)> {
    let route = fixture.routes().get("victim").await?;
    Ok((route.uid(), route.metadata.generation))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_unit_that_becomes_valid_takes_no_key_and_a_restart_gives_it_none() -> anyhow::Result<()> {
    with_fixture("keys", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let operator = fixture.start().await?;
        let cuid = fixture.unit("victim").spec.cuid;
        let dormant = with(&fixture.unit("dormant"), &json!({"spec": {"cuid": cuid, "image": "nope"}}));
        fixture.create(&dormant).await?;
        accepted_is_false(fixture.units(), "dormant", "ImageNotOffered").await?;
        fixture.create(&fixture.unit("victim")).await?;
        let victim = fixture.until("victim", Phase::Ready).await?;
        let route = route_version(&fixture).await?;
        let load = load(&fixture.cluster, Mode::Query, &victim).await?;

        // A refused unit gets no key from a restart.
        let operator = operator.restart(SOON).await?;
        load.answer_more(50, SOON).await?;
        fixture.edit("dormant", json!({"image": null})).await?;
        accepted_is_false(fixture.units(), "dormant", "KeyConflict").await?;
        // Neither does one that waits for it.
        let _operator = operator.restart(SOON).await?;
        fixture.edit("dormant", json!({"env": [{"name": "A", "value": "b"}]})).await?;
        let observed = |unit: Option<&ComputingUnit>| {
            let status = unit.and_then(|unit| unit.status.as_ref());
            status.and_then(|status| status.observed_generation) == unit.and_then(|unit| unit.metadata.generation)
        };
        until("observed", SOON, fixture.units(), "dormant", observed).await?;
        accepted_is_false(fixture.units(), "dormant", "KeyConflict").await?;
        load.answer_more(50, SOON).await?;
        load.stop().await?.assert_all_of(&[200])?;
        assert_eq!(route_version(&fixture).await?, route, "the route is untouched");

        fixture.delete("victim").await?;
        fixture.until("dormant", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_created_later_takes_no_key_of_another_namespace_in_query_mode() -> anyhow::Result<()> {
    later_pool_takes_no_key(Mode::Query).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_created_later_takes_no_key_of_another_namespace_in_path_mode() -> anyhow::Result<()> {
    later_pool_takes_no_key(Mode::Path).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_created_later_takes_no_key_of_another_namespace_in_host_mode() -> anyhow::Result<()> {
    later_pool_takes_no_key(Mode::Host).await
}

/// Starts an operator that also watches another namespace.
async fn watching(fixture: &Fixture, namespace: &str) -> anyhow::Result<OperatorProcess> {
    let gateways: &[&str] = &[&fixture.cluster.gateway().namespace];
    fixture.grant(Namespaces { units: &[namespace], gateways }).await?;
    let mut operator = fixture.operator.clone().watch(&[namespace]).start()?;
    operator.ready(SOON).await?;
    Ok(operator)
}

/// A namespace prepares an older unit with the same key, without a pool, and creates the pool once the key is in use.
async fn later_pool_takes_no_key(mode: Mode) -> anyhow::Result<()> {
    with_fixture("tenant", |fixture| async move {
        let cluster = fixture.cluster.clone();
        namespace::within(&cluster, "stranger", |stranger| async move {
            let operator = watching(&fixture, &stranger).await?;
            let client = fixture.cluster.client();
            let others = Api::<ComputingUnit>::namespaced(client.clone(), &stranger);
            let cuid = fixture.unit("victim").spec.cuid.unwrap_or_default();
            others.create(&PostParams::default(), &units::unit(&stranger, "victim", cuid)).await?;
            accepted_is_false(others.clone(), "victim", "PoolNotFound").await?;

            fixture.create_default_pool(mode).await?;
            fixture.create(&fixture.unit("victim")).await?;
            let victim = fixture.until("victim", Phase::Ready).await?;
            let route = route_version(&fixture).await?;
            let load = load(&fixture.cluster, mode, &victim).await?;
            let pools = Api::<ComputingUnitPool>::namespaced(client, &stranger);
            pools.create(&PostParams::default(), &moved(&fixture.pool(mode), &stranger)).await?;
            accepted_is_false(others.clone(), "victim", "KeyConflictInOtherNamespace").await?;
            let _operator = operator.restart(SOON).await?;
            load.answer_more(50, SOON).await?;
            load.stop().await?.assert_all_of(&[200])?;
            assert_eq!(route_version(&fixture).await?, route, "the route is untouched");
            Ok(())
        })
        .await
    })
    .await
}

fn moved(pool: &ComputingUnitPool, namespace: &str) -> ComputingUnitPool {
    with(pool, &json!({"metadata": {"namespace": namespace}}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_no_listener_allows_affects_no_other() -> anyhow::Result<()> {
    with_fixture("allowed", |fixture| async move {
        let cluster = fixture.cluster.clone();
        // `namespace::within` creates only namespaces that the Gateway allows.
        let stranger = namespace::create(&cluster, "stranger", false).await?;
        let outcome = other_pools_are_unaffected(&fixture, &stranger).await;
        namespace::remove(&cluster, &stranger).await?;
        outcome
    })
    .await
}

async fn other_pools_are_unaffected(fixture: &Fixture, stranger: &str) -> anyhow::Result<()> {
    let _operator = watching(fixture, stranger).await?;
    let client = fixture.cluster.client();
    let pools = Api::<ComputingUnitPool>::namespaced(client.clone(), stranger);
    pools.create(&PostParams::default(), &everything(fixture, stranger)).await?;
    let condition = |pool: Option<&ComputingUnitPool>| {
        let conditions = pool.and_then(|pool| pool.status.as_ref()).map(|status| &status.conditions);
        conditions.is_some_and(|all| all.iter().any(|one| one.reason == "NotAllowedByListeners"))
    };
    until("NotAllowedByListeners", SOON, pools, "default", condition).await?;
    let squatters = Api::<ComputingUnit>::namespaced(client, stranger);
    let cuid = fixture.unit("ada").spec.cuid.unwrap_or_default();
    let suspended: Value = json!({"spec": {"operatingMode": "Suspended"}});
    squatters.create(&PostParams::default(), &with(&units::unit(stranger, "ada", cuid), &suspended)).await?;
    accepted_is_false(squatters, "ada", "PoolNotAccepted").await?;
    fixture.create_default_pool(Mode::Path).await?;
    fixture.create(&fixture.unit("ada")).await?;
    fixture.until("ada", Phase::Ready).await.map(drop)
}

/// A pool whose routing overlaps that of every pool in Path mode.
fn everything(fixture: &Fixture, namespace: &str) -> ComputingUnitPool {
    let path = json!({"spec": {"routing": {"path": {"prefix": "/"}}}});
    with(&moved(&fixture.pool(Mode::Path), namespace), &path)
}
