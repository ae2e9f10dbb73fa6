//! The Gateway of a pool, the controller that serves it, and the origin that clients use.

use computing_unit_api::{GatewayRef, VerifiedGateway, gateway::HTTPRoute};
use kube::{ResourceExt, runtime::reflector::ObjectRef};

use crate::{
    gateway::{
        listener::{self, Choice},
        served::{self, NotServed},
    },
    k8s::caches::Caches,
    routing::Origin,
};

#[derive(Clone, Debug)]
pub struct GatewayBinding {
    pub gateway: GatewayRef,
    /// The name of the controller that serves the Gateway, or why none does.
    pub controller: Result<String, NotServed>,
    /// The version of the Gateway, if it exists.
    pub version: Option<VerifiedGateway>,
    /// The name of the listener that is probed and published, and how many there are to choose from.
    pub listener: Option<String>,
    pub choices: usize,
    /// Scheme, host and port of the listener, if known.
    pub origin: Option<Origin>,
}

impl GatewayBinding {
    /// The binding of a Gateway to the routes of a namespace, according to the caches.
    pub fn of(caches: &Caches, gateway_ref: GatewayRef, namespace: &str) -> Self {
        let gateway = caches.gateway(&gateway_ref);
        let class = gateway
            .as_ref()
            .and_then(|gateway| caches.classes.get_ref(&ObjectRef::new(&gateway.spec.gateway_class_name)));
        let controller = if gateway.is_none() && caches.gateway_api_missing() {
            Err(served::api_missing())
        } else {
            served::controller(&gateway_ref, gateway.as_deref(), class.as_deref()).map(str::to_owned)
        };
        let section_name = gateway_ref.section_name.as_deref();
        let object = caches.namespace(namespace);
        let labels = object.as_ref().map(|object| object.labels());
        let choice = Choice { section_name, namespace: Some(namespace), labels, host: None };
        let gateway = gateway.as_deref();
        Self {
            controller,
            version: gateway.and_then(|gateway| {
                Some(VerifiedGateway { uid: gateway.uid()?, generation: gateway.metadata.generation? })
            }),
            listener: gateway.and_then(|gateway| Some(listener::preferred(gateway, choice)?.name.to_owned())),
            choices: gateway.map_or(0, |gateway| listener::listeners(gateway, section_name).count()),
            origin: gateway.and_then(|gateway| listener::origin(gateway, choice)),
            gateway: gateway_ref,
        }
    }
}

/// The Gateway that a route is attached to.
pub fn parent_gateway(route: &HTTPRoute) -> Option<GatewayRef> {
    let parent = route.spec.parent_refs.as_ref()?.first()?;
    Some(GatewayRef {
        name: parent.name.clone(),
        namespace: parent.namespace.clone().or_else(|| route.namespace())?,
        section_name: parent.section_name.clone(),
    })
}
