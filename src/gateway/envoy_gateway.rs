//! Envoy Gateway: labels, ports and names.
//!
//! Envoy Gateway creates a Service for a Gateway, labelled with the Gateway's name, or with the class's if Gateways are
//! merged. Kubernetes copies the labels to the EndpointSlices of the Service, whose endpoints are the proxies. The port of
//! the Service for a listener is named `<protocol>-<listener port>`; the slice has the port that a proxy listens on.

use computing_unit_api::gateway::Gateway;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::{
    listener::Listener,
    provider::{Provider, Statistics},
};

#[derive(Debug)]
pub struct EnvoyGateway;

/// The prefix of the controller name, unless it was configured otherwise.
const CONTROLLER_PREFIX: &str = "gateway.envoyproxy.io/";
/// Label: the Gateway of a proxy.
const OWNING_GATEWAY: &str = "gateway.envoyproxy.io/owning-gateway-name";
/// Label: the namespace of that Gateway.
const OWNING_NAMESPACE: &str = "gateway.envoyproxy.io/owning-gateway-namespace";
/// Label: the GatewayClass whose merged Gateways a proxy serves.
const OWNING_CLASS: &str = "gateway.envoyproxy.io/owning-gatewayclass";

/// `usedonly` leaves out counters that are zero; `membership_total` is a gauge and present for every cluster.
static STATISTICS: Statistics = Statistics {
    port: 19001,
    path: "/stats/prometheus?usedonly&filter=%5E(cluster%5C.httproute%2F.%2B%5C.\
(upstream_(rq_total%7Ccx_rx_bytes_total%7Ccx_tx_bytes_total)%7Cmembership_total)%7Cserver%5C.uptime)%24",
    cluster_label: "envoy_cluster_name",
    requests: "envoy_cluster_upstream_rq_total",
    bytes: ["envoy_cluster_upstream_cx_rx_bytes_total", "envoy_cluster_upstream_cx_tx_bytes_total"],
    presence: "envoy_cluster_membership_total",
    uptime: "envoy_server_uptime",
};

impl Provider for EnvoyGateway {
    fn is_controller(&self, name: &str) -> bool {
        name.starts_with(CONTROLLER_PREFIX)
    }

    fn proxy_selector(&self) -> &'static str {
        "app.kubernetes.io/managed-by=envoy-gateway,app.kubernetes.io/component=proxy"
    }

    fn serves(&self, slice: &EndpointSlice, gateway: &Gateway) -> bool {
        let Some(labels) = &slice.metadata.labels else { return false };
        let has = |key: &str, value: Option<&String>| value.is_some() && labels.get(key) == value;
        let own = has(OWNING_GATEWAY, gateway.metadata.name.as_ref())
            && has(OWNING_NAMESPACE, gateway.metadata.namespace.as_ref());
        own || has(OWNING_CLASS, Some(&gateway.spec.gateway_class_name))
    }

    fn port(&self, slice: &EndpointSlice, listener: &Listener<'_>) -> Option<u16> {
        // If listeners of several protocols share a port, the name carries the protocol of the first one.
        let suffix = format!("-{}", listener.port);
        let mut ports = slice.ports.iter().flatten().filter(|port| {
            port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP")
                && port.name.as_deref().is_some_and(|name| name.ends_with(&suffix))
        });
        ports.next().and_then(|port| u16::try_from(port.port?).ok())
    }

    fn statistics(&self) -> &'static Statistics {
        &STATISTICS
    }

    fn cluster_name(&self, namespace: &str, route: &str, rule: usize) -> String {
        format!("httproute/{namespace}/{route}/rule/{rule}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{gateway::listener, testing::gateway};

    fn slice(labels: &Value) -> EndpointSlice {
        serde_json::from_value(json!({
            "metadata": {"name": "envoy-gateways-shared-abc", "namespace": "envoy-gateway-system", "labels": labels},
            "addressType": "IPv4",
            "endpoints": [],
            "ports": [
                {"name": "https-443-h3", "port": 10443, "protocol": "UDP"},
                {"name": "https-443", "port": 10444, "protocol": "TCP"},
                {"name": "http-80", "port": 10080, "protocol": "TCP"},
            ],
        }))
        .unwrap()
    }

    fn http() -> Gateway {
        gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP"}]))
    }

    #[test]
    fn slice_serves_the_gateway_or_the_class_of_its_labels() {
        for (labels, expected) in [
            (json!({OWNING_GATEWAY: "shared", OWNING_NAMESPACE: "gateways"}), true),
            (json!({OWNING_GATEWAY: "other", OWNING_NAMESPACE: "gateways"}), false),
            (json!({OWNING_GATEWAY: "shared", OWNING_NAMESPACE: "units"}), false),
            (json!({OWNING_CLASS: "eg"}), true),
            (json!({OWNING_CLASS: "other"}), false),
            (Value::Null, false),
        ] {
            assert_eq!(EnvoyGateway.serves(&slice(&labels), &http()), expected, "{labels}");
        }
    }

    #[test]
    fn port_is_the_tcp_port_named_after_the_listener() {
        for (port, protocol, expected) in [(80, "HTTP", Some(10080)), (443, "HTTPS", Some(10444)), (8080, "HTTP", None)]
        {
            let gateway = gateway(&json!([{"name": "listener", "port": port, "protocol": protocol}]));
            let listener = listener::preferred(&gateway, listener::Choice::default()).unwrap();
            assert_eq!(EnvoyGateway.port(&slice(&Value::Null), &listener), expected, "{port}");
        }
    }
}
