//! What differs between implementations of Gateway API. An implementation is one file and an entry in the
//! [registry](super::registry).

use std::fmt;

use computing_unit_api::gateway::Gateway;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::listener::Listener;

/// An implementation of Gateway API whose proxies the operator can find.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Whether `name`, the `spec.controllerName` of a GatewayClass, is a controller of this implementation.
    fn is_controller(&self, name: &str) -> bool;

    /// The label selector of the EndpointSlices of its proxies.
    fn proxy_selector(&self) -> &'static str;

    /// Whether the endpoints of a slice are proxies of `gateway`.
    fn serves(&self, slice: &EndpointSlice, gateway: &Gateway) -> bool;

    /// The port of the slice's endpoints for a listener.
    fn port(&self, slice: &EndpointSlice, listener: &Listener<'_>) -> Option<u16>;

    /// Where and how each proxy publishes its statistics.
    fn statistics(&self) -> &'static Statistics;

    /// The name that the statistics have for the backend of a rule of an HTTPRoute. Rules are numbered from 0.
    fn cluster_name(&self, namespace: &str, route: &str, rule: usize) -> String;
}

/// The statistics of a proxy: the endpoint, and the series in Prometheus text format that the operator reads.
#[derive(Debug)]
pub struct Statistics {
    pub port: u16,
    /// Path and query of a request for the series of all routes.
    pub path: &'static str,
    /// The label with the name of the cluster.
    pub cluster_label: &'static str,
    /// Requests to a cluster. A WebSocket is one request.
    pub requests: &'static str,
    /// Bytes from and to a cluster.
    pub bytes: [&'static str; 2],
    /// A series that every cluster has, also one that was never used.
    pub presence: &'static str,
    /// Seconds since the proxy started, without a label.
    pub uptime: &'static str,
}
