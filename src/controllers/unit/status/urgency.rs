//! When a status is worth a write. Transitions are written at once; mere progress of a start, and the beginning of a deletion,
//! are held back, so that a quick start costs two writes and a quick deletion none.

use std::collections::BTreeSet;

use computing_unit_api::{
    ComputingUnitStatus, ConditionStatus, ConditionType, Conditions, Phase, Reason, Severity, Stages,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// When to write a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// It differs from the last one in times only.
    Never,
    /// It is progress, which may pass quickly.
    Later,
    /// It is a transition or a problem.
    Now,
}

/// Reasons that hold for a moment each time a route changes, or the API server fails.
const BRIEF: [Reason; 4] = [Reason::Pending, Reason::Probing, Reason::RouteOpening, Reason::NotWritten];

/// Whether a condition reports a problem that needs intervention.
pub(super) fn is_problem(condition: &Condition) -> bool {
    // A refused route carries the reason of the Gateway's controller.
    let refused = condition.type_ == ConditionType::RouteAccepted && condition.status == ConditionStatus::False;
    refused || Reason::parse(&condition.reason).is_some_and(|reason| reason.severity() == Severity::Problem)
}

/// When to replace `old` by `new`.
pub fn urgency(old: Option<&ComputingUnitStatus>, new: &ComputingUnitStatus) -> Urgency {
    let Some(old) = old else { return Urgency::Now };
    if same(old, new) {
        return Urgency::Never;
    }
    // Most units are gone before that is worth a write.
    if new.phase == Some(Phase::Terminating) {
        return Urgency::Later;
    }
    let began = new.start_time.is_some() && old.start_time != new.start_time;
    let transition = began
        || old.last_failure != new.last_failure
        // It changes in steps of a tenth of the idle timeout.
        || old.activity != new.activity
        || old.expires_at != new.expires_at
        || old.schedule != new.schedule
        || finished(old) != finished(new)
        || (old.phase != new.phase && !briefly_not_ready(new))
        || old.observed_generation != new.observed_generation
        || acceptance(old) != acceptance(new)
        || old.held_key != new.held_key
        || !problems(new).is_subset(&problems(old));
    if transition { Urgency::Now } else { Urgency::Later }
}

/// Whether a unit that was Ready waits only for the proxies to get a repaired route.
fn briefly_not_ready(new: &ComputingUnitStatus) -> bool {
    let ready = new.conditions.find(ConditionType::Ready);
    new.phase == Some(Phase::NotReady) && ready.is_some_and(|ready| BRIEF.iter().any(|brief| ready.reason == *brief))
}

fn finished(status: &ComputingUnitStatus) -> Option<&str> {
    Some(&status.conditions.find(ConditionType::Finished)?.reason)
}

fn acceptance(status: &ComputingUnitStatus) -> Option<(&str, &str)> {
    let accepted = status.conditions.find(ConditionType::Accepted)?;
    Some((&accepted.status, &accepted.reason))
}

fn problems(status: &ComputingUnitStatus) -> BTreeSet<(&str, &str)> {
    let problems = status.conditions.iter().filter(|condition| is_problem(condition));
    problems.map(|condition| (condition.type_.as_str(), condition.reason.as_str())).collect()
}

/// Whether two statuses differ in times only.
fn same(a: &ComputingUnitStatus, b: &ComputingUnitStatus) -> bool {
    let timeless = |status: &ComputingUnitStatus| {
        let stages = &status.stages;
        let passed = [
            &stages.accepted,
            &stages.ungated,
            &stages.scheduled,
            &stages.pod_ready,
            &stages.route_accepted,
            &stages.reachable,
        ];
        let passed = passed.map(Option::is_some);
        let conditions: Vec<_> = status.conditions.iter().map(untimed).collect();
        let rest = ComputingUnitStatus { stages: Stages::default(), conditions: vec![], ..status.clone() };
        (rest, passed, conditions)
    };
    timeless(a) == timeless(b)
}

fn untimed(condition: &Condition) -> (String, String, String, String, Option<i64>) {
    let Condition { type_, status, reason, message, observed_generation, last_transition_time: _ } = condition.clone();
    (type_, status, reason, message, observed_generation)
}
