//! The Service of the activator in tests. Its endpoints are operators that run as processes on this machine.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::Context;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{Api, api::PostParams};
use serde_json::json;

use crate::{fixture::Fixture, gateway};

/// The name of the Service.
pub const SERVICE: &str = "operator-activator";

/// Creates the Service in the namespace of the fixture, whose operator serves it from then on. Returns false if the
/// cluster is not the local one, because its proxies may not reach this machine.
///
/// # Errors
/// If the API server rejects it.
pub async fn serve_activator(fixture: &mut Fixture) -> anyhow::Result<bool> {
    let namespace = fixture.namespace.clone();
    let Some([address]) = endpoints(fixture, &namespace).await? else { return Ok(false) };
    let service = format!("--activator-service={namespace}/{SERVICE}:80");
    fixture.operator = fixture.operator.clone().args([service, format!("--activator-address={address}")]);
    Ok(true)
}

/// Creates the Service in `namespace` with endpoints that are not served yet. Returns `None` if the cluster is not
/// local.
///
/// # Errors
/// If the API server rejects it.
pub async fn endpoints<const COUNT: usize>(
    fixture: &Fixture,
    namespace: &str,
) -> anyhow::Result<Option<[SocketAddr; COUNT]>> {
    if !gateway::is_ours(&fixture.cluster).await? {
        println!("NOT RUN: the proxies of the current cluster may not reach this machine");
        return Ok(None);
    }
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": SERVICE},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    }))?;
    let client = fixture.cluster.client();
    Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &service).await?;
    let slices = Api::<EndpointSlice>::namespaced(client, namespace);
    let own = own_address(fixture.cluster.proxies().await?[0])?;
    let mut addresses = [own; COUNT];
    for (number, address) in addresses.iter_mut().enumerate() {
        *address = free(own)?;
        // All endpoints of one slice have the same port.
        let slice = serde_json::from_value(json!({
            "metadata": {"name": format!("{SERVICE}-{number}"), "labels": {"kubernetes.io/service-name": SERVICE}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": address.port(), "protocol": "TCP"}],
            "endpoints": [{"addresses": [address.ip()], "conditions": {"ready": true}}],
        }))?;
        slices.create(&PostParams::default(), &slice).await?;
    }
    Ok(Some(addresses))
}

/// The address of this machine on the route to a proxy.
fn own_address(proxy: SocketAddr) -> anyhow::Result<SocketAddr> {
    // Connecting a UDP socket sends no packet.
    let socket = UdpSocket::bind("0.0.0.0:0").context("open a socket")?;
    socket.connect(proxy).with_context(|| format!("no route to {proxy}"))?;
    Ok(socket.local_addr()?)
}

/// The same with a free port below the ephemeral range.
fn free(mut address: SocketAddr) -> anyhow::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..1000 {
        let first = u16::try_from(std::process::id() % 10_000).unwrap_or(0);
        address.set_port(20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("no free port at {address}")
}
