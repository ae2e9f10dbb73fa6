//! Resolves the proxies of a Gateway from watch caches.

use std::sync::Arc;

use computing_unit_api::{
    GatewayRef,
    gateway::{Gateway, GatewayClass},
};
use futures::FutureExt;
use k8s_openapi::api::{core::v1::Namespace, discovery::v1::EndpointSlice};
use kube::{
    Resource, ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};

use super::{
    provider::Provider,
    proxies::{NotListed, Proxy, ProxyResolver, Requests, proxies, terminating},
    registry::{self, PROVIDERS},
};

#[derive(Clone)]
pub struct ProxyStores {
    /// The Gateways, one store for each watched namespace.
    pub gateways: Vec<Store<Gateway>>,
    pub classes: Store<GatewayClass>,
    pub namespaces: Store<Namespace>,
    /// The EndpointSlices of the proxies. Each resolution iterates over all of them.
    pub slices: Vec<Store<EndpointSlice>>,
    /// The namespace of the controller, which creates all proxies there, or each in the namespace of its Gateway. Slices of
    /// other namespaces do not count: anyone who can create Services there sets the labels, and owner references as well.
    pub controller_namespace: String,
}

/// The proxies of a Gateway, and the implementation that they belong to if it is a supported one.
#[derive(Debug, Default)]
pub struct GatewayProxies {
    pub provider: Option<&'static dyn Provider>,
    pub proxies: Vec<Proxy>,
    /// The addresses of proxies that are terminating. Some of them accept no requests any more.
    pub terminating: Vec<String>,
}

impl ProxyStores {
    /// The proxies of `gateway`, none if it does not exist.
    pub fn of(&self, gateway: &GatewayRef, requests: Requests<'_>) -> Result<GatewayProxies, NotListed> {
        // A store that was never filled looks like a Gateway without proxies, whose routes count as withdrawn. But a namespace
        // that cannot be listed must not affect the Gateways of the others.
        let key = ObjectRef::new(&gateway.name).within(&gateway.namespace);
        let Some(object) = self.gateways.iter().find_map(|store| store.get(&key)) else {
            self.gateways.iter().try_for_each(|store| listed(store, "Gateways"))?;
            return Ok(GatewayProxies::default());
        };
        listed(&self.classes, "GatewayClasses")?;
        let class = self.classes.get(&ObjectRef::new(&object.spec.gateway_class_name));
        let controller = class.as_ref().map(|class| class.spec.controller_name.as_str());
        let slices = self.trusted_slices(&object);
        let provider = registry::provider(&object, controller, &slices);
        let namespace = requests.namespace.and_then(|namespace| self.namespaces.get(&ObjectRef::new(namespace)));
        let labels = namespace.as_ref().map(|namespace| namespace.labels());
        let proxies = proxies(&object, gateway.section_name.as_deref(), provider, &slices, requests, labels);
        // All proxies of a Gateway are in one namespace.
        if proxies.is_empty() {
            self.slices.iter().try_for_each(|store| listed(store, "EndpointSlices of the proxies"))?;
        }
        Ok(GatewayProxies { provider, proxies, terminating: terminating(&object, provider, &slices) })
    }
}

impl ProxyStores {
    /// The slices of the proxies of a Gateway. If the controller's namespace has any, those in the namespace of the Gateway are
    /// not the controller's.
    fn trusted_slices(&self, gateway: &Gateway) -> Vec<Arc<EndpointSlice>> {
        let of_gateway = |slice: &Arc<EndpointSlice>| PROVIDERS.iter().any(|provider| provider.serves(slice, gateway));
        let all: Vec<_> = self.slices.iter().flat_map(Store::state).filter(of_gateway).collect();
        let within = |namespace: Option<&str>| {
            let slices = all.iter().filter(|slice| slice.metadata.namespace.as_deref() == namespace);
            slices.cloned().collect::<Vec<_>>()
        };
        let of_controller = within(Some(&self.controller_namespace));
        if of_controller.is_empty() { within(gateway.metadata.namespace.as_deref()) } else { of_controller }
    }
}

impl ProxyResolver for ProxyStores {
    fn resolve(&self, gateway: &GatewayRef, requests: Requests<'_>) -> Result<Vec<Proxy>, NotListed> {
        self.of(gateway, requests).map(|found| found.proxies)
    }
}

fn listed<K>(store: &Store<K>, what: &'static str) -> Result<(), NotListed>
where
    K: Resource + Clone + 'static,
    K::DynamicType: std::hash::Hash + Eq + Clone,
{
    match store.wait_until_ready().now_or_never() {
        Some(Ok(())) => Ok(()),
        _ => Err(NotListed(what)),
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

    fn slice(namespace: &str, address: &str) -> EndpointSlice {
        serde_json::from_value(json!({
            "metadata": {"name": "a", "namespace": namespace, "labels": {
                "gateway.envoyproxy.io/owning-gateway-name": "shared",
                "gateway.envoyproxy.io/owning-gateway-namespace": "gateways",
            }},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address]}],
            "ports": [{"name": "http-80", "port": 10080, "protocol": "TCP"}],
        }))
        .unwrap()
    }

    #[test]
    fn namespace_that_is_not_listed_does_not_affect_the_gateways_of_others() {
        let (gateways, mut gateway_writer) = store();
        let (classes, mut class_writer) = store();
        let (slices, mut slice_writer) = store();
        let ((more_gateways, _gateways), (more_slices, mut more_slices_writer)) = (store(), store());
        let stores = ProxyStores {
            gateways: vec![more_gateways, gateways],
            classes,
            namespaces: store().0,
            slices: vec![more_slices, slices],
            controller_namespace: "envoy-gateway-system".into(),
        };
        fill(&mut gateway_writer, [gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP"}]))]);
        fill(&mut class_writer, [class("True")]);
        fill(&mut slice_writer, []);
        let shared = GatewayRef { name: "shared".into(), namespace: "gateways".into(), section_name: None };
        assert!(stores.resolve(&shared, Requests::default()).is_err(), "its proxies may be in the other namespace");
        fill(&mut slice_writer, [slice("envoy-gateway-system", "10.0.0.1")]);
        assert_eq!(stores.resolve(&shared, Requests::default()).unwrap().len(), 1);
        let other = GatewayRef { name: "other".into(), ..shared.clone() };
        assert!(stores.resolve(&other, Requests::default()).is_err(), "it may be in the other namespace");
        fill(&mut slice_writer, []);
        fill(&mut more_slices_writer, []);
        assert_eq!(stores.resolve(&shared, Requests::default()), Ok(Vec::new()));
    }

    #[test]
    fn proxies_are_unknown_until_everything_is_listed() {
        let (gateways, mut gateway_writer) = store();
        let (classes, mut class_writer) = store();
        let (slices, mut slice_writer) = store();
        let stores = ProxyStores {
            gateways: vec![gateways],
            classes,
            namespaces: store().0,
            slices: vec![slices],
            controller_namespace: "envoy-gateway-system".into(),
        };
        let shared = GatewayRef { name: "shared".into(), namespace: "gateways".into(), section_name: None };
        let missing = |what: &str| stores.resolve(&shared, Requests::default()).unwrap_err().to_string().contains(what);
        assert!(missing(" Gateways "));
        fill(&mut gateway_writer, [gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP"}]))]);
        assert!(missing(" GatewayClasses "));
        fill(&mut class_writer, [class("True")]);
        assert!(missing(" EndpointSlices "));
        fill(&mut slice_writer, [slice("envoy-gateway-system", "10.0.0.1")]);
        assert_eq!(stores.resolve(&shared, Requests::default()).unwrap()[0].to_string(), "10.0.0.1:10080");
        // With the labels of the proxies: by a tenant, and by Envoy Gateway in the mode that creates proxies at the Gateway.
        fill(&mut slice_writer, [slice("tenant", "10.0.0.2"), slice("gateways", "10.0.0.3")]);
        let found = stores.resolve(&shared, Requests::default()).unwrap();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.3:10080"]);
        // Envoy Gateway creates all proxies in its own namespace, so that one is a tenant's who may write to the Gateway's.
        fill(&mut slice_writer, [slice("envoy-gateway-system", "10.0.0.1"), slice("gateways", "10.0.0.3")]);
        let found = stores.resolve(&shared, Requests::default()).unwrap();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.1:10080"]);

        let gone = GatewayRef { name: "gone".into(), ..shared };
        assert_eq!(stores.resolve(&gone, Requests::default()), Ok(Vec::new()));
    }
}
