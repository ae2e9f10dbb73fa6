//! Whether a Deployment or a Service has pods that are available.

use k8s_openapi::api::{apps::v1::Deployment, discovery::v1::EndpointSlice};

use super::Check;
use crate::cu::operators;

/// Whether the replicas of a Deployment are available.
pub fn check(subject: String, deployment: &Deployment, flags: &str) -> Check {
    let name = operators::label(deployment);
    let (namespace, short) = name.split_once('/').unwrap_or_default();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let available = deployment.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0);
    let message = format!("{available} of {wanted} replicas are available");
    let describe = format!("See: kubectl describe deployment {short} -n {namespace}{flags}");
    match (wanted, available) {
        (0, _) => Check::fail(
            subject,
            "it is scaled to 0 replicas",
            format!("Scale it up: kubectl scale deployment {short} --replicas=2 -n {namespace}{flags}"),
        ),
        (_, 0) => Check::fail(subject, message, describe),
        _ if available < wanted => Check::warn(subject, message, describe),
        _ => Check::ok(subject, message),
    }
}

/// Whether a Service has ready endpoints.
pub fn endpoints(subject: String, slices: &[EndpointSlice], remedy: String) -> Check {
    match ready(slices) {
        0 => Check::fail(subject, "it has no ready endpoint", remedy),
        1 => Check::ok(subject, "1 endpoint is ready"),
        ready => Check::ok(subject, format!("{ready} endpoints are ready")),
    }
}

/// The number of ready endpoints, each pod once.
pub fn ready(slices: &[EndpointSlice]) -> usize {
    let ready = |slice: &EndpointSlice| {
        let endpoints = slice
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true));
        let identity = |(number, endpoint): (usize, &k8s_openapi::api::discovery::v1::Endpoint)| {
            let target = endpoint.target_ref.as_ref().and_then(|target| target.uid.clone());
            target.unwrap_or_else(|| endpoint.addresses.first().cloned().unwrap_or_else(|| number.to_string()))
        };
        endpoints.enumerate().map(identity).collect::<Vec<_>>()
    };
    slices.iter().flat_map(ready).collect::<std::collections::BTreeSet<_>>().len()
}
