//! What the API server itself counts of the operator's writes: requests for objects that nobody else writes.

use std::collections::BTreeMap;

use anyhow::Context;
use kube::Client;

/// Verbs, resources and subresources that the operator alone uses while a unit starts or ends: the tests make and delete
/// units by POST and DELETE, the gateway's controller applies Services of its own and puts the status of routes, the
/// kubelet patches that of pods.
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

/// Requests so far, by verb and resource.
pub type Requests = BTreeMap<String, u64>;

/// Reads `apiserver_request_total`.
///
/// # Errors
/// If the API server does not tell.
pub async fn requests(client: &Client) -> anyhow::Result<Requests> {
    let request = http::Request::get("/metrics").body(vec![])?;
    let text = client.request_text(request).await.context("the API server's metrics")?;
    let mut requests = Requests::new();
    for line in text.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let (labels, count) = line.rsplit_once(' ').context("a metric")?;
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let (verb, resource) = (label("verb").unwrap_or_default(), label("resource").unwrap_or_default());
        let subresource = label("subresource").unwrap_or_default();
        if OURS.contains(&(verb, resource, subresource)) {
            let slash = if subresource.is_empty() { "" } else { "/" };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let count = count.parse::<f64>()? as u64;
            *requests.entry(format!("{verb} {resource}{slash}{subresource}")).or_default() += count;
        }
    }
    Ok(requests)
}

/// How many have come since.
#[must_use]
pub fn since(now: &Requests, earlier: &Requests) -> u64 {
    now.iter().map(|(what, count)| count - earlier.get(what).copied().unwrap_or_default()).sum()
}
