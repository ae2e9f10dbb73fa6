//! The proxies of a Gateway, and how each is addressed.

use std::{borrow::Borrow, collections::BTreeMap, fmt};

use computing_unit_api::{GatewayRef, gateway::Gateway};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use super::{
    allowed_routes::NamespaceLabels,
    listener::{self, Listener},
    provider::Provider,
};

/// Finds the proxies of a Gateway.
pub trait ProxyResolver: Send + Sync + 'static {
    /// The proxies of `gateway` now, addressed for these requests. Cheap and without blocking: it is called before
    /// every probe.
    fn resolve(&self, gateway: &GatewayRef, requests: Requests<'_>) -> Result<Vec<Proxy>, NotListed>;
}

/// The requests that proxies are resolved for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requests<'a> {
    /// The namespace of the route. `None` for any.
    pub namespace: Option<&'a str>,
    /// The host name. `None` for any.
    pub host: Option<&'a str>,
}

/// The proxies are unknown, which is not the same as none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operator has not listed the {0} yet")]
pub struct NotListed(pub &'static str);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proxy {
    /// An IP address, or a host name if the Gateway's address is one.
    pub address: String,
    /// The port for the listener.
    pub port: u16,
    pub tls: bool,
    /// The host name of requests and of TLS. `None` if the listener accepts any.
    pub name: Option<String>,
    /// Whether the proxy is terminating. It may still serve open connections, so it has to drop a route that is
    /// withdrawn, but need not have a route that is opened.
    pub draining: bool,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::http1::authority(&self.address, self.port))
    }
}

/// The proxies of `gateway` among the endpoints of `slices`.
///
/// Without a provider the addresses of the Gateway take their place. Several proxies may share such an address, and a
/// probe reaches one of them.
pub fn proxies(
    gateway: &Gateway,
    section_name: Option<&str>,
    provider: Option<&dyn Provider>,
    slices: &[impl Borrow<EndpointSlice>],
    requests: Requests<'_>,
    labels: NamespaceLabels<'_>,
) -> Vec<Proxy> {
    let Requests { namespace, host } = requests;
    let choice = listener::Choice { section_name, namespace, labels, host };
    let Some(listener) = listener::preferred(gateway, choice) else { return Vec::new() };
    let name = host.map(str::to_owned).or_else(|| accepted_name(&listener));
    let proxy = |address: &str, port: u16, draining: bool| Proxy {
        address: address.to_owned(),
        port,
        tls: listener.tls,
        name: name.clone(),
        draining,
    };
    let Some(provider) = provider else {
        return listener::addresses(gateway).iter().map(|address| proxy(address, listener.port, false)).collect();
    };
    let mut found = BTreeMap::new();
    for slice in slices.iter().map(Borrow::borrow).filter(|slice| provider.serves(slice, gateway)) {
        let Some(port) = provider.port(slice, &listener) else { continue };
        for endpoint in &slice.endpoints {
            let (Some(address), Some(draining)) = (endpoint.addresses.first(), draining(endpoint)) else { continue };
            let next = (slice.address_type == "IPv6", proxy(address, port, draining));
            // A dual-stack pod is in two slices, and is one proxy.
            let known = found.entry(identity(endpoint, address)).or_insert_with(|| next.clone());
            if (next.1.draining, next.0) < (known.1.draining, known.0) {
                *known = next;
            }
        }
    }
    found.into_values().map(|(_, proxy)| proxy).collect()
}

/// The addresses of the proxies of `gateway` that are terminating, including those that accept no requests any more: they may
/// still serve open connections.
pub fn terminating(
    gateway: &Gateway,
    provider: Option<&dyn Provider>,
    slices: &[impl Borrow<EndpointSlice>],
) -> Vec<String> {
    let Some(provider) = provider else { return Vec::new() };
    let mut found = BTreeMap::new();
    for slice in slices.iter().map(Borrow::borrow).filter(|slice| provider.serves(slice, gateway)) {
        for endpoint in &slice.endpoints {
            let terminating = endpoint.conditions.as_ref().and_then(|conditions| conditions.terminating);
            let Some(address) = endpoint.addresses.first().filter(|_| terminating == Some(true)) else { continue };
            let next = (slice.address_type == "IPv6", address.clone());
            // The address that a dual-stack pod has as a proxy.
            let known = found.entry(identity(endpoint, address)).or_insert_with(|| next.clone());
            if next < *known {
                *known = next;
            }
        }
    }
    found.into_values().map(|(_, address)| address).collect()
}

/// A host name that the listener accepts. `None` if it accepts any.
fn accepted_name(listener: &Listener<'_>) -> Option<String> {
    let name = listener.hostname?;
    Some(name.strip_prefix('*').map_or_else(|| name.to_owned(), |suffix| format!("computing-unit{suffix}")))
}

/// Whether an endpoint is terminating. `None` if it accepts no requests. Unset conditions have the defaults of
/// Kubernetes: ready is true, and serving equals ready.
fn draining(endpoint: &Endpoint) -> Option<bool> {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    let terminating = conditions.terminating.unwrap_or(false);
    let ready = conditions.ready.unwrap_or(true);
    let accepts_requests = if terminating { conditions.serving.unwrap_or(ready) } else { ready };
    accepts_requests.then_some(terminating)
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
    use crate::{gateway::registry, testing::gateway};

    const EG: &str = "gateway.envoyproxy.io/gatewayclass-controller";
    const OWNING_GATEWAY: &str = "gateway.envoyproxy.io/owning-gateway-name";
    const OWNING_NAMESPACE: &str = "gateway.envoyproxy.io/owning-gateway-namespace";
    const OWNING_CLASS: &str = "gateway.envoyproxy.io/owning-gatewayclass";

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

    fn resolve(gateway: &Gateway, controller: &str, slices: &[EndpointSlice], host: Option<&str>) -> Vec<Proxy> {
        let provider = registry::provider(gateway, Some(controller), slices);
        proxies(gateway, None, provider, slices, Requests { host, namespace: None }, None)
    }

    fn found(gateway: &Gateway, slices: &[EndpointSlice], host: Option<&str>) -> Vec<String> {
        let all = resolve(gateway, EG, slices, host);
        all.iter().map(|proxy| format!("{proxy}{}", if proxy.draining { " draining" } else { "" })).collect()
    }

    #[test]
    fn proxies_are_the_ready_endpoints_of_the_gateway() {
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
        let provider = registry::provider(&http(), Some(EG), &slices);
        assert_eq!(terminating(&http(), provider, &slices), ["10.0.0.4", "10.0.0.5"]);
    }

    #[test]
    fn proxies_of_merged_gateways_are_found_by_the_class() {
        let slices = [slice(&json!({OWNING_CLASS: "eg"}), "IPv4", &[endpoint("a", "10.0.0.1", &ready())])];
        assert_eq!(found(&http(), &slices, None), ["10.0.0.1:10080"]);
        let slices = [slice(&json!({OWNING_CLASS: "other"}), "IPv4", &[endpoint("a", "10.0.0.1", &ready())])];
        assert!(found(&http(), &slices, None).is_empty());
    }

    #[test]
    fn dual_stack_pod_is_one_proxy_with_its_ipv4_address() {
        let slices = [
            slice(&own(), "IPv6", &[endpoint("a", "fd00::1", &ready()), endpoint("b", "fd00::2", &ready())]),
            slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &ready())]),
        ];
        assert_eq!(found(&http(), &slices, None), ["10.0.0.1:10080", "[fd00::2]:10080"]);
    }

    #[test]
    fn pod_in_two_slices_is_ready_if_one_reports_it_ready() {
        let terminating = json!({"ready": false, "serving": true, "terminating": true});
        let slices = [
            slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &terminating)]),
            slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &ready())]),
        ];
        assert_eq!(found(&http(), &slices, None), ["10.0.0.1:10080"]);
    }

    #[test]
    fn tls_listener_gets_a_host_name_that_it_accepts() {
        let slices = [slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &ready())])];
        for (hostname, host, expected) in [
            (json!("*.units.example.org"), None, Some("computing-unit.units.example.org")),
            (json!("units.example.org"), None, Some("units.example.org")),
            (json!("*.units.example.org"), Some("ada.units.example.org"), Some("ada.units.example.org")),
            (Value::Null, None, None),
        ] {
            let gateway = gateway(&json!([{"name": "https", "port": 443, "protocol": "HTTPS", "hostname": hostname}]));
            let all = resolve(&gateway, EG, &slices, host);
            assert_eq!((all[0].port, all[0].tls, all[0].name.as_deref()), (10443, true, expected));
        }
    }

    #[test]
    fn gateway_without_a_provider_has_its_addresses_for_proxies() {
        let of = |controller, slices: &[EndpointSlice]| {
            resolve(&http(), controller, slices, None).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of("example.org/other", &[]), ["10.96.0.7:80"]);
        assert!(of(EG, &[]).is_empty(), "the addresses of Envoy Gateway are not used");
        let slices = [slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &ready())])];
        assert_eq!(of("example.org/renamed", &slices), ["10.0.0.1:10080"]);
    }

    #[test]
    fn host_that_no_listener_accepts_has_no_proxies() {
        let gateway =
            gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP", "hostname": "units.example.org"}]));
        let slices = [slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &ready())])];
        assert!(found(&gateway, &slices, Some("example.org")).is_empty());
    }

    #[test]
    fn port_that_the_service_lacks_has_no_proxies() {
        let gateway = gateway(&json!([{"name": "http", "port": 8080, "protocol": "HTTP"}]));
        let slices = [slice(&own(), "IPv4", &[endpoint("a", "10.0.0.1", &ready())])];
        assert!(found(&gateway, &slices, None).is_empty());
    }
}
