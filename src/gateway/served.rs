//! The controller that serves a Gateway, or why none does.
//!
//! Pure. Whether the proxies of the Gateway run is not checked here.

use computing_unit_api::{
    GatewayRef, Reason,
    gateway::{Gateway, GatewayClass},
};
use kube::ResourceExt;

/// Why no route can be accepted by a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotServed {
    pub reason: Reason,
    /// The problem and its remedy.
    pub message: String,
}

/// The API server does not serve the kinds of Gateway API.
pub fn api_missing() -> NotServed {
    NotServed {
        reason: Reason::GatewayApiMissing,
        message:
            "the cluster does not have Gateway API (gateway.networking.k8s.io/v1): install its CRDs and a controller \
                  such as Envoy Gateway. Units continue automatically"
                .to_owned(),
    }
}

/// The name of the controller that serves `gateway`, the object that `wanted` refers to. `class` is its GatewayClass. Both
/// are `None` if they do not exist.
pub fn controller<'a>(
    wanted: &GatewayRef,
    gateway: Option<&Gateway>,
    class: Option<&'a GatewayClass>,
) -> Result<&'a str, NotServed> {
    let name = format!("{}/{}", wanted.namespace, wanted.name);
    let Some(gateway) = gateway else {
        return Err(NotServed {
            reason: Reason::GatewayNotFound,
            message: format!(
                "Gateway {name} does not exist, or the operator does not watch its namespace: create it, or correct \
                 spec.gatewayRef of the pool"
            ),
        });
    };
    let class_name = &gateway.spec.gateway_class_name;
    let Some(class) = class.filter(|class| class.name_any() == *class_name) else {
        return Err(NotServed {
            reason: Reason::NoController,
            message: format!(
                "GatewayClass {class_name:?} of Gateway {name} does not exist: create it, or correct \
                 spec.gatewayClassName of the Gateway"
            ),
        });
    };
    let controller = class.spec.controller_name.as_str();
    if unprocessed(class) {
        return Err(NotServed {
            reason: Reason::NoController,
            message: format!(
                "no controller has accepted GatewayClass {class_name:?} of Gateway {name}: check that {controller:?} is \
                 running"
            ),
        });
    }
    super::listener::missing(gateway, wanted.section_name.as_deref())
        .map_or(Ok(controller), |message| Err(NotServed { reason: Reason::ListenerNotFound, message }))
}

/// A new class has `Accepted: Unknown` by default, until a controller processes it.
pub fn unprocessed(class: &GatewayClass) -> bool {
    let conditions = class.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Accepted" && condition.status == "Unknown")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{class, gateway};

    fn shared(section: Option<&str>) -> GatewayRef {
        GatewayRef { name: "shared".into(), namespace: "gateways".into(), section_name: section.map(str::to_owned) }
    }

    fn reason(result: Result<&str, NotServed>) -> Reason {
        result.unwrap_err().reason
    }

    #[test]
    fn gateway_is_served_by_the_controller_of_its_class() {
        let gateway = gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP"}]));
        for accepted in ["True", "False"] {
            let class = class(accepted);
            assert_eq!(
                controller(&shared(None), Some(&gateway), Some(&class)),
                Ok("gateway.envoyproxy.io/gatewayclass-controller")
            );
        }
    }

    #[test]
    fn missing_object_is_named_by_the_reason() {
        let gateway = gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP"}]));
        assert_eq!(reason(controller(&shared(None), None, None)), Reason::GatewayNotFound);
        assert_eq!(reason(controller(&shared(None), Some(&gateway), None)), Reason::NoController);
        assert_eq!(reason(controller(&shared(None), Some(&gateway), Some(&class("Unknown")))), Reason::NoController);
        assert_eq!(
            reason(controller(&shared(Some("x")), Some(&gateway), Some(&class("True")))),
            Reason::ListenerNotFound
        );
    }

    #[test]
    fn gateway_class_of_another_name_is_ignored() {
        let gateway = gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP"}]));
        let mut other = class("True");
        other.metadata.name = Some("other".into());
        assert_eq!(reason(controller(&shared(None), Some(&gateway), Some(&other))), Reason::NoController);
    }
}
