//! When a status is worth a write. News is written at once; mere progress of a start waits, so that a quick start
//! costs two writes.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{change, pod, route, types};
use crate::{
    api::{ComputingUnitStatus, Phase, Stages},
    changes::INFEASIBLE,
    life,
};

/// When to write a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// It says what the last one said.
    Never,
    /// It is progress, which may pass quickly.
    Later,
    /// It is news.
    Now,
}

/// Reasons that do not pass by themselves.
const TROUBLES: &[&str] = &[
    life::LOST,
    pod::UNSCHEDULABLE,
    pod::START_TIMEOUT,
    pod::IMAGE_PULL_FAILED,
    pod::CRASH_LOOP,
    pod::CONTAINER_REFUSED,
    pod::POD_FAILED,
    route::PROBE_FAILED,
    INFEASIBLE,
    change::DEFERRED,
    change::ERROR,
    "Forbidden",
    "GatewayApiMissing",
];

/// Whether a reason is one that somebody has to do something about.
pub fn trouble(type_: &str, status: &str, reason: &str) -> bool {
    // A route that is refused gives the gateway's own reason.
    let refused = type_ == types::ROUTE_ACCEPTED && status == "False";
    refused || TROUBLES.contains(&reason)
}

/// When to write `new` in the place of `old`.
#[must_use]
pub fn urgency(old: Option<&ComputingUnitStatus>, new: &ComputingUnitStatus) -> Urgency {
    let Some(old) = old else { return Urgency::Now };
    if same(old, new) {
        return Urgency::Never;
    }
    // Whoever deleted the unit has been told.
    if old.phase == Some(Phase::Terminating) && new.phase == old.phase {
        return Urgency::Later;
    }
    let began = new.start_time.is_some() && old.start_time != new.start_time;
    let news = began
        || old.last_failure != new.last_failure
        // It moves in steps.
        || old.activity != new.activity
        || finished(old) != finished(new)
        || (old.phase != new.phase && !passing(new))
        || old.observed_generation != new.observed_generation
        || acceptance(old) != acceptance(new)
        || !troubles(new).is_subset(&troubles(old));
    if news { Urgency::Now } else { Urgency::Later }
}

/// Whether a unit that was Ready waits for nothing but the gateway, which has been told of a repaired route.
fn passing(new: &ComputingUnitStatus) -> bool {
    let ready = new.conditions.iter().find(|condition| condition.type_ == types::READY);
    new.phase == Some(Phase::NotReady) && ready.is_some_and(|ready| route::PASSING.contains(&ready.reason.as_str()))
}

fn finished(status: &ComputingUnitStatus) -> Option<&str> {
    let finished = status.conditions.iter().find(|condition| condition.type_ == types::FINISHED)?;
    Some(&finished.reason)
}

fn acceptance(status: &ComputingUnitStatus) -> Option<(&str, &str)> {
    let accepted = status.conditions.iter().find(|condition| condition.type_ == types::ACCEPTED)?;
    Some((&accepted.status, &accepted.reason))
}

fn troubles(status: &ComputingUnitStatus) -> BTreeSet<(&str, &str)> {
    let conditions = status.conditions.iter();
    conditions
        .filter(|condition| trouble(&condition.type_, &condition.status, &condition.reason))
        .map(|condition| (condition.type_.as_str(), condition.reason.as_str()))
        .collect()
}

/// Whether two statuses say the same at different times.
fn same(a: &ComputingUnitStatus, b: &ComputingUnitStatus) -> bool {
    let timeless = |status: &ComputingUnitStatus| {
        let stages = &status.stages;
        let passed =
            [&stages.accepted, &stages.scheduled, &stages.pod_ready, &stages.route_accepted, &stages.reachable];
        let passed = passed.map(Option::is_some);
        let conditions: Vec<_> = status.conditions.iter().map(words).collect();
        let rest = ComputingUnitStatus { stages: Stages::default(), conditions: vec![], ..status.clone() };
        (rest, passed, conditions)
    };
    timeless(a) == timeless(b)
}

fn words(condition: &Condition) -> (String, String, String, String, Option<i64>) {
    let Condition { type_, status, reason, message, observed_generation, last_transition_time: _ } = condition.clone();
    (type_, status, reason, message, observed_generation)
}
