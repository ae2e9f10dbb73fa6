//! `kubectl cu doctor` and `kubectl cu version` on a cluster where something is wrong.

use anyhow::ensure;
use computing_unit_api::{GatewayRef, gateway::Gateway};
use e2e::{
    fixture::{Fixture, SOON},
    tool,
    units::{self, Mode},
    wait::eventually,
};
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Service};
use kube::{Api, api::PostParams};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::with_fixture;

/// The rows of the table by check, and the exit code. Only operators of the test's namespace are considered.
async fn doctor(fixture: &Fixture, more: &str) -> anyhow::Result<(Vec<(String, String)>, Option<i32>)> {
    let namespace = &fixture.namespace;
    let line = format!("kubectl cu doctor -n {namespace} --operator-namespace {namespace} {more}");
    let output = tool::output(&fixture.cluster, &line).await?;
    ensure!(output.stderr.is_empty(), "{output:?}");
    let rows = output.stdout.lines().filter(|line| !line.starts_with("  ->"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        (cells.first().copied().unwrap_or_default().to_owned(), cells[1..].join(" "))
    };
    Ok((rows.map(row).collect(), output.code))
}

fn of(rows: &[(String, String)], subject: &str) -> String {
    let found = rows.iter().find(|(name, _)| name.starts_with(subject));
    found.map_or_else(|| format!("no row {subject} in {rows:#?}"), |(_, row)| row.clone())
}

/// Creates an object of the test's namespace.
async fn create<K>(fixture: &Fixture, object: Value) -> anyhow::Result<()>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let api = Api::<K>::namespaced(fixture.cluster.client(), &fixture.namespace);
    api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_works_passes_and_one_without_an_operator_fails() -> anyhow::Result<()> {
    with_fixture("doctor", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        fixture.create(&fixture.unit("ada")).await?;
        let failed = || async {
            let (rows, code) = doctor(&fixture, "").await?;
            let failed = of(&rows, "Units").starts_with("FAIL the operator has not reconciled ada")
                && of(&rows, "Pool ").starts_with("FAIL the operator has not reconciled it");
            Ok((failed && code == Some(1)).then_some(rows))
        };
        let rows = eventually("a failure of pools and units", SOON, failed).await?;
        ensure!(of(&rows, "API server").starts_with("OK"), "{rows:#?}");
        ensure!(of(&rows, "API texera.apache.org").starts_with("OK"), "{rows:#?}");
        ensure!(of(&rows, "CRD computingunits").starts_with("OK"), "{rows:#?}");
        ensure!(of(&rows, "Operator").starts_with("FAIL no Deployment"), "{rows:#?}");
        ensure!(of(&rows, "Gateway ").starts_with("OK it is programmed"), "{rows:#?}");
        ensure!(of(&rows, "Proxies ").starts_with("OK"), "{rows:#?}");
        ensure!(of(&rows, "Rights").starts_with("OK"), "{rows:#?}");

        let _operator = fixture.start().await?;
        let passed = || async {
            let (rows, _) = doctor(&fixture, "").await?;
            Ok((of(&rows, "Pool ").starts_with("OK") && of(&rows, "Units").starts_with("OK")).then_some(()))
        };
        eventually("pools and units without a failure", SOON, passed).await?;
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_part_is_named() -> anyhow::Result<()> {
    with_fixture("doctor-broken", |fixture| async move {
        let namespace = fixture.namespace.as_str();
        // No controller serves this Gateway, so it has no address.
        let listener = json!({"name": "http", "port": 80, "protocol": "HTTP"});
        create::<Gateway>(&fixture, json!({
            "metadata": {"name": "alone"}, "spec": {"gatewayClassName": "none", "listeners": [listener]},
        }))
        .await?;
        for (name, gateway) in [("alone", "alone"), ("absent", "absent")] {
            let gateway = GatewayRef { name: gateway.into(), namespace: namespace.into(), section_name: None };
            let mut pool = units::pool(namespace, &gateway, Mode::Path);
            pool.metadata.name = Some(name.into());
            fixture.create_pool(&pool).await?;
        }
        // An operator of another release that is scaled to 0, as its activator is.
        let labels = json!({
            "app.kubernetes.io/part-of": "texera", "app.kubernetes.io/component": "operator", "app.kubernetes.io/version": "9.9.9",
        });
        create::<Deployment>(&fixture, json!({
            "metadata": {"name": "cuo", "labels": labels},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "cuo"}}, "template": {
                "metadata": {"labels": {"app": "cuo"}}, "spec": {"containers": [{
                    "name": "operator", "image": "none", "env": [{"name": "CU_LEASE_NAME", "value": "cuo"}],
                }]},
            }},
        }))
        .await?;
        create::<Service>(&fixture, json!({
            "metadata": {"name": "cuo-activator", "labels": labels},
            "spec": {"selector": {"app": "cuo"}, "ports": [{"name": "activator", "port": 80}]},
        }))
        .await?;
        create::<Lease>(&fixture, json!({
            "metadata": {"name": "cuo"},
            "spec": {"holderIdentity": "cuo-1", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"},
        }))
        .await?;
        let (rows, code) = doctor(&fixture, "").await?;
        for (subject, expected) in [
            ("Operator ", "FAIL it is scaled to 0 replicas"),
            ("Versions", "WARN the operator is v9.9.9"),
            ("Leader", "FAIL cuo-1 has not renewed Lease"),
            ("Activator", "FAIL it has no ready endpoint"),
            (&format!("Gateway {namespace}/absent"), "FAIL it does not exist"),
            (&format!("Gateway {namespace}/alone"), "FAIL Accepted is Unknown: Pending"),
            (&format!("Proxies of {namespace}/alone"), "WARN no proxies of Envoy Gateway"),
        ] {
            ensure!(of(&rows, subject).starts_with(expected), "{subject}: {rows:#?}");
        }
        assert_eq!(code, Some(1));

        // Without rights there is a table nevertheless, and nothing is called broken that was not seen.
        let (rows, code) = doctor(&fixture, "--as eve").await?;
        for (subject, expected) in [
            ("API server", "OK"),
            ("API texera.apache.org", "OK"),
            ("Operator", "SKIP user \"eve\" cannot list"),
            ("Pools", "SKIP user \"eve\" cannot list"),
            ("Rights", "WARN you cannot get computingunits"),
        ] {
            ensure!(of(&rows, subject).starts_with(expected), "{subject}: {rows:#?}");
        }
        assert_eq!(code, Some(0));

        let line = format!("kubectl cu version --operator-namespace {namespace}");
        let output = tool::output(&fixture.cluster, &line).await?;
        let expected = format!("Operator Version: v9.9.9 (Deployment {namespace}/cuo)");
        ensure!(
            output.code == Some(0) && output.stdout.contains(&expected) && output.stdout.contains("Server Version: v1."),
            "{output:?}"
        );
        Ok(())
    })
    .await
}
