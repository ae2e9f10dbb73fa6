//! What the gateway says of a unit's route, and what its proxies do.

use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;

use super::{
    Facts,
    conditions::{SUSPENDED, Said, obstacle},
    types,
};
use crate::{
    changes,
    desired::route::is_guarded,
    gateway::parent::{self, Verdict},
    observed::Child,
    obstacles::Kind,
    plan,
    probe::{Goal, Progress},
};

/// Reason: the pool has probes turned off.
pub const DISABLED: &str = "Disabled";
/// Reason: a proxy does not have the route.
pub const PROBE_FAILED: &str = "ProbeFailed";
/// Reasons that last a moment each time that a route changes.
pub const PASSING: &[&str] = &[PENDING, PROBING, OPENING];
const PENDING: &str = "Pending";
const PROBING: &str = "Probing";
const OPENING: &str = "RouteOpening";
/// How long proxies may take before their silence is a failure.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// The condition `RouteAccepted`.
pub fn accepted(facts: Facts<'_>) -> Said {
    let type_ = types::ROUTE_ACCEPTED;
    let observed = facts.observed;
    let Some(way) = &observed.gateway else {
        return Said::unknown(type_, "PoolNotFound", "without a pool there is no gateway");
    };
    if let Some(obstacle) = obstacle(observed, |obstacle| obstacle.kind == Kind::HTTPRoute && !obstacle.refuses_unit) {
        return Said::no(type_, obstacle.rejection.reason, &obstacle.rejection.message);
    }
    let controller = match &way.controller {
        Ok(controller) => controller,
        Err(why) => return Said::no(type_, why.reason, &why.message),
    };
    match &observed.route {
        Child::Owned(route) => match parent::verdict(route, &way.gateway, controller) {
            Verdict::Accepted => Said::yes(type_, "Accepted", "the gateway has taken the route"),
            Verdict::Refused { reason, message } => {
                let message = advised(&reason, &message, &route.namespace().unwrap_or_default());
                Said::no(type_, &reason, message)
            }
            Verdict::Unseen => Said::unknown(
                type_,
                PENDING,
                format!("controller {controller:?} of the gateway has not looked at the route yet"),
            ),
        },
        Child::Leaving => Said::unknown(type_, "RouteLeaving", "waiting for the previous route to go"),
        Child::Absent if observed.suspended() => Said::unknown(type_, SUSPENDED, "the unit is suspended"),
        Child::Absent if observed.resting() => Said::unknown(type_, "Finished", "the unit is finished"),
        Child::Absent => Said::unknown(type_, "PodNotReady", "the route is made once the pod is ready"),
    }
}

/// What the controller says, and what to do about it.
fn advised(reason: &str, message: &str, namespace: &str) -> String {
    let advice = match reason {
        "NotAllowedByListeners" => {
            format!(
                "let a listener of the Gateway admit namespace {namespace:?}: see its allowedRoutes, and the labels of \
                 the namespace"
            )
        }
        "NoMatchingListenerHostname" => {
            "give the pool a domain within a listener's hostname, or the Gateway such a listener".to_owned()
        }
        "NoMatchingParent" => "see spec.gatewayRef of the pool, and the listeners of the Gateway".to_owned(),
        _ => return message.to_owned(),
    };
    format!("{}: {advice}", message.trim_end_matches('.'))
}

/// The condition `Reachable`.
pub fn reachable(facts: Facts<'_>) -> Said {
    let type_ = types::REACHABLE;
    let observed = facts.observed;
    let Some(route) = observed.route.owned() else {
        return Said::no(type_, "NoRoute", "there is no route to the unit yet");
    };
    if observed.deleting() || observed.resting() || changes::replacing(observed, facts.wanted) {
        return Said::no(type_, "Closing", "the unit's route is being closed");
    }
    if is_guarded(route) && (!observed.ready() || facts.wanted.is_err()) {
        return Said::no(type_, "RouteClosed", "the route is closed until the unit can answer");
    }
    if plan::unprobed(observed) {
        return Said::unknown(type_, DISABLED, "the pool has probes turned off: nobody has looked");
    }
    if !is_guarded(route) && facts.reached() {
        return Said::yes(type_, "Reachable", "every proxy of the gateway answers for the unit");
    }
    match facts.probe {
        Some((goal, Progress::Pending { since, last })) => {
            let what = match goal {
                Goal::Guarded => "to have the unit's route",
                Goal::Open | Goal::Closed => "to answer for the unit",
            };
            let late = observed.now.duration_since(*since) >= PATIENCE;
            let last = last.as_ref().map(|last| format!(": {last}")).unwrap_or_default();
            let reason = if late { PROBE_FAILED } else { PROBING };
            Said::no(type_, reason, format!("waiting for every proxy of the gateway {what}{last}"))
        }
        _ => Said::no(type_, OPENING, "the route is being opened"),
    }
}
