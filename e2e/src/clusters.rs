//! The Envoy clusters of routes, and how they discover their endpoints. They are read from the configuration of the
//! proxies, through port forwarding by the API server.

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::Value;

use crate::attach::Cluster;

/// The port of the admin interface of a proxy, which is only reachable within its pod.
const ADMIN: u16 = 19000;

/// The discovery types of the clusters of an `HTTPRoute`: `EDS` if Envoy Gateway sends the endpoints; `STRICT_DNS`,
/// `LOGICAL_DNS` or the name of an extension if the proxy resolves them. One for each proxy and rule.
///
/// # Errors
/// If a proxy cannot be read, or has no such cluster.
pub async fn discovery(cluster: &Cluster, namespace: &str, route: &str) -> anyhow::Result<Vec<String>> {
    let own = format!("httproute/{namespace}/{route}/rule/");
    let mut found = vec![];
    for dump in dumps(cluster).await? {
        let clusters = dump["configs"].as_array().into_iter().flatten().map(|config| &config["cluster"]);
        let named = clusters.filter(|one| one["name"].as_str().is_some_and(|name| name.starts_with(&own)));
        let types: Vec<String> = named.map(kind).collect();
        ensure!(!types.is_empty(), "a proxy has no cluster {own}");
        found.extend(types);
    }
    Ok(found)
}

fn kind(cluster: &Value) -> String {
    let type_ = [&cluster["type"], &cluster["cluster_type"]["name"]].into_iter().find_map(Value::as_str);
    type_.unwrap_or("STATIC").to_owned()
}

async fn dumps(cluster: &Cluster) -> anyhow::Result<Vec<Value>> {
    let labels = cluster.proxy_labels();
    let pods = Api::<Pod>::all(cluster.client()).list(&ListParams::default().labels(&labels)).await?;
    ensure!(!pods.items.is_empty(), "no proxy with the labels {labels}");
    let mut all = vec![];
    for pod in pods {
        let api = Api::<Pod>::namespaced(cluster.client(), &pod.namespace().unwrap_or_default());
        all.push(ask(&api, &pod.name_any(), "/config_dump?resource=dynamic_active_clusters").await?);
    }
    Ok(all)
}

async fn ask(pods: &Api<Pod>, name: &str, path: &str) -> anyhow::Result<Value> {
    let mut forward = pods.portforward(name, &[ADMIN]).await?;
    let stream = forward.take_stream(ADMIN).context("no connection to the proxy")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = http::Request::get(path).header(http::header::HOST, "localhost").body(Empty::<Bytes>::new())?;
    let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    driver.abort();
    Ok(serde_json::from_slice(&body)?)
}

/// The largest number of connections to the backend of each rule of an `HTTPRoute`, at each proxy. `None` is Envoy's default.
///
/// # Errors
/// If a proxy cannot be read.
pub async fn max_connections(cluster: &Cluster, namespace: &str, route: &str) -> anyhow::Result<Vec<Option<u64>>> {
    let own = format!("httproute/{namespace}/{route}/rule/");
    let dumps = dumps(cluster).await?;
    let clusters = dumps.iter().flat_map(|dump| dump["configs"].as_array().into_iter().flatten());
    let named = clusters
        .map(|config| &config["cluster"])
        .filter(|one| one["name"].as_str().is_some_and(|name| name.starts_with(&own)));
    Ok(named.map(|one| one["circuit_breakers"]["thresholds"][0]["max_connections"].as_u64()).collect())
}
