//! The state that a command waits for, and whether a unit has reached it.

use std::str::FromStr;

use computing_unit_api::{ComputingUnit, ConditionType, Phase, Reason};

use crate::{
    jsonpath::{Template, plain},
    object::Unit,
    status::{condition, is_current, reason_and_message},
};

/// Reasons of `Accepted` that do not clear without intervention.
const PERMANENT: &[Reason] = &[
    Reason::PoolNotAccepted,
    Reason::ImageNotOffered,
    Reason::ReferenceNotAllowed,
    Reason::EnvNotAllowed,
    Reason::LimitExceeded,
    Reason::NameNotAllowed,
    Reason::InvalidSchedule,
    Reason::KeyConflict,
    Reason::KeyConflictInOtherNamespace,
    Reason::ChildNotOwned,
    Reason::ChildRefused,
];

/// The state that a command waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// The unit answers at its URL.
    Ready,
    /// The unit is suspended and has no pod.
    Suspended,
    /// The unit is suspended, and its pod is stopping or gone.
    Stopping,
    /// The pod has completed, or a time limit has passed.
    Finished,
    /// The pod has the requested CPU and memory.
    Resized,
    /// The unit is deleted.
    Deleted,
    /// The unit exists.
    Created,
    /// A condition has a status, whatever its case.
    Condition {
        /// Type of the condition.
        type_: String,
        /// Status of the condition.
        status: String,
    },
    /// A path has a value, or any value.
    JsonPath {
        /// The path, as it was given.
        text: String,
        /// The path.
        path: Template,
        /// The value.
        value: Option<String>,
    },
}

/// The states that have a name, with their descriptions, for completion.
pub const STATES: &[(&str, &str)] = &[
    ("ready", "The unit answers at its URL"),
    ("suspended", "The unit is suspended and has no pod"),
    ("finished", "The pod has completed, or a time limit has passed"),
    ("resized", "The pod has the requested CPU and memory"),
    ("delete", "The unit is deleted"),
    ("create", "The unit exists"),
    ("condition=", "A condition is True, or has another status"),
    ("jsonpath=", "A path has a value"),
];

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(condition) = text.strip_prefix("condition=") {
            let (type_, status) = condition.split_once('=').unwrap_or((condition, "True"));
            return Ok(Self::Condition { type_: type_.to_owned(), status: status.to_owned() });
        }
        if let Some(input) = text.strip_prefix("jsonpath=") {
            let (text, value) = split(input);
            let path = Template::relaxed(text).map_err(|error| error.to_string())?;
            let value = value.map(|value| value.trim_matches(['\'', '"']));
            if value == Some("") {
                return Err("a value must follow the second equals sign".to_owned());
            }
            return Ok(Self::JsonPath { text: text.to_owned(), path, value: value.map(str::to_owned) });
        }
        match text.to_lowercase().as_str() {
            "ready" => Ok(Self::Ready),
            "suspended" => Ok(Self::Suspended),
            "finished" => Ok(Self::Finished),
            "resized" => Ok(Self::Resized),
            "delete" | "deleted" => Ok(Self::Deleted),
            "create" | "created" => Ok(Self::Created),
            _ => Err("must be ready, suspended, finished, resized, delete, create, condition=NAME[=STATUS] or \
                      jsonpath=PATH[=VALUE]"
                .to_owned()),
        }
    }
}

/// Splits a path and a value at a single equals sign. Two of them are a comparison.
fn split(input: &str) -> (&str, Option<&str>) {
    let bytes = input.as_bytes();
    let single = |at: &usize| {
        bytes[*at] == b'=' && bytes.get(at + 1) != Some(&b'=') && (*at == 0 || !b"=!<>".contains(&bytes[at - 1]))
    };
    match (0..bytes.len()).find(single) {
        Some(at) => (&input[..at], Some(&input[at + 1..])),
        None => (input, None),
    }
}

/// Result that ends the wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The unit has reached the state.
    Reached,
    /// The unit cannot reach the state without intervention: reason and message.
    Failed(String),
    /// The unit is being deleted.
    Deleted,
}

impl Goal {
    /// What the unit is not yet, in messages.
    pub fn state(&self) -> String {
        match self {
            Self::Ready => "ready".to_owned(),
            Self::Suspended => "suspended".to_owned(),
            Self::Stopping => "stopped".to_owned(),
            Self::Finished => "finished".to_owned(),
            Self::Resized => "resized".to_owned(),
            Self::Deleted => "deleted".to_owned(),
            Self::Created => "created".to_owned(),
            Self::Condition { type_, status } => format!("{type_}={status}"),
            Self::JsonPath { text, value: None, .. } => format!("one with {text}"),
            Self::JsonPath { text, value: Some(value), .. } => format!("{text}={value}"),
        }
    }

    /// The result if the unit ends the wait. A status of an earlier generation does not.
    pub fn verdict(&self, unit: &Unit) -> Option<Verdict> {
        if *self == Self::Deleted {
            return None;
        }
        if unit.metadata.deletion_timestamp.is_some() {
            return Some(Verdict::Deleted);
        }
        match self {
            Self::Created => return Some(Verdict::Reached),
            Self::Condition { type_, status } => return has(unit, type_, status).then_some(Verdict::Reached),
            Self::JsonPath { path, value, .. } => {
                let matches = matches(unit, path, value.as_deref());
                return matches.then_some(Verdict::Reached);
            }
            _ => {}
        }
        let status = unit.status.as_ref().filter(|_| is_current(unit))?;
        let phase = status.phase?;
        if phase == Phase::Terminating {
            return Some(Verdict::Deleted);
        }
        let failed = |type_| Some(Verdict::Failed(reason_and_message(unit, type_)));
        let rejected = || {
            let accepted = condition(unit, ConditionType::Accepted)?;
            let permanent = accepted.status == "False" && PERMANENT.iter().any(|reason| accepted.reason == *reason);
            if permanent { failed(ConditionType::Accepted) } else { None }
        };
        match (self, phase) {
            (Self::Ready, Phase::Ready)
            | (Self::Suspended | Self::Stopping, Phase::Suspended)
            | (Self::Finished, Phase::Finished)
            // Without a pod, the change takes effect at the next start.
            | (Self::Resized, Phase::Suspended | Phase::Finished | Phase::Failed) => Some(Verdict::Reached),
            (Self::Ready, Phase::Failed | Phase::Finished | Phase::Suspending | Phase::Suspended)
            | (Self::Suspended | Self::Stopping, Phase::Failed | Phase::Finished)
            | (Self::Finished, Phase::Failed) => failed(ConditionType::Ready),
            (Self::Stopping, _) => {
                let suspended = condition(unit, ConditionType::Suspended)?;
                (suspended.reason == Reason::PodStopping).then_some(Verdict::Reached)
            }
            (Self::Resized, _) => rejected().or_else(|| resized(unit)),
            (Self::Ready, _) => rejected(),
            _ => None,
        }
    }
}

/// Whether a condition of the current generation has that status, like `kubectl wait`.
fn has(unit: &ComputingUnit, type_: &str, status: &str) -> bool {
    let found = unit.status.as_ref().and_then(|status| {
        status.conditions.iter().find(|condition| condition.type_.to_lowercase() == type_.to_lowercase())
    });
    let current = |seen: Option<i64>| seen.zip(unit.metadata.generation).is_none_or(|(seen, now)| seen >= now);
    found.is_some_and(|condition| {
        current(condition.observed_generation) && condition.status.to_lowercase() == status.to_lowercase()
    })
}

/// Whether a path has one value, and that one.
fn matches(unit: &Unit, path: &Template, value: Option<&str>) -> bool {
    let object = unit.plain();
    let found = path.values(&object).unwrap_or_default();
    match (found.as_slice(), value) {
        ([], _) => false,
        (_, None) => true,
        ([one], Some(value)) => plain(one) == value,
        _ => false,
    }
}

/// Whether the pod has the resources of the spec, or cannot get them before the next start.
fn resized(unit: &ComputingUnit) -> Option<Verdict> {
    if condition(unit, ConditionType::UpdatePending).is_some() {
        return Some(Verdict::Failed(reason_and_message(unit, ConditionType::UpdatePending)));
    }
    match condition(unit, ConditionType::ResizePending) {
        Some(pending) if pending.reason == Reason::Infeasible || pending.reason == Reason::Forbidden => {
            Some(Verdict::Failed(reason_and_message(unit, ConditionType::ResizePending)))
        }
        Some(_) => None,
        None => Some(Verdict::Reached),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{self, condition};

    fn unit(status: Value) -> Unit {
        serde_json::from_value(testing::unit(status)).unwrap()
    }

    fn failed(text: &str) -> Verdict {
        Verdict::Failed(text.to_owned())
    }

    #[test]
    fn ready_is_reached_or_fails() {
        let of = |status: Value| Goal::Ready.verdict(&unit(status));
        let rejected = |reason| of(json!({"phase": "Pending", "conditions": [condition("Accepted", "False", reason)]}));
        assert_eq!(of(Value::Null), None);
        assert_eq!(of(json!({"phase": "Ready"})), Some(Verdict::Reached));
        assert_eq!(of(json!({"phase": "Terminating"})), Some(Verdict::Deleted));
        for (phase, type_, reason) in [
            ("Failed", "Ready", "StartTimeout"),
            ("Finished", "Finished", "ShutdownTime"),
            ("Suspended", "Suspended", "Suspended"),
        ] {
            let status = if type_ == "Ready" { "False" } else { "True" };
            assert_eq!(
                of(json!({"phase": phase, "conditions": [condition(type_, status, reason)]})),
                Some(failed(&format!("{reason}: about {reason}")))
            );
        }
        assert_eq!(rejected("PoolNotFound"), None);
        for reason in PERMANENT {
            assert_eq!(rejected(reason.as_str()), Some(failed(&format!("{reason}: about {reason}"))));
        }
    }

    #[test]
    fn goal_is_reached_in_its_phase() {
        let of = |goal: Goal, phase: &str| goal.verdict(&unit(json!({"phase": phase})));
        for (goal, phase) in [(Goal::Suspended, "Suspended"), (Goal::Finished, "Finished"), (Goal::Resized, "Ready")] {
            assert_eq!(of(goal.clone(), phase), Some(Verdict::Reached), "{goal:?}");
        }
        for (goal, phase) in [
            (Goal::Suspended, "Ready"),
            (Goal::Suspended, "Suspending"),
            (Goal::Finished, "Suspended"),
            (Goal::Deleted, "Terminating"),
        ] {
            assert_eq!(of(goal.clone(), phase), None, "{goal:?}");
        }
        assert!(matches!(of(Goal::Finished, "Failed"), Some(Verdict::Failed(_))));
    }

    #[test]
    fn resize_is_reached_when_the_node_has_applied_it() {
        let of = |conditions: &[Value]| {
            Goal::Resized.verdict(&unit(json!({"phase": "Ready", "observedGeneration": 1, "conditions": conditions})))
        };
        assert_eq!(of(&[condition("ResizePending", "True", "Proposed")]), None);
        assert_eq!(of(&[condition("ResizePending", "True", "Deferred")]), None);
        assert_eq!(
            of(&[condition("ResizePending", "True", "Infeasible")]),
            Some(failed("Infeasible: about Infeasible"))
        );
        assert_eq!(
            of(&[condition("UpdatePending", "True", "TemplateChanged")]),
            Some(failed("TemplateChanged: about TemplateChanged"))
        );
        assert_eq!(
            of(&[condition("Accepted", "False", "LimitExceeded")]),
            Some(failed("LimitExceeded: about LimitExceeded"))
        );
        assert_eq!(of(&[]), Some(Verdict::Reached));
    }

    #[test]
    fn unit_that_is_being_deleted_fails_every_other_goal() {
        let mut terminating = testing::unit(json!({"phase": "Ready"}));
        terminating["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let terminating: Unit = serde_json::from_value(terminating).unwrap();
        assert_eq!(Goal::Ready.verdict(&terminating), Some(Verdict::Deleted));
        assert_eq!(Goal::Deleted.verdict(&terminating), None);
    }

    #[test]
    fn status_of_an_earlier_generation_does_not_end_the_wait() {
        let edited = |status: Value| -> Unit {
            let mut unit = testing::unit(status);
            unit["metadata"]["generation"] = json!(2);
            serde_json::from_value(unit).unwrap()
        };
        let ready = edited(
            json!({"phase": "Ready", "observedGeneration": 1, "conditions": [condition("Ready", "True", "Ready")]}),
        );
        assert_eq!(Goal::Ready.verdict(&ready), None);
        assert_eq!(Goal::Resized.verdict(&ready), None);
        assert_eq!("condition=Ready".parse::<Goal>().unwrap().verdict(&ready), None);
        let rejected = json!({"phase": "Pending", "conditions": [condition("Accepted", "False", "ImageNotOffered")]});
        assert_eq!(Goal::Ready.verdict(&edited(rejected)), None);
    }

    #[test]
    fn conditions_and_paths_are_those_of_kubectl_wait() {
        let status = json!({"phase": "Pending", "url": "http://u", "conditions": [condition("Ready", "False", "Why")]});
        let reached =
            |goal: &str| goal.parse::<Goal>().unwrap().verdict(&unit(status.clone())) == Some(Verdict::Reached);
        for (goal, expected) in [
            ("condition=Ready", false),
            ("condition=Ready=False", true),
            ("condition=ready=false", true),
            ("condition=Accepted=False", false),
            ("jsonpath={.status.url}", true),
            ("jsonpath={.status.none}", false),
            ("jsonpath={.status.phase}=Pending", true),
            ("jsonpath='{.status.phase}'=Pending", false),
            ("jsonpath=.status.phase=Ready", false),
            ("jsonpath={.status.conditions[?(@.type==\"Ready\")].status}=False", true),
        ] {
            if goal.contains('\'') {
                assert!(goal.parse::<Goal>().is_err(), "quotes are those of the shell: {goal}");
            } else {
                assert_eq!(reached(goal), expected, "{goal}");
            }
        }
        assert_eq!("delete".parse(), Ok(Goal::Deleted));
        assert_eq!("create".parse(), Ok(Goal::Created));
        assert!("tomorrow".parse::<Goal>().unwrap_err().contains("ready, suspended"));
        assert!("jsonpath={.status.phase}=".parse::<Goal>().is_err());
    }

    #[test]
    fn stopping_is_reached_as_soon_as_the_pod_stops() {
        let of = |reason: &str| {
            Goal::Stopping
                .verdict(&unit(json!({"phase": "Suspending", "conditions": [condition("Suspended", "False", reason)]})))
        };
        assert_eq!(of("RouteClosing"), None);
        assert_eq!(of("PodStopping"), Some(Verdict::Reached));
        assert_eq!(Goal::Stopping.verdict(&unit(json!({"phase": "Suspended"}))), Some(Verdict::Reached));
    }
}
