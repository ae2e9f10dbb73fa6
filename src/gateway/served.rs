//! Whether anybody serves a Gateway, and by which controller's name.
//!
//! Pure. Whether the Gateway's proxies run is seen by [`crate::probe`].

use computing_unit_api::{
    GatewayRef, Reason,
    gateway::{Gateway, GatewayClass},
};
use kube::ResourceExt;

/// Why no route can be accepted by a Gateway. `reason` is the condition's, from a closed set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotServed {
    /// One of [`reasons`].
    pub reason: Reason,
    /// What is wrong and what to do, as a sentence.
    pub message: String,
}

/// What a cluster without Gateway API says.
#[must_use]
pub fn api_missing() -> NotServed {
    NotServed {
        reason: Reason::GatewayApiMissing,
        message:
            "the API server does not have Gateway API: install it (gateway.networking.k8s.io/v1), and a controller \
                  such as Envoy Gateway; units go on by themselves then"
                .to_owned(),
    }
}

/// The name of the controller that serves `gateway`, which `wanted` names. `class` is the one that the Gateway asks
/// for; both are `None` where they do not exist.
///
/// # Errors
/// What is missing, where a route cannot be accepted.
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
                "Gateway {name} does not exist or the operator does not watch its namespace: create it, or correct \
                 spec.gatewayRef of the pool"
            ),
        });
    };
    let class_name = &gateway.spec.gateway_class_name;
    let Some(class) = class.filter(|class| class.name_any() == *class_name) else {
        return Err(NotServed {
            reason: Reason::NoController,
            message: format!(
                "Gateway {name} is of GatewayClass {class_name:?}, which does not exist: create it, or correct \
                 spec.gatewayClassName of the Gateway"
            ),
        });
    };
    let controller = class.spec.controller_name.as_str();
    if untouched(class) {
        return Err(NotServed {
            reason: Reason::NoController,
            message: format!(
                "no controller has taken up GatewayClass {class_name:?} of Gateway {name}: see that {controller:?} is \
                 running"
            ),
        });
    }
    super::listener::missing(gateway, wanted.section_name.as_deref())
        .map_or(Ok(controller), |message| Err(NotServed { reason: Reason::ListenerNotFound, message }))
}

/// The API server gives a new class the condition Accepted as Unknown; the first controller to see it changes that.
pub fn untouched(class: &GatewayClass) -> bool {
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
    fn a_gateway_is_served_by_the_controller_of_its_class() {
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
    fn what_is_missing_is_named() {
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
    fn a_class_of_another_name_does_not_count() {
        let gateway = gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP"}]));
        let mut other = class("True");
        other.metadata.name = Some("other".into());
        assert_eq!(reason(controller(&shared(None), Some(&gateway), Some(&other))), Reason::NoController);
    }
}
