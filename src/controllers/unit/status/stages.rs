//! When each stage of a start was passed.

use computing_unit_api::{ConditionType, Conditions, Reason, Stages};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};

use super::Facts;
use crate::{
    controllers::{condition::Draft, unit::pod},
    probe::{Goal, Progress},
};

/// The stages of the present start. A stage that was passed stays passed.
pub(super) fn stages(facts: Facts<'_>, conditions: &[Draft]) -> Stages {
    let now = || Some(Time(facts.snapshot.now));
    let holds = |type_| conditions.iter().any(|draft| draft.type_ == type_ && draft.holds());
    let earlier = earlier(facts);
    let current = facts.snapshot.pod.owned();
    let since = |type_: &str| current.and_then(|pod| pod::true_since(pod, type_));
    let passed =
        |was: Option<Time>, holds: bool, at: Option<Time>| was.or_else(|| if holds { at.or_else(now) } else { None });
    Stages {
        accepted: passed(earlier.accepted, holds(ConditionType::Accepted), None),
        ungated: passed(earlier.ungated, current.is_some_and(|pod| ungated(facts, pod)), since("PodScheduled")),
        scheduled: passed(earlier.scheduled, since("PodScheduled").is_some(), since("PodScheduled")),
        pod_ready: passed(earlier.pod_ready, holds(ConditionType::PodReady), since("Ready")),
        route_accepted: passed(earlier.route_accepted, current.is_some() && holds(ConditionType::RouteAccepted), None),
        reachable: passed(
            earlier.reachable,
            current.is_some() && holds(ConditionType::Ready),
            match (&facts.assessment.probe, &facts.assessment.progress) {
                (Some((Goal::Open, _)), Some(Progress::Done { at })) => Some(Time(*at)),
                _ => None,
            },
        ),
    }
}

/// Whether the status records a scheduling gate that the pod does not have any more.
fn ungated(facts: Facts<'_>, pod: &Pod) -> bool {
    let recorded = facts.previous().and_then(|previous| previous.conditions.find(ConditionType::PodReady));
    pod::scheduling_gates(pod).is_empty() && recorded.is_some_and(|ready| ready.reason == Reason::SchedulingGated)
}

/// The recorded stages, if they belong to the present start.
fn earlier(facts: Facts<'_>) -> Stages {
    let Some(previous) = facts.previous() else { return Stages::default() };
    if previous.start_time == facts.started() {
        return previous.stages.clone();
    }
    Stages { accepted: previous.stages.accepted.clone(), ..Stages::default() }
}
