//! The condition `Activator` of a pool.

use computing_unit_api::{ComputingUnitPool, ConditionType, Reason, names};
use kube::ResourceExt;

use super::{ActivatorRouteContext, accepted_pools::AcceptedPools, route::wanted};
use crate::{
    config::ActivatorService,
    controllers::{
        condition::{Draft, ReasonText},
        gateway_binding::GatewayBinding,
    },
    gateway::route_status::{Verdict, verdict},
};

/// The condition `Activator` of `pool` beside the `accepted` pools. `None` if the pool has no `spec.activator`.
pub fn condition(context: &ActivatorRouteContext, pool: &ComputingUnitPool, accepted: &AcceptedPools) -> Option<Draft> {
    let type_ = ConditionType::Activator;
    if let Err(none) = wanted(pool, accepted, context.service.as_ref())? {
        return Some(Draft::no(type_, none.reason, none.message));
    }
    if let Some(failure) = context.failures.of(&pool.uid().unwrap_or_default()) {
        return Some(Draft::no(type_, failure.reason, failure.message));
    }
    let namespace = pool.namespace().unwrap_or_default();
    let scope = context.caches.scope(&namespace);
    let route = scope.and_then(|scope| scope.activator_routes.get(&namespace, &names::activator(&pool.name_any())));
    let binding =
        GatewayBinding::of(&context.caches, pool.spec.gateway_ref.clone(), &pool.namespace().unwrap_or_default());
    let verdict = match (&route, &binding.controller) {
        (Some(route), Ok(controller)) => verdict(route, &binding.gateway, controller),
        _ => Verdict::Unseen,
    };
    Some(match verdict {
        Verdict::Accepted => {
            Draft::yes(type_, Reason::Served, "the Gateway sends requests for units without a route to the activator")
        }
        Verdict::Refused { reason, message } => {
            let message = with_advice(&reason, &message, &namespace, context.service.as_ref()).unwrap_or(message);
            Draft::no(type_, ReasonText::Reported(reason), message)
        }
        Verdict::Unseen => Draft::unknown(
            type_,
            Reason::Pending,
            "the Gateway's controller has not processed the route to the activator yet",
        ),
    })
}

/// The controller's message, and what to do about it.
fn with_advice(reason: &str, message: &str, namespace: &str, service: Option<&ActivatorService>) -> Option<String> {
    let ActivatorService { namespace: to, name, .. } = service.filter(|_| reason == "RefNotPermitted")?;
    Some(format!(
        "{message} Add namespace {namespace:?} to activator.namespaces of the chart, or create a ReferenceGrant in \
         namespace {to:?} that allows HTTPRoutes of {namespace:?} to refer to Service {name:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_reference_grant_is_explained() {
        let service = ActivatorService { namespace: "operators".into(), name: "activator".into(), port: 80 };
        let advice = |reason: &str| with_advice(reason, "Not permitted.", "units", Some(&service));
        let message = advice("RefNotPermitted").unwrap();
        for word in [
            "Not permitted. ",
            "ReferenceGrant in namespace \"operators\"",
            "\"units\"",
            "\"activator\"",
            "activator.namespaces",
        ] {
            assert!(message.contains(word), "{message}");
        }
        assert_eq!(advice("NotAllowedByListeners"), None);
    }
}
