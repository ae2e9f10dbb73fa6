//! The proxies of a Gateway as the watches know them.

use computing_unit_api::{
    GatewayRef,
    gateway::{Gateway, GatewayClass},
};
use futures::FutureExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Resource,
    runtime::reflector::{ObjectRef, Store},
};

use super::proxies::{self, Proxies, Proxy};

/// The stores that say which proxies there are.
#[derive(Clone)]
pub struct Stores {
    /// The Gateways, by watched namespace.
    pub gateways: Vec<Store<Gateway>>,
    /// Their classes.
    pub classes: Store<GatewayClass>,
    /// The `EndpointSlices` of Envoy Gateway's proxies, and few others: see [`Self::selector`]. All of them are gone through
    /// at each attempt.
    pub slices: Vec<Store<EndpointSlice>>,
}

impl Stores {
    /// The label selector of a watch that feeds `slices`.
    #[must_use]
    pub const fn selector() -> &'static str {
        proxies::SELECTOR
    }
}

impl Proxies for Stores {
    fn of(&self, gateway: &GatewayRef, host: Option<&str>) -> Result<Vec<Proxy>, String> {
        // An empty store that was never filled looks like a Gateway without proxies, which would count as closed.
        self.gateways.iter().try_for_each(|store| listed(store, "Gateways"))?;
        listed(&self.classes, "GatewayClasses")?;
        self.slices.iter().try_for_each(|store| listed(store, "EndpointSlices of the proxies"))?;
        let wanted = ObjectRef::new(&gateway.name).within(&gateway.namespace);
        let Some(object) = self.gateways.iter().find_map(|store| store.get(&wanted)) else {
            return Ok(Vec::new());
        };
        let class = self.classes.get(&ObjectRef::new(&object.spec.gateway_class_name));
        let controller = class.as_ref().map(|class| class.spec.controller_name.as_str());
        let slices: Vec<_> = self.slices.iter().flat_map(Store::state).collect();
        Ok(proxies::proxies(
            &object,
            gateway.section_name.as_deref(),
            controller,
            slices.iter().map(AsRef::as_ref),
            host,
        ))
    }
}

fn listed<K>(store: &Store<K>, what: &str) -> Result<(), String>
where
    K: Resource + Clone + 'static,
    K::DynamicType: std::hash::Hash + Eq + Clone,
{
    match store.wait_until_ready().now_or_never() {
        Some(Ok(())) => Ok(()),
        _ => Err(format!("the operator has not listed the {what} yet")),
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::{
        reflector::store::{Writer, store},
        watcher::Event,
    };
    use serde_json::json;

    use super::*;
    use crate::testing::{class, gateway};

    fn fill<K>(writer: &mut Writer<K>, objects: impl IntoIterator<Item = K>)
    where
        K: Resource + Clone + 'static,
        K::DynamicType: std::hash::Hash + Eq + Clone,
    {
        writer.apply_watcher_event(&Event::Init);
        for object in objects {
            writer.apply_watcher_event(&Event::InitApply(object));
        }
        writer.apply_watcher_event(&Event::InitDone);
    }

    #[test]
    fn nothing_is_known_until_everything_was_listed() {
        let (gateways, mut gateway_writer) = store();
        let (classes, mut class_writer) = store();
        let (slices, mut slice_writer) = store();
        let stores = Stores { gateways: vec![gateways], classes, slices: vec![slices] };
        let shared = GatewayRef { name: "shared".into(), namespace: "gateways".into(), section_name: None };
        let missing = |what: &str| stores.of(&shared, None).unwrap_err().contains(what);
        assert!(missing(" Gateways "));
        fill(&mut gateway_writer, [gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP"}]))]);
        assert!(missing(" GatewayClasses "));
        fill(&mut class_writer, [class("True")]);
        assert!(missing(" EndpointSlices "));
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": {"name": "a", "namespace": "envoy-gateway-system", "labels": {
                "gateway.envoyproxy.io/owning-gateway-name": "shared",
                "gateway.envoyproxy.io/owning-gateway-namespace": "gateways",
            }},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"]}],
            "ports": [{"name": "http-80", "port": 10080, "protocol": "TCP"}],
        }))
        .unwrap();
        fill(&mut slice_writer, [slice]);
        assert_eq!(stores.of(&shared, None).unwrap()[0].to_string(), "10.0.0.1:10080");

        let gone = GatewayRef { name: "gone".into(), ..shared };
        assert_eq!(stores.of(&gone, None), Ok(Vec::new()));
    }
}
