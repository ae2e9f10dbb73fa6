//! Whether a listener of a Gateway allows routes of a namespace.
//!
//! Pure. The Gateway's controller has the last word: see [`super::route_status`].

use std::collections::BTreeMap;

use computing_unit_api::gateway::{
    Gateway,
    gateway_types::{GatewayListeners, GatewayListenersAllowedRoutesNamespacesFrom as From},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};

/// The labels of a namespace. `None` if they cannot be read.
pub type NamespaceLabels<'a> = Option<&'a BTreeMap<String, String>>;

/// Whether a listener that a route with this section name attaches to allows routes of `namespace`. Labels that cannot be
/// read are taken to match.
pub fn allows(gateway: &Gateway, section_name: Option<&str>, namespace: &str, labels: NamespaceLabels<'_>) -> bool {
    gateway
        .spec
        .listeners
        .iter()
        .filter(|listener| section_name.is_none_or(|name| listener.name == name))
        .any(|listener| listener_allows(gateway, listener, namespace, labels))
}

/// Whether one listener allows routes of `namespace`.
pub fn listener_allows(
    gateway: &Gateway,
    listener: &GatewayListeners,
    namespace: &str,
    labels: NamespaceLabels<'_>,
) -> bool {
    let namespaces = listener.allowed_routes.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
    match namespaces.and_then(|namespaces| namespaces.from.as_ref()) {
        Some(From::All) => true,
        None | Some(From::Same) => gateway.namespace().as_deref() == Some(namespace),
        Some(From::Selector) => labels.is_none_or(|labels| {
            let selector = namespaces.and_then(|namespaces| serde_json::to_value(&namespaces.selector).ok());
            let selector = selector.and_then(|selector| serde_json::from_value::<LabelSelector>(selector).ok());
            selector.and_then(|selector| Selector::try_from(selector).ok()).is_some_and(|own| own.matches(labels))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::gateway;

    fn allowed(from: &Value, namespace: &str, labels: Option<&[(&str, &str)]>) -> bool {
        let gateway = gateway(&json!([
            {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": from}},
        ]));
        let labels: Option<BTreeMap<String, String>> =
            labels.map(|labels| labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect());
        allows(&gateway, None, namespace, labels.as_ref())
    }

    #[test]
    fn namespaces_are_allowed_by_name_or_label() {
        let selector = json!({"from": "Selector", "selector": {
            "matchLabels": {"units": "true"},
            "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["dev"]}],
        }});
        for (from, namespace, labels, expected) in [
            (json!({"from": "All"}), "units", None, true),
            (json!({"from": "Same"}), "units", None, false),
            (json!({"from": "Same"}), "gateways", None, true),
            (Value::Null, "gateways", None, true),
            (Value::Null, "units", None, false),
            (selector.clone(), "units", None, true),
            (selector.clone(), "units", Some(&[("units", "true")][..]), true),
            (selector.clone(), "units", Some(&[("units", "true"), ("tier", "dev")][..]), false),
            (selector, "units", Some(&[][..]), false),
        ] {
            assert_eq!(allowed(&from, namespace, labels), expected, "{from} {namespace} {labels:?}");
        }
    }

    #[test]
    fn section_name_restricts_the_listeners() {
        let gateway = gateway(&json!([
            {"name": "all", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}},
            {"name": "own", "port": 81, "protocol": "HTTP"},
        ]));
        assert!(allows(&gateway, None, "units", None) && allows(&gateway, Some("all"), "units", None));
        assert!(!allows(&gateway, Some("own"), "units", None) && !allows(&gateway, Some("x"), "units", None));
    }
}
