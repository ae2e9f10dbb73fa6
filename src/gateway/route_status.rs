//! Whether a Gateway's controller accepted a route, according to the route's status.
//!
//! Pure. `BackendsAvailable`, which Envoy Gateway sets to False for a Service without endpoints, is ignored: it does not
//! depend on whether the proxies have the route.

use computing_unit_api::{
    GatewayRef,
    gateway::{
        GROUP, HTTPRoute,
        types::{HttpRouteStatusParents, HttpRouteStatusParentsParentRef},
    },
};
use kube::ResourceExt;

/// The status of the current generation of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The controller has not processed it.
    Unseen,
    /// Both `Accepted` and `ResolvedRefs` are True.
    Accepted,
    /// One of them is False, for this reason of the controller.
    Refused { reason: String, message: String },
}

/// The verdict of `controller` on `route` as attached to `gateway`.
///
/// A route without a section name may have an entry for each listener. One that accepts is enough: listeners that do not
/// allow the namespace are expected to reject it.
pub fn verdict(route: &HTTPRoute, gateway: &GatewayRef, controller: &str) -> Verdict {
    let entries = route
        .status
        .iter()
        .flat_map(|status| &status.parents)
        .filter(|parent| parent.controller_name == controller && refers_to(&parent.parent_ref, route, gateway));
    entries.map(|parent| of_entry(parent, route.metadata.generation)).max_by_key(weight).unwrap_or(Verdict::Unseen)
}

const fn weight(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Unseen => 0,
        Verdict::Refused { .. } => 1,
        Verdict::Accepted => 2,
    }
}

fn refers_to(parent: &HttpRouteStatusParentsParentRef, route: &HTTPRoute, gateway: &GatewayRef) -> bool {
    let namespace = parent.namespace.clone().or_else(|| route.namespace());
    parent.group.as_deref().is_none_or(|group| group == GROUP)
        && parent.kind.as_deref().is_none_or(|kind| kind == "Gateway")
        && parent.name == gateway.name
        && namespace.as_deref() == Some(gateway.namespace.as_str())
        && gateway.section_name.as_ref().is_none_or(|section| parent.section_name.as_ref() == Some(section))
}

fn of_entry(parent: &HttpRouteStatusParents, generation: Option<i64>) -> Verdict {
    let mut missing = false;
    for wanted in ["Accepted", "ResolvedRefs"] {
        let current = parent
            .conditions
            .iter()
            .find(|condition| condition.type_ == wanted && condition.observed_generation == generation);
        match current {
            Some(condition) if condition.status == "True" => {}
            Some(condition) if condition.status == "False" => {
                return Verdict::Refused { reason: condition.reason.clone(), message: condition.message.clone() };
            }
            _ => missing = true,
        }
    }
    if missing { Verdict::Unseen } else { Verdict::Accepted }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CONTROLLER: &str = "gateway.envoyproxy.io/gatewayclass-controller";

    fn condition(r#type: &str, status: &str, reason: &str, generation: i64) -> Value {
        json!({
            "type": r#type, "status": status, "reason": reason, "message": format!("{reason} it is"),
            "observedGeneration": generation, "lastTransitionTime": "2026-11-20T10:00:00Z",
        })
    }

    fn parent(section: Option<&str>, conditions: &[Value]) -> Value {
        let mut parent = json!({
            "controllerName": CONTROLLER,
            "parentRef": {
                "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shared", "namespace": "gateways",
            },
            "conditions": conditions,
        });
        if let Some(section) = section {
            parent["parentRef"]["sectionName"] = section.into();
        }
        parent
    }

    fn accepted(section: Option<&str>) -> Value {
        parent(
            section,
            &[
                condition("Accepted", "True", "Accepted", 2),
                condition("ResolvedRefs", "True", "ResolvedRefs", 2),
                condition("BackendsAvailable", "False", "EndpointsNotFound", 2),
            ],
        )
    }

    fn refused(section: Option<&str>) -> Value {
        parent(
            section,
            &[
                condition("Accepted", "False", "NotAllowedByListeners", 2),
                condition("ResolvedRefs", "True", "ResolvedRefs", 2),
            ],
        )
    }

    fn route(parents: &[Value]) -> HTTPRoute {
        serde_json::from_value(json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "ada", "namespace": "units", "generation": 2},
            "spec": {},
            "status": {"parents": parents},
        }))
        .unwrap()
    }

    fn judge(section: Option<&str>, parents: &[Value]) -> Verdict {
        let gateway = GatewayRef {
            name: "shared".into(),
            namespace: "gateways".into(),
            section_name: section.map(str::to_owned),
        };
        verdict(&route(parents), &gateway, CONTROLLER)
    }

    fn refusal(reason: &str) -> Verdict {
        Verdict::Refused { reason: reason.into(), message: format!("{reason} it is") }
    }

    #[test]
    fn route_is_accepted_if_both_conditions_are_true_for_its_generation() {
        assert_eq!(judge(None, &[accepted(None)]), Verdict::Accepted);
        for conditions in [
            vec![],
            vec![condition("Accepted", "True", "Accepted", 2)],
            vec![condition("Accepted", "True", "Accepted", 1), condition("ResolvedRefs", "True", "ResolvedRefs", 2)],
            vec![condition("Accepted", "Unknown", "Pending", 2), condition("ResolvedRefs", "True", "ResolvedRefs", 2)],
        ] {
            assert_eq!(judge(None, &[parent(None, &conditions)]), Verdict::Unseen, "{conditions:?}");
        }
        assert_eq!(judge(None, &[]), Verdict::Unseen);
    }

    #[test]
    fn route_is_refused_unless_the_condition_is_of_an_older_generation() {
        assert_eq!(judge(None, &[refused(None)]), refusal("NotAllowedByListeners"));
        let backend =
            [condition("Accepted", "True", "Accepted", 2), condition("ResolvedRefs", "False", "BackendNotFound", 2)];
        assert_eq!(judge(None, &[parent(None, &backend)]), refusal("BackendNotFound"));
        let old = [
            condition("Accepted", "False", "NotAllowedByListeners", 1),
            condition("ResolvedRefs", "True", "ResolvedRefs", 1),
        ];
        assert_eq!(judge(None, &[parent(None, &old)]), Verdict::Unseen);
    }

    #[test]
    fn status_of_another_controller_is_ignored() {
        let mut other = accepted(None);
        other["controllerName"] = "example.org/other".into();
        assert_eq!(judge(None, std::slice::from_ref(&other)), Verdict::Unseen);
        assert_eq!(judge(None, &[other, refused(None)]), refusal("NotAllowedByListeners"));
    }

    #[test]
    fn status_of_another_parent_is_ignored() {
        for (field, value) in [("name", "other"), ("namespace", "units"), ("kind", "Service"), ("group", "example.org")]
        {
            let mut other = accepted(None);
            other["parentRef"][field] = value.into();
            assert_eq!(judge(None, &[other]), Verdict::Unseen, "{field}");
        }
        let mut nearby = accepted(None);
        nearby["parentRef"].as_object_mut().unwrap().remove("namespace");
        let own = GatewayRef { name: "shared".into(), namespace: "units".into(), section_name: None };
        assert_eq!(verdict(&route(&[nearby]), &own, CONTROLLER), Verdict::Accepted);
    }

    #[test]
    fn route_is_accepted_by_one_listener_unless_the_pool_names_another() {
        let both = [refused(Some("http")), accepted(Some("https"))];
        assert_eq!(judge(None, &both), Verdict::Accepted);
        assert_eq!(judge(Some("https"), &both), Verdict::Accepted);
        assert_eq!(judge(Some("http"), &both), refusal("NotAllowedByListeners"));
        assert_eq!(judge(Some("http"), &[accepted(None)]), Verdict::Unseen);
    }
}
