//! Which proxies a Gateway has, and how each is asked.
//!
//! Pure. Envoy Gateway gives a Gateway a Service labelled with the Gateway's name (with the class's where Gateways are
//! merged); Kubernetes copies the labels to the Service's `EndpointSlices`, whose endpoints are the proxies. The Service's
//! port for a listener is named `<protocol>-<listener port>`; the port that a proxy listens on is the slice's.

use std::{collections::BTreeMap, fmt};

use computing_unit_api::{GatewayRef, gateway::Gateway};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use crate::gateway::listener::{self, Listener};

/// Label of Envoy Gateway: the Gateway that a proxy belongs to.
const OWNING_GATEWAY: &str = "gateway.envoyproxy.io/owning-gateway-name";
/// Label of Envoy Gateway: the namespace of [`OWNING_GATEWAY`].
const OWNING_NAMESPACE: &str = "gateway.envoyproxy.io/owning-gateway-namespace";
/// Label of Envoy Gateway: the class whose merged Gateways a proxy serves.
const OWNING_CLASS: &str = "gateway.envoyproxy.io/owning-gatewayclass";
/// What the name of Envoy Gateway's controller starts with unless it was changed.
const ENVOY_GATEWAY: &str = "gateway.envoyproxy.io/";

/// The proxies of a Gateway at the time of asking.
pub trait Proxies: Send + Sync + 'static {
    /// The proxies that serve `gateway`, and how to send them a request for `host`. Called before every attempt, so it
    /// has to be cheap and must not block.
    ///
    /// # Errors
    /// In words, where it is not known which proxies there are. A Gateway that has none is no error.
    fn of(&self, gateway: &GatewayRef, host: Option<&str>) -> Result<Vec<Proxy>, String>;
}

/// One proxy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proxy {
    /// Its IP address, or a host name where that is all that the Gateway has.
    pub address: String,
    /// The port that it listens on.
    pub port: u16,
    /// Whether the listener speaks TLS.
    pub tls: bool,
    /// The host name to ask for, also by TLS; where absent any will do.
    pub name: Option<String>,
    /// Whether it is on its way out. It may still serve connections that it has, so a route is closed only when it has
    /// let go of it too; a route that opens need not reach it.
    pub draining: bool,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.address.contains(':') {
            write!(f, "[{}]:{}", self.address, self.port)
        } else {
            write!(f, "{}:{}", self.address, self.port)
        }
    }
}

/// The label selector of the `EndpointSlices` that [`proxies`] looks at: those of Envoy Gateway's proxies.
pub(super) const SELECTOR: &str = "app.kubernetes.io/managed-by=envoy-gateway,app.kubernetes.io/component=proxy";

/// The proxies of `gateway`, found in `slices`.
///
/// `controller` is the controller of the Gateway's class. A Gateway that has no slices and another controller than Envoy
/// Gateway is asked at its addresses: behind those may be several proxies, of which a probe meets one.
pub(super) fn proxies<'a>(
    gateway: &Gateway,
    section_name: Option<&str>,
    controller: Option<&str>,
    slices: impl Iterator<Item = &'a EndpointSlice>,
    host: Option<&str>,
) -> Vec<Proxy> {
    let Some(listener) = listener::preferred(gateway, section_name, host) else { return Vec::new() };
    let name = host.map(str::to_owned).or_else(|| any_name(&listener));
    let proxy = |address: &str, port: u16, draining: bool| Proxy {
        address: address.to_owned(),
        port,
        tls: listener.tls,
        name: name.clone(),
        draining,
    };
    let mut found = BTreeMap::new();
    let mut by_slices = controller.is_some_and(|controller| controller.starts_with(ENVOY_GATEWAY));
    for slice in slices.filter(|slice| belongs(slice, gateway)) {
        by_slices = true;
        let Some(port) = port(slice, &listener) else { continue };
        for endpoint in &slice.endpoints {
            let (Some(address), Some(draining)) = (endpoint.addresses.first(), draining(endpoint)) else { continue };
            let next = (slice.address_type == "IPv6", proxy(address, port, draining));
            // A pod with addresses of both families is in two slices, and is one proxy.
            let known = found.entry(identity(endpoint, address)).or_insert_with(|| next.clone());
            if (next.1.draining, next.0) < (known.1.draining, known.0) {
                *known = next;
            }
        }
    }
    if by_slices {
        return found.into_values().map(|(_, proxy)| proxy).collect();
    }
    listener::addresses(gateway).iter().map(|address| proxy(address, listener.port, false)).collect()
}

/// A host name that the listener takes; `None` where it takes any.
fn any_name(listener: &Listener<'_>) -> Option<String> {
    let name = listener.hostname?;
    Some(name.strip_prefix('*').map_or_else(|| name.to_owned(), |suffix| format!("computing-unit{suffix}")))
}

fn belongs(slice: &EndpointSlice, gateway: &Gateway) -> bool {
    let Some(labels) = &slice.metadata.labels else { return false };
    let has = |key: &str, value: Option<&String>| value.is_some() && labels.get(key) == value;
    let own = has(OWNING_GATEWAY, gateway.metadata.name.as_ref())
        && has(OWNING_NAMESPACE, gateway.metadata.namespace.as_ref());
    own || has(OWNING_CLASS, Some(&gateway.spec.gateway_class_name))
}

/// The port of a slice's endpoints for a listener. Where listeners of several protocols share a port, the name carries
/// the first one's protocol.
fn port(slice: &EndpointSlice, listener: &Listener<'_>) -> Option<u16> {
    let ports = slice.ports.iter().flatten().filter(|port| port.protocol.as_deref().is_none_or(|own| own == "TCP"));
    let suffix = format!("-{}", listener.port);
    let mut fit = ports.filter(|port| port.name.as_deref().is_some_and(|name| name.ends_with(&suffix)));
    fit.next().and_then(|port| u16::try_from(port.port?).ok())
}

/// Whether an endpoint is on its way out; `None` where it takes no requests. What is not said counts as in Kubernetes:
/// ready, and serving as long as it is ready.
fn draining(endpoint: &Endpoint) -> Option<bool> {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    let terminating = conditions.terminating.unwrap_or(false);
    let ready = conditions.ready.unwrap_or(true);
    let takes_requests = if terminating { conditions.serving.unwrap_or(ready) } else { ready };
    takes_requests.then_some(terminating)
}

fn identity(endpoint: &Endpoint, address: &str) -> String {
    let target = endpoint.target_ref.as_ref();
    let id = target.and_then(|target| target.uid.clone().or_else(|| target.name.clone()));
    id.unwrap_or_else(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::gateway;

    const EG: &str = "gateway.envoyproxy.io/gatewayclass-controller";

    fn endpoint(pod: &str, address: &str, conditions: &Value) -> Value {
        json!({"addresses": [address], "conditions": conditions, "targetRef": {"kind": "Pod", "name": pod, "uid": pod}})
    }

    fn ready() -> Value {
        json!({"ready": true, "serving": true, "terminating": false})
    }

    fn slice(labels: &Value, family: &str, endpoints: &[Value]) -> EndpointSlice {
        serde_json::from_value(json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "envoy-gateways-shared-abc", "namespace": "envoy-gateway-system", "labels": labels},
            "addressType": family,
            "endpoints": endpoints,
            "ports": [
                {"name": "https-443", "port": 10443, "protocol": "TCP"},
                {"name": "https-443-h3", "port": 10443, "protocol": "UDP"},
                {"name": "http-80", "port": 10080, "protocol": "TCP"},
            ],
        }))
        .unwrap()
    }

    fn own() -> Value {
        json!({OWNING_GATEWAY: "shared", OWNING_NAMESPACE: "gateways"})
    }

    fn http() -> Gateway {
        gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP"}]))
    }

    fn found(gateway: &Gateway, slices: &[EndpointSlice], host: Option<&str>) -> Vec<String> {
        let all = proxies(gateway, None, Some(EG), slices.iter(), host);
        all.iter().map(|proxy| format!("{proxy}{}", if proxy.draining { " draining" } else { "" })).collect()
    }

    #[test]
    fn the_ready_endpoints_of_the_gateways_service_are_its_proxies() {
        let slices = [
            slice(
                &own(),
                "IPv4",
                &[
                    endpoint("a", "10.0.0.1", &ready()),
                    endpoint("b", "10.0.0.2", &json!({})),
                    endpoint("c", "10.0.0.3", &json!({"ready": false, "serving": false, "terminating": false})),
                    endpoint("d", "10.0.0.4", &json!({"ready": false, "serving": true, "terminating": true})),
                    endpoint("e", "10.0.0.5", &json!({"ready": false, "serving": false, "terminating": true})),
                ],
            ),
            slice(
                &json!({OWNING_GATEWAY: "other", OWNING_NAMESPACE: "gateways"}),
                "IPv4",
                &[endpoint("f", "10.0.0.6", &ready())],
            ),
            slice(
                &json!({OWNING_GATEWAY: "shared", OWNING_NAMESPACE: "units"}),
                "IPv4",
                &[endpoint("g", "10.0.0.7", &ready())],
            ),
        ];
        assert_eq!(found(&http(), &slices, None), ["10.0.0.1:10080", "10.0.0.2:10080", "10.0.0.4:10080 draining"]);
    }

    #[test]
    fn the_proxies_of_merged_gateways_are_found_by_the_class() {
        let slices = [slice(&json!({OWNING_CLASS: "eg"}), "IPv4", &[endpoint("a", "10.0.0.1", &ready())])];
        assert_eq!(found(&http(), &slices, None), ["10.0.0.1:10080"]);
        let slices = [slice(&json!({OWNING_CLASS: "other"}), "IPv4", &[endpoint("a", "10.0.0.1", &ready())])];
        assert!(found(&http(), &slices, None).is_empty());
    }

    #[test]
    fn a_pod_with_two_addresses_is_one_proxy_and_asked_by_ipv4() {
        let slices = [
            slice(&own(), "IPv6", &[endpoint("a", "fd00::1", &ready()), endpoint("b", "fd00::2", &ready())]),
            slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &ready())]),
        ];
        assert_eq!(found(&http(), &slices, None), ["10.0.0.1:10080", "[fd00::2]:10080"]);
    }

    #[test]
    fn a_pod_that_is_listed_twice_is_ready_if_one_entry_says_so() {
        let going = json!({"ready": false, "serving": true, "terminating": true});
        let slices = [
            slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &going)]),
            slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &ready())]),
        ];
        assert_eq!(found(&http(), &slices, None), ["10.0.0.1:10080"]);
    }

    #[test]
    fn a_listener_with_tls_is_asked_for_a_name_that_it_takes() {
        let slices = [slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &ready())])];
        for (hostname, host, expected) in [
            (json!("*.units.example.org"), None, Some("computing-unit.units.example.org")),
            (json!("units.example.org"), None, Some("units.example.org")),
            (json!("*.units.example.org"), Some("ada.units.example.org"), Some("ada.units.example.org")),
            (Value::Null, None, None),
        ] {
            let gateway = gateway(&json!([{"name": "https", "port": 443, "protocol": "HTTPS", "hostname": hostname}]));
            let all = proxies(&gateway, None, Some(EG), slices.iter(), host);
            assert_eq!((all[0].port, all[0].tls, all[0].name.as_deref()), (10443, true, expected));
        }
    }

    #[test]
    fn gateways_of_others_are_asked_at_their_addresses() {
        let of = |controller| {
            proxies(&http(), None, Some(controller), std::iter::empty(), None)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(of("example.org/other"), ["10.96.0.7:80"]);
        assert!(of(EG).is_empty(), "Envoy Gateway's addresses are no proxies");
    }

    #[test]
    fn a_host_that_no_listener_takes_has_no_proxies() {
        let gateway =
            gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP", "hostname": "units.example.org"}]));
        let slices = [slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &ready())])];
        assert!(found(&gateway, &slices, Some("example.org")).is_empty());
    }

    #[test]
    fn a_port_that_the_service_lacks_has_no_proxies() {
        let gateway = gateway(&json!([{"name": "http", "port": 8080, "protocol": "HTTP"}]));
        let slices = [slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &ready())])];
        assert!(found(&gateway, &slices, None).is_empty());
    }
}
