//! Requests as counted by the API server, if no other client sends requests of that kind.

use std::collections::BTreeMap;

use anyhow::Context;
use kube::Client;

/// Verbs, resources and subresources that only the operator uses while a unit is created or deleted. The tests create
/// and delete units with POST and DELETE, Envoy Gateway applies its own Services and updates the status of routes with
/// PUT, and the kubelet patches the status of pods.
const OURS: &[(&str, &str, &str)] = &[
    ("PATCH", "computingunits", ""),
    ("APPLY", "computingunits", "status"),
    ("POST", "services", ""),
    ("PATCH", "services", ""),
    ("POST", "pods", ""),
    ("PATCH", "pods", ""),
    ("POST", "httproutes", ""),
    ("PATCH", "httproutes", ""),
];

/// Envoy Gateway applies the Deployment of a Gateway's proxies with all other objects of the proxies.
const PROXIES: &[(&str, &str, &str)] = &[("APPLY", "deployments", "")];

/// The number of requests by verb and resource.
pub type Requests = BTreeMap<String, u64>;

/// The operator's writes, from `apiserver_request_total`.
///
/// # Errors
/// If the metrics cannot be read.
pub async fn requests(client: &Client) -> anyhow::Result<Requests> {
    counted(client, OURS).await
}

/// How often Envoy Gateway applied the objects of the proxies.
///
/// # Errors
/// If the metrics cannot be read.
pub async fn proxies_applied(client: &Client) -> anyhow::Result<u64> {
    Ok(counted(client, PROXIES).await?.values().sum())
}

async fn counted(client: &Client, kinds: &[(&str, &str, &str)]) -> anyhow::Result<Requests> {
    let request = http::Request::get("/metrics").body(vec![])?;
    let text = client.request_text(request).await.context("the API server's metrics")?;
    let mut requests = Requests::new();
    for line in text.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let (labels, count) = line.rsplit_once(' ').context("not a metric")?;
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let (verb, resource) = (label("verb").unwrap_or_default(), label("resource").unwrap_or_default());
        let subresource = label("subresource").unwrap_or_default();
        if kinds.contains(&(verb, resource, subresource)) {
            let slash = if subresource.is_empty() { "" } else { "/" };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let count = count.parse::<f64>()? as u64;
            *requests.entry(format!("{verb} {resource}{slash}{subresource}")).or_default() += count;
        }
    }
    Ok(requests)
}

/// The number of requests since then.
#[must_use]
pub fn since(now: &Requests, earlier: &Requests) -> u64 {
    now.iter().map(|(what, count)| count - earlier.get(what).copied().unwrap_or_default()).sum()
}
