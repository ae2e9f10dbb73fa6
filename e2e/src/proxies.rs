//! A Gateway in the namespace of a test, and faults of its proxies. Only on the local cluster, because its pods are
//! processes of this machine.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use computing_unit_api::{GatewayRef, gateway::Gateway};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::{
    attach::Cluster,
    cluster::{process, shell},
    fixture::{Fixture, SOON},
    gateway,
    rights::Namespaces,
    wait::{eventually, until},
};

/// The name of the Gateway and of its EnvoyProxy.
const NAME: &str = "own";
/// The statistics port of a proxy.
const STATISTICS: u16 = 19001;

/// Creates a Gateway with one proxy, which the pools and the operator of the fixture use from then on. Returns false if
/// the cluster is not the local one.
///
/// # Errors
/// If the Gateway does not become ready.
pub async fn own(fixture: &mut Fixture) -> anyhow::Result<bool> {
    if !gateway::is_ours(&fixture.cluster).await? {
        println!("NOT RUN: the EnvoyProxy of the current cluster is unknown");
        return Ok(false);
    }
    let shared = fixture.cluster.gateway();
    let gateways = |namespace: &str| Api::<Gateway>::namespaced(fixture.cluster.client(), namespace);
    let class = gateways(&shared.namespace).get(&shared.name).await?.spec.gateway_class_name.clone();
    gateway::copy_proxy(&fixture.cluster, &fixture.namespace, NAME).await?;
    let made = serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": NAME},
        "spec": {
            "gatewayClassName": class,
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
            "infrastructure": {"parametersRef": {
                "group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": NAME,
            }},
        },
    }))?;
    gateways(&fixture.namespace).create(&PostParams::default(), &made).await?;
    let own = GatewayRef { name: NAME.to_owned(), namespace: fixture.namespace.clone(), section_name: None };
    fixture.cluster = fixture.cluster.clone().with_gateway(own);
    fixture.grant(Namespaces { units: &[&fixture.namespace], gateways: &[&fixture.namespace] }).await?;
    fixture.operator = fixture.operator.clone().gateways(&[&fixture.namespace]);
    gateway::scale_proxies(&fixture.cluster, 1).await?;
    Ok(true)
}

/// Kills Envoy in the proxy at this address, and waits until the kubelet has restarted it.
///
/// # Errors
/// If it is not found, or is not restarted in time.
pub async fn restart(cluster: &Cluster, proxy: SocketAddr) -> anyhow::Result<()> {
    let pod = pod(cluster, proxy).await?;
    let before = restarts(&pod).context("no restart count")?;
    kill_process(Pid::from_raw(envoy(&pod)?).context("a pid")?, Signal::KILL)?;
    let again = |pod: Option<&Pod>| pod.and_then(restarts).is_some_and(|restarts| restarts > before);
    let pods = Api::<Pod>::namespaced(cluster.client(), &pod.namespace().unwrap_or_default());
    until("restart", SOON, pods, &pod.name_any(), again).await?;
    let back = || async { Ok(cluster.proxies().await.is_ok_and(|all| all.contains(&proxy)).then_some(())) };
    eventually("recovery of the proxy", SOON, back).await
}

/// Deletes the pod of the proxy at this address: in an orderly way, or by force. Waits until another proxy takes its place.
///
/// # Errors
/// If it is not found, or is not replaced in time.
pub async fn replace(cluster: &Cluster, proxy: SocketAddr, force: bool) -> anyhow::Result<()> {
    let pod = pod(cluster, proxy).await?;
    let count = cluster.proxies().await?.len();
    let pods = Api::<Pod>::namespaced(cluster.client(), &pod.namespace().unwrap_or_default());
    let how = if force { DeleteParams::default().grace_period(0) } else { DeleteParams::default() };
    pods.delete(&pod.name_any(), &how).await?;
    let replaced = || async {
        let proxies = cluster.proxies().await.unwrap_or_default();
        Ok((proxies.len() == count && !proxies.contains(&proxy)).then_some(()))
    };
    eventually("another proxy", SOON, replaced).await
}

/// Blocks or unblocks the statistics port of the proxy at this address. Other requests pass.
///
/// # Errors
/// If the proxy is not found.
pub async fn hide_statistics(cluster: &Cluster, proxy: SocketAddr, hidden: bool) -> anyhow::Result<()> {
    let rules = if hidden {
        format!(
            "table inet e2e {{ chain statistics {{ type filter hook input priority 0; \
             tcp dport {STATISTICS} reject with tcp reset; }}; }}"
        )
    } else {
        "delete table inet e2e".to_owned()
    };
    inside(cluster, proxy, &["nft", &rules]).await.map(drop)
}

/// Drops all packets from a client's port to the proxy at this address, as if the client lost its network.
///
/// # Errors
/// If the proxy is not found.
pub async fn lose(cluster: &Cluster, proxy: SocketAddr, client: u16) -> anyhow::Result<()> {
    let rule =
        format!("table inet e2e {{ chain lost {{ type filter hook input priority 0; tcp sport {client} drop; }}; }}");
    inside(cluster, proxy, &["nft", &rule]).await.map(drop)
}

/// Whether the proxy at this address has an open connection to a client's port.
///
/// # Errors
/// If the proxy is not found.
pub async fn holds(cluster: &Cluster, proxy: SocketAddr, client: u16) -> anyhow::Result<bool> {
    Ok(!connection(cluster, proxy, client).await?.trim().is_empty())
}

/// Whether the client at this port has acknowledged all that the proxy has sent. Otherwise the proxy would repeat it, and send
/// no keepalive probes.
///
/// # Errors
/// If the proxy is not found.
pub async fn acknowledged(cluster: &Cluster, proxy: SocketAddr, client: u16) -> anyhow::Result<bool> {
    let found = connection(cluster, proxy, client).await?;
    // The queues of received and of sent bytes, and the addresses.
    Ok(found.split_whitespace().nth(1) == Some("0"))
}

/// The open connection of the proxy to a client's port, in one line.
async fn connection(cluster: &Cluster, proxy: SocketAddr, client: u16) -> anyhow::Result<String> {
    let filter = format!("dport = :{client}");
    inside(cluster, proxy, &["ss", "-H", "-t", "-n", "state", "established", &filter]).await
}

/// Runs a command in the network namespace of the pod of a proxy. Returns its output.
async fn inside(cluster: &Cluster, proxy: SocketAddr, command: &[&str]) -> anyhow::Result<String> {
    let network = format!("--net=/proc/{}/ns/net", envoy(&pod(cluster, proxy).await?)?);
    shell::output(Command::new("nsenter").arg(network).args(command))
}

/// The resident memory of the proxy at this address, in bytes.
///
/// # Errors
/// If it is not found.
pub async fn resident_memory(cluster: &Cluster, proxy: SocketAddr) -> anyhow::Result<u64> {
    process::resident_memory(envoy(&pod(cluster, proxy).await?)?)
}

/// The UID of the pod of the proxy at this address.
///
/// # Errors
/// If it is not found.
pub async fn uid(cluster: &Cluster, proxy: SocketAddr) -> anyhow::Result<String> {
    pod(cluster, proxy).await?.uid().context("no UID")
}

/// The pod of a proxy.
async fn pod(cluster: &Cluster, proxy: SocketAddr) -> anyhow::Result<Pod> {
    let pods = Api::<Pod>::all(cluster.client()).list(&ListParams::default().labels(&cluster.proxy_labels())).await?;
    let ip = proxy.ip().to_string();
    let so = |pod: &Pod| pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()) == Some(ip.as_str());
    pods.items.into_iter().find(so).with_context(|| format!("no proxy has the address {ip}"))
}

fn restarts(pod: &Pod) -> Option<i32> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    containers.iter().find(|container| container.name == "envoy").map(|container| container.restart_count)
}

/// The Envoy process in the pod of a proxy.
fn envoy(pod: &Pod) -> anyhow::Result<i32> {
    let uid = pod.uid().context("no UID")?;
    let named = |process: &PathBuf| fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.trim() == "envoy");
    let found: Vec<PathBuf> = processes(&uid)?.filter(named).collect();
    ensure!(found.len() == 1, "expected one Envoy process of pod {uid}, found {found:?}");
    pid(&found[0])
}

/// The id of a process, by its directory in `/proc`.
///
/// # Errors
/// If the directory is not that of a process.
pub fn pid(process: &Path) -> anyhow::Result<i32> {
    Ok(process.file_name().and_then(|name| name.to_str()).context("not a process")?.parse()?)
}

/// The processes of the pod with this UID on this machine, as directories in `/proc`.
///
/// # Errors
/// If there is no `/proc`.
pub fn processes(pod: &str) -> anyhow::Result<impl Iterator<Item = PathBuf>> {
    let all = fs::read_dir("/proc")?.flatten().map(|entry| entry.path());
    Ok(all.filter(move |process| fs::read_to_string(process.join("cgroup")).unwrap_or_default().contains(pod)))
}
