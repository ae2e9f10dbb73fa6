//! A watched namespace that is deleted or cannot be listed affects its own units only.

use anyhow::ensure;
use computing_unit_api::{ComputingUnit, Phase};
use e2e::{
    faults::{Operator, OperatorProcess},
    fixture::{Fixture, SOON},
    namespace,
    rights::Namespaces,
    units::{self, Mode},
    wait::{eventually, until},
};
use k8s_openapi::api::{core::v1::Namespace, rbac::v1::Role};
use kube::{
    Api,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};

use super::with_fixture;

/// Runs `work` with a second namespace, and the command line of an operator that watches it as well as the first.
async fn with_second(
    fixture: &Fixture,
    prefix: &str,
    work: impl AsyncFnOnce(String, Operator) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    namespace::within(&fixture.cluster, prefix, async |second| {
        grant(fixture, &second).await?;
        let operator = fixture.operator.clone().watch(&[&second]);
        work(second, operator).await
    })
    .await
}

/// Grants the rights of the chart in a namespace of units.
async fn grant(fixture: &Fixture, namespace: &str) -> anyhow::Result<()> {
    fixture.grant(Namespaces { units: &[namespace], gateways: &[&fixture.cluster.gateway().namespace] }).await
}

/// Creates a pool in a namespace, and a unit that becomes Ready.
async fn ready_unit(fixture: &Fixture, namespace: &str) -> anyhow::Result<()> {
    let client = fixture.cluster.client();
    let pool = units::pool(namespace, fixture.cluster.gateway(), Mode::Path);
    Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &pool).await?;
    let mut unit = units::unit(namespace, "ada", 1);
    unit.spec.cuid = None;
    let all = Api::<ComputingUnit>::namespaced(client, namespace);
    all.create(&PostParams::default(), &unit).await?;
    let ready = |unit: Option<&ComputingUnit>| units::phase(unit) == Some(Phase::Ready);
    until("Ready", SOON, all, "ada", ready).await.map(drop)
}

async fn synced(operator: &OperatorProcess, namespace: &str, scope: &str, value: u8) -> anyhow::Result<()> {
    let line =
        format!("computing_unit_operator_namespace_synced{{namespace=\"{namespace}\",scope=\"{scope}\"}} {value}");
    let found = || async { Ok(operator.metrics().await?.lines().any(|found| found == line).then_some(())) };
    eventually(&line, SOON, found).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_does_not_stop_the_others() -> anyhow::Result<()> {
    with_fixture("staying", |fixture| async move {
        with_second(&fixture, "going", async |going, operator| {
            let (cluster, client) = (&fixture.cluster, fixture.cluster.client());
            // A namespace of Gateways that does not exist, and in which the operator has no rights.
            let missing = format!("{going}-missing");
            let mut process = operator.gateways(&[&missing]).start()?;
            process.ready(SOON).await?;
            ready_unit(&fixture, &going).await?;
            let admitted = Api::<Namespace>::all(client.clone()).get(&going).await?.metadata.labels;
            namespace::until_removed(cluster, &going).await?;

            let process = process.restart(SOON).await?;
            ready_unit(&fixture, &fixture.namespace).await?;
            synced(&process, &fixture.namespace, "units", 1).await?;
            synced(&process, &going, "units", 0).await?;
            synced(&process, &missing, "gateways", 0).await?;

            // It is created again, and the administrator runs `helm upgrade`.
            let metadata = ObjectMeta { name: Some(going.clone()), labels: admitted, ..ObjectMeta::default() };
            let again = Namespace { metadata, ..Namespace::default() };
            Api::<Namespace>::all(client).create(&PostParams::default(), &again).await?;
            grant(&fixture, &going).await?;
            synced(&process, &going, "units", 1).await?;
            ready_unit(&fixture, &going).await
        })
        .await
    })
    .await
}

/// The operator is restarted after the namespace controller has deleted its Role.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_being_deleted_is_finished_by_the_next_operator() -> anyhow::Result<()> {
    with_fixture("leader", |fixture| async move {
        with_second(&fixture, "orphan", async |orphan, operator| {
            let client = fixture.cluster.client();
            let mut process = operator.start()?;
            process.ready(SOON).await?;
            ready_unit(&fixture, &orphan).await?;
            process.kill().await?;
            let namespaces = Api::<Namespace>::all(client.clone());
            namespaces.delete(&orphan, &DeleteParams::default()).await?;
            let roles = Api::<Role>::namespaced(client.clone(), &orphan);
            let none = || async { Ok(roles.list(&ListParams::default()).await?.items.is_empty().then_some(())) };
            eventually("deletion of the Role", SOON, none).await?;
            let units = Api::<ComputingUnit>::namespaced(client, &orphan);
            ensure!(units.get_opt("ada").await?.is_some(), "the finalizer keeps the unit");

            let mut process = operator.start()?;
            process.ready(SOON).await?;
            until("deletion", 2 * SOON, namespaces, &orphan, |namespace| namespace.is_none()).await?;
            drop(process);
            Ok(())
        })
        .await
    })
    .await
}
