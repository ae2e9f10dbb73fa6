//! The condition that a unit has not met yet.

use computing_unit_api::{ComputingUnit, ConditionType, OperatingMode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    goal::Goal,
    status::{condition, one_line, summary},
};

/// What a unit waits for that nobody has suspended.
pub const NOT_SUSPENDED: &str = "its suspension";

/// The condition that keeps a unit from reaching its goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The component that the unit waits for.
    pub subject: &'static str,
    /// Reason of the condition, or empty.
    pub reason: String,
    message: String,
}

impl Unmet {
    /// `waiting for the pod: Unschedulable: 0/1 nodes are available`.
    pub fn message(&self) -> String {
        let Self { subject, reason, message } = self;
        let parts = [reason.as_str(), message.as_str()].into_iter().filter(|part| !part.is_empty());
        let cause = parts.map(one_line).collect::<Vec<_>>().join(": ");
        format!("waiting for {subject}: {cause}")
    }
}

/// The first unmet condition of a unit that has not reached its goal.
pub fn unmet(goal: &Goal, unit: &ComputingUnit) -> Unmet {
    let of =
        |type_| condition(unit, type_).map_or_else(not_reconciled, |condition| of_condition(condition, "the unit"));
    match goal {
        Goal::Ready => start(unit),
        Goal::Suspended | Goal::Stopping if unit.spec.operating_mode != OperatingMode::Suspended => Unmet {
            subject: NOT_SUSPENDED,
            reason: String::new(),
            message: "spec.operatingMode of the unit is Running".to_owned(),
        },
        Goal::Suspended | Goal::Stopping => of(ConditionType::Suspended),
        Goal::Condition { type_, .. } => named(unit, type_),
        Goal::JsonPath { text, .. } => {
            Unmet { subject: "the unit", reason: String::new(), message: format!("{text} does not match") }
        }
        Goal::Resized if condition(unit, ConditionType::ResizePending).is_some() => of(ConditionType::ResizePending),
        Goal::Finished | Goal::Resized | Goal::Deleted | Goal::Created => {
            summary(unit).map_or_else(not_reconciled, |condition| of_condition(condition, "the unit"))
        }
    }
}

/// The first unmet condition of a unit that is not Ready.
fn start(unit: &ComputingUnit) -> Unmet {
    let ready = condition(unit, ConditionType::Ready);
    let missing = [
        (ConditionType::Accepted, "the unit to be accepted"),
        (ConditionType::PodReady, "the pod"),
        (ConditionType::RouteAccepted, "the route"),
        (ConditionType::Reachable, "the gateway"),
    ]
    .into_iter()
    .filter_map(|(type_, subject)| Some((condition(unit, type_)?, subject)))
    .find(|(condition, _)| condition.status != "True");
    // `Ready` repeats the reason of another condition, or has a reason of its own.
    let found = match (ready, missing) {
        (Some(ready), Some((condition, _))) if ready.reason != condition.reason => Some((ready, "the unit")),
        (_, Some(missing)) => Some(missing),
        (Some(ready), None) => Some((ready, "the unit")),
        (None, None) => None,
    };
    found.map_or_else(not_reconciled, |(condition, subject)| of_condition(condition, subject))
}

/// The condition of that type, whatever its status.
fn named(unit: &ComputingUnit, type_: &str) -> Unmet {
    let status = unit.status.as_ref();
    let found = status
        .and_then(|status| status.conditions.iter().find(|condition| condition.type_.eq_ignore_ascii_case(type_)));
    match found {
        Some(condition) => Unmet {
            subject: "the unit",
            reason: condition.reason.clone(),
            message: format!("{} is {}: {}", condition.type_, condition.status, condition.message),
        },
        None if status.is_none_or(|status| status.conditions.is_empty()) => not_reconciled(),
        None => Unmet { subject: "the unit", reason: String::new(), message: format!("it has no condition {type_}") },
    }
}

fn of_condition(condition: &Condition, subject: &'static str) -> Unmet {
    Unmet { subject, reason: condition.reason.clone(), message: condition.message.clone() }
}

fn not_reconciled() -> Unmet {
    Unmet {
        subject: "the operator",
        reason: String::new(),
        message: "the unit is not reconciled yet; check that the operator is running and watches this namespace"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{self, condition};

    fn unit(status: Value) -> ComputingUnit {
        serde_json::from_value(testing::unit(status)).unwrap()
    }

    #[test]
    fn first_condition_that_is_not_true_is_unmet() {
        let message = |conditions: &[Value]| unmet(&Goal::Ready, &unit(json!({"conditions": conditions}))).message();
        let accepted = condition("Accepted", "True", "Accepted");
        let pod = condition("PodReady", "True", "PodReady");
        for (conditions, expected) in [
            (
                vec![condition("Accepted", "False", "PoolNotFound")],
                "waiting for the unit to be accepted: PoolNotFound: ",
            ),
            (
                vec![condition("RouteAccepted", "Unknown", "Pending"), accepted.clone(), pod.clone()],
                "waiting for the route: ",
            ),
            (
                vec![accepted.clone(), pod.clone(), condition("Reachable", "False", "ProbeFailed")],
                "waiting for the gateway: ProbeFailed: ",
            ),
            (
                vec![
                    accepted.clone(),
                    condition("PodReady", "False", "PodNotCreated"),
                    condition("Ready", "False", "Forbidden"),
                ],
                "waiting for the unit: Forbidden: ",
            ),
            (vec![accepted, pod, condition("Ready", "False", "Forbidden")], "waiting for the unit: Forbidden: "),
        ] {
            let message = message(&conditions);
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn control_characters_are_removed_from_messages() {
        let mut condition = condition("PodReady", "False", "Odd");
        condition["message"] = json!("a\n\u{1b}[2Jb");
        assert_eq!(
            unmet(&Goal::Ready, &unit(json!({"conditions": [condition]}))).message(),
            "waiting for the pod: Odd: a [2Jb"
        );
    }

    #[test]
    fn unmet_condition_depends_on_the_goal() {
        let conditions = [
            condition("Ready", "False", "Suspending"),
            condition("Suspended", "False", "PodStopping"),
            condition("ResizePending", "True", "Deferred"),
        ];
        let mut unit = unit(json!({"conditions": conditions}));
        assert!(unmet(&Goal::Suspended, &unit).message().contains("is Running"), "nobody has suspended it");
        unit.spec.operating_mode = OperatingMode::Suspended;
        for (goal, reason) in [
            (Goal::Suspended, "PodStopping"),
            (Goal::Resized, "Deferred"),
            (Goal::Finished, "Suspending"),
            (Goal::Deleted, "Suspending"),
        ] {
            assert_eq!(unmet(&goal, &unit).message(), format!("waiting for the unit: {reason}: about {reason}"));
        }
    }
}
