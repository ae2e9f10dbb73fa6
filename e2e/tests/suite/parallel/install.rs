//! The operator's chart: installation, failover between two replicas, and uninstallation.

use std::time::Duration;

use anyhow::{Context, ensure};
use computing_unit_api::{Phase, names::FINALIZER, rbac};
use e2e::{
    cluster::images::{Own, own},
    fixture::{Fixture, SOON},
    images, namespace,
    rights::{Namespaces, grant, may},
    tool,
    units::Mode,
    wait::{eventually, until},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    coordination::v1::Lease,
    core::v1::{Namespace, Pod},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use super::with_fixture;

/// The release, the Deployment and the Lease.
const NAME: &str = "computing-unit-operator";
/// A Lease has to expire and a pod to start.
const TAKEOVER: Duration = Duration::from_mins(2);

async fn install(fixture: &Fixture, system: &str) -> anyhow::Result<String> {
    let chart = tool::file("charts/computing-unit-operator");
    let line = format!(
        "helm install {NAME} {chart} --namespace {system} --set crds.install=false --wait --timeout 3m \
         --set image.repository=localhost/computing-unit-operator --set image.tag=dev \
         --set operator.watchNamespaces={{{}}} --set operator.gatewayNamespaces={{{}}}",
        fixture.namespace,
        fixture.cluster.gateway().namespace
    );
    tool::line(&fixture.cluster, &line).await
}

async fn leader(leases: &Api<Lease>, other_than: Option<&str>) -> anyhow::Result<String> {
    let holder = |lease: Lease| lease.spec?.holder_identity.filter(|name| !name.is_empty());
    eventually("leader", TAKEOVER, || async {
        let holder = leases.get_opt(NAME).await?.and_then(holder);
        Ok(holder.filter(|name| Some(name.as_str()) != other_than))
    })
    .await
}

async fn played(fixture: &Fixture, system: &str) -> anyhow::Result<()> {
    let client = fixture.cluster.client();
    // The operator's pods have to satisfy the strictest of Kubernetes' own standards.
    let strict = Patch::Merge(json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}));
    Api::<Namespace>::all(client.clone()).patch(system, &PatchParams::default(), &strict).await?;
    let notes = install(fixture, system).await?;
    assert!(notes.contains(&format!("watches {}", fixture.namespace)), "{notes}");
    let deployments = Api::<Deployment>::namespaced(client.clone(), system);
    assert_eq!(deployments.get(NAME).await?.status.unwrap().ready_replicas, Some(2));

    fixture.create_default_pool(Mode::Query).await?;
    fixture.create(&fixture.unit("ada")).await?;
    fixture.until("ada", Phase::Ready).await?;

    let (leases, pods) = (Api::<Lease>::namespaced(client.clone(), system), Api::<Pod>::namespaced(client, system));
    let first = leader(&leases, None).await?;
    pods.delete(&first, &DeleteParams::default().grace_period(0)).await?;
    let second = leader(&leases, Some(&first)).await?;
    assert_ne!(first, second);
    fixture.create(&fixture.unit("bob")).await?;
    fixture.until("bob", Phase::Ready).await?;
    fixture.delete("bob").await?;

    tool::line(&fixture.cluster, &format!("helm uninstall {NAME} --namespace {system} --wait")).await?;
    let unit = fixture.units().get("ada").await?;
    assert!(!unit.finalizers().iter().any(|finalizer| finalizer == FINALIZER), "{:?}", unit.finalizers());
    assert!(fixture.pods().get_opt("ada").await?.is_some(), "the unit runs on");
    for pod in pods.list(&kube::api::ListParams::default()).await? {
        until("end of the operator", SOON, pods.clone(), &pod.name_any(), |pod| pod.is_none()).await?;
    }
    fixture.delete("ada").await?;
    fixture.until_nothing_is_left("ada").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_is_installed_fails_over_to_another_replica_and_is_uninstalled() -> anyhow::Result<()> {
    with_fixture("units", |fixture| async move {
        // On another cluster, the operator image is given by the environment.
        images::bring(|| own(Own::Operator)).await?;
        namespace::within(&fixture.cluster.clone(), "system", async |system| played(&fixture, &system).await).await
    })
    .await
}

/// What the operator of a release may do, as in `rbac::USED`.
async fn rights(fixture: &Fixture, system: &str, units: &str) -> anyhow::Result<Vec<String>> {
    let gateways = &fixture.cluster.gateway().namespace;
    let mut allowed = vec![];
    for access in rbac::USED {
        let namespace = match access.scope {
            rbac::Scope::Unit => units,
            rbac::Scope::Gateway => gateways,
            rbac::Scope::Cluster => "",
            // The Lease is found by its name.
            rbac::Scope::OwnNamespace => continue,
        };
        for verb in access.verbs {
            if may(&fixture.cluster, system, access.group, access.resource, verb, namespace).await? {
                allowed.push(format!("{verb} {} in {namespace:?}", access.resource));
            }
        }
    }
    Ok(allowed)
}

fn all_rights() -> usize {
    let scoped = rbac::USED.iter().filter(|access| access.scope != rbac::Scope::OwnNamespace);
    scoped.map(|access| access.verbs.len()).sum()
}

/// Installs the chart without its pods, in a namespace.
async fn install_idle(fixture: &Fixture, system: &str, units: &str) -> anyhow::Result<()> {
    let chart = tool::file("charts/computing-unit-operator");
    let line = format!(
        "helm install {NAME} {chart} --namespace {system} --set crds.install=false --set replicas=0 --set \
         image.repository=registry.invalid/computing-unit-operator --set \
         uninstall.removeFinalizers=false --set operator.watchNamespaces={{{units}}} --set \
         operator.gatewayNamespaces={{{}}}",
        fixture.cluster.gateway().namespace
    );
    tool::line(&fixture.cluster, &line).await.map(drop)
}

/// Both releases also watch the same namespace.
#[tokio::test(flavor = "multi_thread")]
async fn releases_of_the_same_name_do_not_share_their_permissions() -> anyhow::Result<()> {
    with_fixture("releases", |fixture| async move {
        let cluster = fixture.cluster.clone();
        let fixture = &fixture;
        namespace::within(&cluster.clone(), "first", async |first| {
            namespace::within(&cluster, "second", async |second| {
                let units = fixture.namespace.as_str();
                install_idle(fixture, &first, units).await?;
                install_idle(fixture, &second, units).await?;
                let before = rights(fixture, &first, units).await?;
                ensure!(before.len() == all_rights(), "{before:?}");
                tool::line(&cluster, &format!("helm uninstall {NAME} --namespace {second} --wait")).await?;
                let gone = || async { Ok(rights(fixture, &second, units).await?.is_empty().then_some(())) };
                eventually("end of the rights of the second release", SOON, gone).await?;
                ensure!(rights(fixture, &first, units).await? == before, "the first release keeps its rights");
                tool::line(&cluster, &format!("helm uninstall {NAME} --namespace {first} --wait")).await.map(drop)
            })
            .await
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_grants_in_all_namespaces_what_the_operator_uses() -> anyhow::Result<()> {
    with_fixture("everywhere", |fixture| async move {
        let cluster = fixture.cluster.clone();
        namespace::within(&cluster.clone(), "system", async |system| {
            grant(&cluster, &system, Namespaces { units: &[], gateways: &[] }).await?;
            for access in rbac::USED.iter().filter(|access| access.scope != rbac::Scope::OwnNamespace) {
                for verb in access.verbs {
                    let allowed = may(&cluster, &system, access.group, access.resource, verb, "").await?;
                    ensure!(allowed, "{verb} {}", access.resource);
                }
            }
            Ok(())
        })
        .await
    })
    .await
}

/// The image of the samples, and one that the API server accepts.
const PLACEHOLDER: [&str; 2] = ["registry.invalid/computing-unit-engine", "registry.example.org/engine"];

/// Applies each document of a file to the namespace of the test, as a dry run on the server.
async fn tried(fixture: &Fixture, file: &str, namespace: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("document.yaml");
    let here = format!("namespace: {}", fixture.namespace);
    let line = format!("kubectl apply --dry-run=server --output name --filename {}", path.display());
    for document in std::fs::read_to_string(file)?.split("\n---\n").filter(|text| text.contains("kind:")) {
        let document = document.replace(&format!("namespace: {namespace}"), &here);
        std::fs::write(&path, &document)?;
        if document.contains(&format!(" image: {}", PLACEHOLDER[0])) {
            let refused = tool::output(&fixture.cluster, &line).await?;
            ensure!(refused.stderr.contains("is a placeholder; replace it with your image"), "{file}: {refused:?}");
            std::fs::write(&path, document.replace(PLACEHOLDER[0], PLACEHOLDER[1]))?;
        }
        let applied = tool::line(&fixture.cluster, &line).await;
        applied.with_context(|| format!("{file}: {document}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_the_plain_manifests_and_the_samples() -> anyhow::Result<()> {
    with_fixture("files", |fixture| async move {
        tried(&fixture, &tool::file("config/install.yaml"), "computing-unit-system").await?;
        for sample in std::fs::read_dir(tool::file("config/samples"))? {
            tried(&fixture, &sample?.path().display().to_string(), "computing-units").await?;
        }
        Ok(())
    })
    .await
}
