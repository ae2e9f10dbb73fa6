//! The Gateway API kinds that the operator writes (`HTTPRoute`) and reads (`Gateway`, `GatewayClass`).
//!
//! The types are from the crate `gateway-api`, which depends on the previous release of kube. Each spec is wrapped to
//! implement the traits of the current release. Once the crate depends on that release, this file becomes a re-export.

use std::ops::{Deref, DerefMut};

use kube::CustomResource;
use serde::{Deserialize, Serialize};

use crate::names::headers;

/// Types of `HTTPRoute`.
pub mod types {
    pub use gateway_api::httproutes::*;
}

/// Types of `Gateway`.
pub mod gateway_types {
    pub use gateway_api::gateways::*;
}

/// Types of `GatewayClass`.
pub mod class_types {
    pub use gateway_api::gatewayclasses::*;
}

use class_types::GatewayClassStatus;
use gateway_types::GatewayStatus;
use types::HttpRouteStatus;

/// API group of Gateway API.
pub const GROUP: &str = "gateway.networking.k8s.io";

/// The spec of an [`HTTPRoute`].
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1",
    kind = "HTTPRoute",
    plural = "httproutes",
    namespaced,
    schema = "disabled",
    status = "HttpRouteStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A route from a Gateway to Services."
)]
#[serde(transparent)]
pub struct RouteSpec(pub types::HttpRouteSpec);

/// The spec of a [`Gateway`].
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1",
    kind = "Gateway",
    plural = "gateways",
    namespaced,
    schema = "disabled",
    status = "GatewayStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A Gateway and its listeners."
)]
#[serde(transparent)]
pub struct GatewaySpec(pub gateway_types::GatewaySpec);

/// The spec of a [`GatewayClass`].
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1",
    kind = "GatewayClass",
    plural = "gatewayclasses",
    schema = "disabled",
    status = "GatewayClassStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A class of Gateways, and its controller."
)]
#[serde(transparent)]
pub struct GatewayClassSpec(pub class_types::GatewayClassSpec);

/// Dereferences a wrapper to the spec that it wraps.
macro_rules! reads_as {
    ($wrapper:ty, $wrapped:ty) => {
        impl Deref for $wrapper {
            type Target = $wrapped;

            fn deref(&self) -> &$wrapped {
                &self.0
            }
        }

        impl DerefMut for $wrapper {
            fn deref_mut(&mut self) -> &mut $wrapped {
                &mut self.0
            }
        }

        impl From<$wrapped> for $wrapper {
            fn from(spec: $wrapped) -> Self {
                Self(spec)
            }
        }
    };
}

reads_as!(RouteSpec, types::HttpRouteSpec);
reads_as!(GatewaySpec, gateway_types::GatewaySpec);
reads_as!(GatewayClassSpec, class_types::GatewayClassSpec);

/// Whether every match of a route requires the guard header, so that no request of a user takes the route.
#[must_use]
pub fn is_guarded(route: &HTTPRoute) -> bool {
    let rules = route.spec.rules.iter().flatten();
    rules.into_iter().all(|rule| {
        rule.matches.as_ref().is_some_and(|matches| {
            !matches.is_empty()
                && matches.iter().all(|each| each.headers.iter().flatten().any(|header| header.name == headers::GUARD))
        })
    })
}

#[cfg(test)]
mod tests {
    use kube::Resource;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn assert_round_trip<K: DeserializeOwned + Serialize>(object: &Value) {
        let read: K = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(&serde_json::to_value(read).unwrap(), object);
    }

    #[test]
    fn objects_survive_a_round_trip() {
        assert_round_trip::<HTTPRoute>(&json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "ada", "namespace": "units", "generation": 2},
            "spec": {
                "parentRefs": [{
                    "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shared", "namespace": "gateways",
                }],
                "rules": [{
                    "matches": [{
                        "path": {"type": "PathPrefix", "value": "/wsapi"},
                        "queryParams": [{"type": "Exact", "name": "cuid", "value": "42"}],
                    }],
                    "backendRefs": [{"group": "", "kind": "Service", "name": "ada", "port": 8085, "weight": 1}],
                    "timeouts": {"request": "0s"},
                }],
            },
            "status": {"parents": [{
                "controllerName": "gateway.envoyproxy.io/gatewayclass-controller",
                "parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shared"},
                "conditions": [{
                    "type": "Accepted", "status": "True", "reason": "Accepted", "message": "Route is accepted",
                    "observedGeneration": 2, "lastTransitionTime": "2026-11-20T10:00:00Z",
                }],
            }]},
        }));
        assert_round_trip::<Gateway>(&json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "shared", "namespace": "gateways"},
            "spec": {"gatewayClassName": "eg", "listeners": [{
                "name": "https", "port": 443, "protocol": "HTTPS", "hostname": "*.units.example.org",
                "tls": {"mode": "Terminate", "certificateRefs": [{"group": "", "kind": "Secret", "name": "units"}]},
                "allowedRoutes": {"namespaces": {
                    "from": "Selector", "selector": {"matchLabels": {"texera.apache.org/units": "true"}},
                }},
            }]},
            "status": {"addresses": [{"type": "IPAddress", "value": "10.96.0.7"}], "listeners": [{
                "name": "https", "attachedRoutes": 3, "conditions": [],
                "supportedKinds": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}],
            }]},
        }));
        assert_round_trip::<GatewayClass>(&json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "eg"},
            "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        }));
    }

    #[test]
    fn gateway_with_unknown_fields_is_parsed() {
        let read: Gateway = serde_json::from_value(json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "shared", "namespace": "gateways"},
            "spec": {"gatewayClassName": "eg", "defaultScope": "All", "listeners": [
                {"name": "http", "port": 80, "protocol": "HTTP", "proxyProtocol": {"mode": "Always"}},
                {"name": "quic", "port": 443, "protocol": "example.org/quic"},
            ]},
            "status": {"unknown": "field", "addresses": [{"type": "example.org/zone", "value": "a", "since": 3}]},
        }))
        .unwrap();
        assert_eq!(read.spec.listeners.len(), 2);
        assert_eq!(read.status.unwrap().addresses.unwrap()[0].value, "a");
    }

    #[test]
    fn gateway_class_is_cluster_scoped_and_other_kinds_are_namespaced() {
        assert_eq!(GatewayClass::url_path(&(), None), "/apis/gateway.networking.k8s.io/v1/gatewayclasses");
        assert_eq!(
            HTTPRoute::url_path(&(), Some("units")),
            "/apis/gateway.networking.k8s.io/v1/namespaces/units/httproutes"
        );
        assert_eq!(
            Gateway::url_path(&(), Some("units")),
            "/apis/gateway.networking.k8s.io/v1/namespaces/units/gateways"
        );
    }
}
