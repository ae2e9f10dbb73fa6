//! The implementations of Gateway API that the operator supports.

use std::borrow::Borrow;

use computing_unit_api::gateway::Gateway;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::{envoy_gateway::EnvoyGateway, provider::Provider};

pub static PROVIDERS: &[&dyn Provider] = &[&EnvoyGateway];

/// The implementation that serves `gateway`, whose GatewayClass has this controller. An implementation under another
/// controller name is recognized by its proxies.
pub fn provider(
    gateway: &Gateway,
    controller: Option<&str>,
    slices: &[impl Borrow<EndpointSlice>],
) -> Option<&'static dyn Provider> {
    let by_controller = |provider: &dyn Provider| controller.is_some_and(|name| provider.is_controller(name));
    let by_proxies = |provider: &dyn Provider| slices.iter().any(|slice| provider.serves(slice.borrow(), gateway));
    let all = || PROVIDERS.iter().copied();
    all().find(|provider| by_controller(*provider)).or_else(|| all().find(|provider| by_proxies(*provider)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::gateway;

    #[test]
    fn provider_is_found_by_its_controller_or_by_its_proxies() {
        let gateway = gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP"}]));
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": {"labels": {"gateway.envoyproxy.io/owning-gatewayclass": gateway.spec.gateway_class_name}},
            "addressType": "IPv4",
            "endpoints": [],
        }))
        .unwrap();
        let found = |controller, slices: &[EndpointSlice]| provider(&gateway, Some(controller), slices).is_some();
        assert!(found("gateway.envoyproxy.io/gatewayclass-controller", &[]));
        assert!(!found("example.org/controller", &[]));
        assert!(found("example.org/controller", &[slice]));
    }
}
