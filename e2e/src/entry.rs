//! A way from the gateway's proxies to the entries that an operator on this machine serves: a Service without pods, whose
//! only endpoint is this machine as the proxies see it.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::Context;
use computing_unit_operator::api::ComputingUnitPool;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::{
    gateway,
    stage::{SOON, Stage},
    units::{Mode, with},
    wait::until,
};

/// Name of the Service.
const NAME: &str = "operator-entry";

/// Makes the Service in the stage's namespace, and has the stage's operator serve it. On a cluster that is not the tests'
/// own, whose proxies need not reach this machine, it says that the test does not run.
///
/// # Errors
/// If the API server does not take it.
pub async fn lead_here(stage: &mut Stage) -> anyhow::Result<bool> {
    if !gateway::is_ours(&stage.cluster).await? {
        println!("NOT RUN: the proxies of the cluster in use need not reach this machine");
        return Ok(false);
    }
    let address = free(own_address(stage.cluster.proxies().await?[0])?)?;
    let namespace = &stage.namespace;
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": NAME},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": address.port()}]},
    }))?;
    let slice: EndpointSlice = serde_json::from_value(json!({
        "metadata": {"name": NAME, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": address.port(), "protocol": "TCP"}],
        "endpoints": [{"addresses": [address.ip()], "conditions": {"ready": true}}],
    }))?;
    let client = stage.cluster.client();
    stage.services().create(&PostParams::default(), &service).await?;
    Api::namespaced(client, namespace).create(&PostParams::default(), &slice).await?;
    stage.operator = stage
        .operator
        .clone()
        .args([format!("--entry-service={namespace}/{NAME}:80"), format!("--entry-address={address}")]);
    Ok(true)
}

/// The address by which this machine speaks to a proxy.
fn own_address(proxy: SocketAddr) -> anyhow::Result<SocketAddr> {
    // Nothing is sent.
    let socket = UdpSocket::bind("0.0.0.0:0").context("a socket")?;
    socket.connect(proxy).with_context(|| format!("a way to {proxy}"))?;
    Ok(socket.local_addr()?)
}

/// The same with a port that nobody has, below those that the system gives away.
fn free(mut address: SocketAddr) -> anyhow::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..1000 {
        let first = u16::try_from(std::process::id() % 10_000).unwrap_or(0);
        address.set_port(20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("no port is free at {address}")
}

/// The pool named `default` with an entry. Its addresses are the test's own, so that it takes no request of another test.
#[must_use]
pub fn pool(stage: &Stage, mode: Mode, entry: &Value) -> ComputingUnitPool {
    let pool = with(&stage.pool(mode), &json!({"spec": {"entry": entry}}));
    if mode != Mode::Query {
        return pool;
    }
    let (path, expression) = (path(stage), format!(r"^/api/{}/executions/\d+$", stage.namespace));
    with(
        &pool,
        &json!({"spec": {"routing": {"query": {"paths": [
            {"type": "PathPrefix", "value": path},
            {"type": "RegularExpression", "value": expression},
            {"type": "Exact", "value": format!("{path}/exactly")},
        ]}}}}),
    )
}

/// The path of units in Query mode.
#[must_use]
pub fn path(stage: &Stage) -> String {
    format!("/wsapi/{}", stage.namespace)
}

/// Makes a pool with an entry, and waits until the gateway has taken the entry's route.
///
/// # Errors
/// If it does not.
pub async fn make_pool(stage: &Stage, mode: Mode, entry: &Value) -> anyhow::Result<()> {
    stage.pools().create(&PostParams::default(), &pool(stage, mode, entry)).await?;
    let served = |pool: Option<&ComputingUnitPool>| {
        let conditions = pool.and_then(|pool| pool.status.as_ref()).map(|status| &status.conditions);
        conditions.into_iter().flatten().any(|condition| condition.type_ == "Entry" && condition.status == "True")
    };
    until("entry", SOON, stage.pools(), "default", served).await?;
    Ok(())
}

/// The `SecurityPolicies` of the stage's namespace.
#[must_use]
pub fn policies(stage: &Stage) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("gateway.envoyproxy.io", "v1alpha1", "SecurityPolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "securitypolicies");
    Api::namespaced_with(stage.cluster.client(), &stage.namespace, &resource)
}
