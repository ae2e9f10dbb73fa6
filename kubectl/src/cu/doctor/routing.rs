//! The Gateways of pools, and their proxies.

use std::collections::BTreeSet;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde_json::Value;

use super::{Check, Context, replicas, send};
use crate::object::Pool;

/// Labels of Envoy Gateway on the EndpointSlices of its proxies.
const PROXIES: &str = "app.kubernetes.io/managed-by=envoy-gateway,app.kubernetes.io/component=proxy";
const OWNING_GATEWAY: &str = "gateway.envoyproxy.io/owning-gateway-name";
const OWNING_NAMESPACE: &str = "gateway.envoyproxy.io/owning-gateway-namespace";
const OWNING_CLASS: &str = "gateway.envoyproxy.io/owning-gatewayclass";

/// Checks the Gateway of each pool.
pub async fn check(context: &Context, pools: &[Pool]) -> Vec<Check> {
    let gateways: BTreeSet<_> = pools
        .iter()
        .map(|pool| (pool.spec.gateway_ref.namespace.clone(), pool.spec.gateway_ref.name.clone()))
        .collect();
    let mut all = vec![];
    for (namespace, name) in gateways {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "Gateway"));
        let api = Api::<DynamicObject>::namespaced_with(context.connection.client.clone(), &namespace, &kind);
        match send(context, api.get_opt(&name)).await {
            Ok(Some(gateway)) => {
                all.push(programmed(&gateway, &context.connection.flags));
                all.push(proxies(context, &gateway).await);
            }
            Ok(None) => all.push(Check::fail(
                format!("Gateway {namespace}/{name}"),
                "it does not exist",
                "Create it, or create the pool again with the right spec.gatewayRef.",
            )),
            Err(error) => all.push(Check::error(format!("Gateway {namespace}/{name}"), &error)),
        }
    }
    all
}

/// Whether a controller has set the Gateway up, and it has an address.
pub fn programmed(gateway: &DynamicObject, flags: &str) -> Check {
    let (namespace, name) = (gateway.namespace().unwrap_or_default(), gateway.name_any());
    let subject = format!("Gateway {namespace}/{name}");
    let status = &gateway.data["status"];
    let addresses: Vec<_> =
        status["addresses"].as_array().into_iter().flatten().filter_map(|address| address["value"].as_str()).collect();
    let describe = format!("See: kubectl describe gateway {name} -n {namespace}{flags}");
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    for type_ in ["Accepted", "Programmed"] {
        let found = conditions.iter().find(|condition| condition["type"] == type_);
        let Some(condition) = found else {
            return Check::fail(
                subject,
                format!("no controller has reported {type_}"),
                format!("Check that Envoy Gateway runs, and the class of the Gateway. {describe}"),
            );
        };
        if condition["status"] != "True" {
            let reason = text(condition, "reason");
            let remedy = if reason == "AddressNotAssigned" {
                "Give the Service of the gateway an address, or set spec.routing.baseURL of the pools.".to_owned()
            } else {
                format!("Check that Envoy Gateway runs, and the class of the Gateway. {describe}")
            };
            return Check::fail(
                subject,
                format!("{type_} is {}: {reason}: {}", text(condition, "status"), text(condition, "message")),
                remedy,
            );
        }
    }
    if addresses.is_empty() {
        return Check::fail(
            subject,
            "it has no address",
            "Give the Service of the gateway an address, or set spec.routing.baseURL of the pools.",
        );
    }
    Check::ok(subject, format!("it is programmed, at {}", addresses.join(", ")))
}

async fn proxies(context: &Context, gateway: &DynamicObject) -> Check {
    let subject = format!("Proxies of {}/{}", gateway.namespace().unwrap_or_default(), gateway.name_any());
    let slices: Api<EndpointSlice> = Api::all(context.connection.client.clone());
    match send(context, slices.list(&ListParams::default().labels(PROXIES))).await {
        Ok(slices) => serving(subject, gateway, slices.items),
        Err(error) => Check::error(subject, &error),
    }
}

/// Whether proxies of a Gateway are ready.
pub fn serving(subject: String, gateway: &DynamicObject, slices: Vec<EndpointSlice>) -> Check {
    let class = gateway.data["spec"]["gatewayClassName"].as_str().map(str::to_owned);
    let serves = |slice: &EndpointSlice| {
        let has = |key: &str, value: Option<&String>| value.is_some() && slice.labels().get(key) == value;
        let own = has(OWNING_GATEWAY, gateway.metadata.name.as_ref())
            && has(OWNING_NAMESPACE, gateway.metadata.namespace.as_ref());
        own || has(OWNING_CLASS, class.as_ref())
    };
    let own: Vec<_> = slices.into_iter().filter(serves).collect();
    if own.is_empty() {
        return Check::warn(
            subject,
            "no proxies of Envoy Gateway are found",
            "Check the Deployment of the proxies. Units are Ready only if the operator finds them or an address.",
        );
    }
    let ready = replicas::ready(&own);
    match ready {
        0 => Check::fail(subject, "no proxy is ready", "Check the Deployment and the pods of the proxies."),
        1 => Check::ok(subject, "1 proxy is ready"),
        ready => Check::ok(subject, format!("{ready} proxies are ready")),
    }
}
