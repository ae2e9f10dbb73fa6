//! A deployment like Texera's in the namespace of a test: stand-ins with Texera's names and ports, and the chart of the
//! gateway in front of them.

pub mod agent;
mod ask;
pub mod jupyter;
pub mod manager;
pub mod sources;
pub mod standins;

use std::net::SocketAddr;

use anyhow::ensure;
use computing_unit_api::GatewayRef;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams, PostParams},
};
use serde_json::json;

pub use ask::{Answer, curl};
pub use standins::{AUTHORIZATION, Authorization};

use crate::{
    activator::serve_activator,
    cluster::addons,
    fixture::{Fixture, SOON},
    gateway,
    rights::Namespaces,
    standin, tool,
    units::{self, ENGINE},
    wait::eventually,
};

/// The host name of the object store.
pub const STORE: &str = "store.example.org";
/// The name of the Helm release and of the Gateway.
const RELEASE: &str = "texera";

/// Deploys it with these values and those that every test needs. The fixture uses its Gateway from then on. Returns
/// false if the cluster is not the local one.
///
/// # Errors
/// If it does not become ready.
pub async fn deploy(fixture: &mut Fixture, values: &[&str]) -> anyhow::Result<bool> {
    deploy_recorded(fixture, values, &[]).await
}

/// Deploys it, with these addresses of units in Texera's database.
///
/// # Errors
/// If it does not become ready.
pub async fn deploy_recorded(
    fixture: &mut Fixture,
    values: &[&str],
    recorded: &[(i64, String)],
) -> anyhow::Result<bool> {
    deploy_authorized(fixture, values, &Authorization { recorded, ..Authorization::default() }).await
}

/// Deploys it with this authorization.
///
/// # Errors
/// If it does not become ready.
pub async fn deploy_authorized(
    fixture: &mut Fixture,
    values: &[&str],
    authorization: &Authorization<'_>,
) -> anyhow::Result<bool> {
    if !gateway::is_ours(&fixture.cluster).await? || !serve_activator(fixture).await? {
        println!("NOT RUN: the image of the proxies in the current cluster is unknown");
        return Ok(false);
    }
    for object in standins::objects(&fixture.namespace, authorization) {
        if object["kind"] == "Pod" {
            fixture.pods().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        } else {
            fixture.services().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        }
    }
    for pod in [RELEASE, AUTHORIZATION] {
        standin::ready(fixture, pod).await?;
    }
    install(fixture, values).await?;
    let own = GatewayRef { name: RELEASE.to_owned(), namespace: fixture.namespace.clone(), section_name: None };
    fixture.cluster = fixture.cluster.clone().with_gateway(own);
    fixture.grant(Namespaces { units: &[&fixture.namespace], gateways: &[&fixture.namespace] }).await?;
    fixture.operator = fixture.operator.clone().gateways(&[&fixture.namespace]);
    let proxies = || async { Ok(fixture.cluster.proxies().await.ok().filter(|all| !all.is_empty())) };
    eventually("proxies", SOON, proxies).await?;
    Ok(true)
}

/// Installs or upgrades the chart with these values.
///
/// # Errors
/// If Helm or the API server rejects it.
pub async fn install(fixture: &Fixture, values: &[&str]) -> anyhow::Result<()> {
    let mut words = install_command(&fixture.namespace, &fixture.namespace);
    // The stand-ins share the namespace and have no limits.
    for value in ["units.quota.enabled=false,units.limitRange.enabled=false"].iter().chain(values) {
        words.extend(["--set".to_owned(), (*value).to_owned()]);
    }
    let args: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    tool::run(&fixture.cluster, "helm", &args).await.map(drop)
}

/// The command that installs the chart on the local cluster, with local images and small resource requests.
#[must_use]
pub fn install_command(namespace: &str, units: &str) -> Vec<String> {
    let chart = tool::file("charts/texera-gateway");
    let laptop = format!("{chart}/values-laptop.yaml");
    let flags = ["helm", "upgrade", "--install", RELEASE, &chart, "--namespace", namespace, "--values", &laptop];
    let values = [
        "gatewayClass.create=false".to_owned(),
        format!("proxy.image={}", addons::PROXY),
        "units.namespace.create=false".to_owned(),
        format!("units.namespace.name={units}"),
        format!("units.pool.image={ENGINE}"),
        "units.pool.resources.limits.memory=128Mi,units.pool.resources.limits.cpu=1".to_owned(),
        "units.pool.resources.requests.cpu=5m,units.pool.resources.requests.memory=16Mi".to_owned(),
        "units.pool.podSpec.terminationGracePeriodSeconds=5".to_owned(),
        "units.environment.values.STORAGE_JDBC_PASSWORD=hunter2".to_owned(),
        format!("objectStore.enabled=true,objectStore.hostname={STORE}"),
        "routes.notebook-migration.enabled=true".to_owned(),
    ];
    let values = values.into_iter().flat_map(|value| ["--set".to_owned(), value]);
    flags.map(str::to_owned).into_iter().chain(values).collect()
}

/// Creates a unit with the name that Texera's backend uses. Returns its number.
///
/// # Errors
/// If the API server rejects it.
pub async fn unit(fixture: &Fixture, name: &str) -> anyhow::Result<i64> {
    let cuid = fixture.unit(name).spec.cuid.unwrap_or_default();
    fixture.create(&units::unit(&fixture.namespace, &format!("computing-unit-{cuid}"), cuid)).await?;
    Ok(cuid)
}

/// Creates the Secret with a self-signed certificate for all host names.
///
/// # Errors
/// If the API server rejects it.
pub async fn certificate(fixture: &Fixture, secret: &str) -> anyhow::Result<()> {
    let pair = rcgen::generate_simple_self_signed(vec!["texera.example.org".to_owned(), STORE.to_owned()])?;
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": secret},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pair.cert.pem(), "tls.key": pair.signing_key.serialize_pem()},
    }))?;
    let secrets = Api::namespaced(fixture.cluster.client(), &fixture.namespace);
    secrets.create(&PostParams::default(), &secret).await?;
    Ok(())
}

/// The address of the first proxy of the fixture's Gateway, with the port of a listener.
///
/// # Errors
/// If there is none.
pub async fn proxy(fixture: &Fixture, listener: u16) -> anyhow::Result<SocketAddr> {
    let mut proxy = fixture.cluster.proxies().await?[0];
    // Envoy Gateway maps privileged ports to ports above 10000.
    proxy.set_port(if listener < 1024 { listener + 10_000 } else { listener });
    Ok(proxy)
}

/// The logs of the proxies of the fixture's Gateway.
///
/// # Errors
/// If their pods are not found.
pub async fn log(fixture: &Fixture) -> anyhow::Result<String> {
    let labels = fixture.cluster.proxy_labels();
    let pods = Api::<Pod>::namespaced(fixture.cluster.client(), addons::NAMESPACE);
    let mut all = String::new();
    let found = pods.list(&ListParams::default().labels(&labels)).await?;
    ensure!(!found.items.is_empty(), "no proxy with the labels {labels}");
    for pod in found {
        let params = LogParams { container: Some("envoy".to_owned()), ..LogParams::default() };
        all += &pods.logs(&pod.name_any(), &params).await?;
    }
    Ok(all)
}
