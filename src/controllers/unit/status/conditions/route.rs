//! The conditions `RouteAccepted` and `Reachable`.

use computing_unit_api::{ConditionType, Reason, gateway::HTTPRoute};
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;

use super::super::Facts;
use crate::{
    controllers::{
        condition::{Draft, ReasonText},
        unit::{blocked::Write, build::guard::is_guarded, snapshot::Child},
    },
    gateway::route_status::{self, Verdict},
    probe::{Goal, Progress},
};

/// How long a probe may take before it counts as failed.
const PROBE_TIMEOUT: SignedDuration = SignedDuration::from_secs(30);

/// The same before and after the controller has written the route's status, which must not cost a write of its own.
const ACCEPTED: &str = "the Gateway accepted the route";

/// The condition `RouteAccepted`.
pub(super) fn accepted(facts: Facts<'_>) -> Draft {
    let type_ = ConditionType::RouteAccepted;
    let snapshot = facts.snapshot;
    let Some(binding) = &snapshot.gateway else {
        return Draft::unknown(type_, Reason::PoolNotFound, "without a pool there is no Gateway");
    };
    if let Some(blocked) = snapshot.blocked.by_cluster(&[Write::HTTPRoute]) {
        return Draft::no(type_, blocked.reason, &blocked.message);
    }
    let controller = match &binding.controller {
        Ok(controller) => controller,
        Err(why) => return Draft::no(type_, why.reason, &why.message),
    };
    match &snapshot.route {
        Child::Owned(route) => match route_status::verdict(route, &binding.gateway, controller) {
            Verdict::Accepted => Draft::yes(type_, Reason::Accepted, ACCEPTED),
            Verdict::Refused { reason, message } => {
                let message = with_advice(&reason, &message, &route.namespace().unwrap_or_default());
                Draft::no(type_, ReasonText::Reported(reason), message)
            }
            // The controller writes the statuses of many routes one after another. Proxies have the route before that.
            Verdict::Unseen if proven(facts, route) => Draft::yes(type_, Reason::Accepted, ACCEPTED),
            Verdict::Unseen => Draft::unknown(
                type_,
                Reason::Pending,
                format!("the Gateway's controller {controller:?} has not processed the route yet"),
            ),
        },
        Child::Terminating => {
            Draft::unknown(type_, Reason::RouteTerminating, "waiting for the previous route to be deleted")
        }
        Child::Absent if snapshot.suspended() => Draft::unknown(type_, Reason::Suspended, "the unit is suspended"),
        Child::Absent if facts.assessment.at_rest => Draft::unknown(type_, Reason::Finished, "the unit is finished"),
        Child::Absent => Draft::unknown(type_, Reason::PodNotReady, "the route is created when the pod has an address"),
    }
}

/// Whether every proxy answers for the unit under the route as it is now.
fn proven(facts: Facts<'_>, route: &HTTPRoute) -> bool {
    !facts.snapshot.probes_disabled() && !is_guarded(route) && facts.assessment.verified
}

/// The controller's message, and what to do about it.
fn with_advice(reason: &str, message: &str, namespace: &str) -> String {
    let advice = match reason {
        "NotAllowedByListeners" => format!(
            "let a listener of the Gateway admit namespace {namespace:?}: check its allowedRoutes and the labels of the \
             namespace"
        ),
        "NoMatchingListenerHostname" => {
            "give the pool a domain within a listener's hostname, or add such a listener to the Gateway".to_owned()
        }
        "NoMatchingParent" => "check spec.gatewayRef of the pool and the listeners of the Gateway".to_owned(),
        _ => return message.to_owned(),
    };
    format!("{}: {advice}", message.trim_end_matches('.'))
}

/// What to do if the probe asks a listener that does not have the route.
fn other_listener(facts: Facts<'_>) -> String {
    let binding = facts.snapshot.gateway.as_ref().filter(|binding| binding.choices > 1);
    match binding.and_then(|binding| binding.listener.as_ref()) {
        Some(listener) => format!(
            "; listener {listener:?} is probed: if it is not the one that serves the units, create a pool with \
             spec.gatewayRef.sectionName"
        ),
        None => String::new(),
    }
}

/// The condition `Reachable`.
pub(super) fn reachable(facts: Facts<'_>) -> Draft {
    let type_ = ConditionType::Reachable;
    let (snapshot, assessment) = (facts.snapshot, facts.assessment);
    let Some(route) = snapshot.route.owned() else {
        return Draft::no(type_, Reason::NoRoute, "the unit has no route yet");
    };
    if assessment.withdrawing {
        return Draft::no(type_, Reason::Closing, "the unit's route is being withdrawn");
    }
    if is_guarded(route) && (!snapshot.ready() || facts.wanted.is_err()) {
        return Draft::no(type_, Reason::RouteClosed, "the route is guarded until the unit can answer");
    }
    if snapshot.probes_disabled() {
        return Draft::unknown(type_, Reason::Disabled, "the pool disables probes");
    }
    if proven(facts, route) {
        return Draft::yes(type_, Reason::Reachable, "every proxy of the Gateway answers for the unit");
    }
    match (&assessment.probe, &assessment.progress) {
        (Some((goal, _)), Some(Progress::Pending { since, last })) => {
            let what = match goal {
                Goal::Guarded => "to have the unit's route",
                Goal::Open | Goal::Withdrawn => "to answer for the unit",
            };
            let late = snapshot.now.duration_since(*since) >= PROBE_TIMEOUT;
            let last = last.as_ref().map(|last| format!(": {last}")).unwrap_or_default();
            let reason = if late { Reason::ProbeFailed } else { Reason::Probing };
            let advice = if late { other_listener(facts) } else { String::new() };
            Draft::no(type_, reason, format!("waiting for every proxy of the Gateway {what}{last}{advice}"))
        }
        _ => Draft::no(type_, Reason::RouteOpening, "the route is being opened"),
    }
}
