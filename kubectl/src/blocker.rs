//! What keeps a unit from being what it is waited for. Pure.

use computing_unit_api::ComputingUnit;
use computing_unit_api::ConditionType;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    goal::Goal,
    said::{condition, one_line},
};

/// What a unit waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// Who has to act.
    pub what: &'static str,
    /// One word; may be empty.
    pub reason: String,
    /// A sentence.
    message: String,
}

impl Blocker {
    /// `waiting for the pod: Unschedulable: 0/1 nodes are available`.
    pub fn sentence(&self) -> String {
        let Self { what, reason, message } = self;
        let parts = [reason.as_str(), message.as_str()].into_iter().filter(|part| !part.is_empty());
        let why = parts.map(one_line).collect::<Vec<_>>().join(": ");
        format!("waiting for {what}: {why}")
    }
}

/// What a unit waits for that has not reached its goal.
pub fn blocker(goal: Goal, unit: &ComputingUnit) -> Blocker {
    let of = |type_| condition(unit, type_).map_or_else(nobody, |condition| said(condition, "the unit"));
    match goal {
        Goal::Ready => start(unit),
        Goal::Suspended => of(ConditionType::Suspended),
        Goal::Resized if condition(unit, ConditionType::ResizePending).is_some() => of(ConditionType::ResizePending),
        Goal::Finished | Goal::Resized | Goal::Deleted => of(ConditionType::Ready),
    }
}

/// What a unit that is not Ready waits for.
fn start(unit: &ComputingUnit) -> Blocker {
    let ready = condition(unit, ConditionType::Ready);
    let missing = [
        (ConditionType::Accepted, "the unit to be accepted"),
        (ConditionType::PodReady, "the pod"),
        (ConditionType::RouteAccepted, "the route"),
        (ConditionType::Reachable, "the gateway"),
    ]
    .into_iter()
    .filter_map(|(type_, what)| Some((condition(unit, type_)?, what)))
    .find(|(condition, _)| condition.status != "True");
    // `Ready` says what is missing; where that is none of the others, it is the only one to know.
    let found = match (ready, missing) {
        (Some(ready), Some((condition, _))) if ready.reason != condition.reason => Some((ready, "the unit")),
        (_, Some(missing)) => Some(missing),
        (Some(ready), None) => Some((ready, "the unit")),
        (None, None) => None,
    };
    found.map_or_else(nobody, |(condition, what)| said(condition, what))
}

fn said(condition: &Condition, what: &'static str) -> Blocker {
    Blocker { what, reason: condition.reason.clone(), message: condition.message.clone() }
}

fn nobody() -> Blocker {
    Blocker {
        what: "the operator",
        reason: String::new(),
        message: "it has not looked at the unit yet; check that it runs, and that it watches this namespace".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{self, condition as says};

    fn unit(status: Value) -> ComputingUnit {
        serde_json::from_value(testing::unit(status)).unwrap()
    }

    #[test]
    fn the_first_condition_that_does_not_hold_is_what_a_unit_waits_for() {
        let waits = |conditions: &[Value]| blocker(Goal::Ready, &unit(json!({"conditions": conditions}))).sentence();
        let accepted = says("Accepted", "True", "Accepted");
        let pod = says("PodReady", "True", "PodReady");
        for (conditions, sentence) in [
            (vec![says("Accepted", "False", "PoolNotFound")], "waiting for the unit to be accepted: PoolNotFound: "),
            (
                vec![says("RouteAccepted", "Unknown", "Pending"), accepted.clone(), pod.clone()],
                "waiting for the route: ",
            ),
            (
                vec![accepted.clone(), pod.clone(), says("Reachable", "False", "ProbeFailed")],
                "waiting for the gateway: ProbeFailed: ",
            ),
            (
                vec![accepted.clone(), says("PodReady", "False", "PodMissing"), says("Ready", "False", "Forbidden")],
                "waiting for the unit: Forbidden: ",
            ),
            (vec![accepted, pod, says("Ready", "False", "Forbidden")], "waiting for the unit: Forbidden: "),
        ] {
            let said = waits(&conditions);
            assert!(said.starts_with(sentence), "{said}");
        }
    }

    #[test]
    fn messages_cannot_play_with_the_terminal() {
        let mut condition = says("PodReady", "False", "Odd");
        condition["message"] = json!("a\n\u{1b}[2Jb");
        assert_eq!(
            blocker(Goal::Ready, &unit(json!({"conditions": [condition]}))).sentence(),
            "waiting for the pod: Odd: a [2Jb"
        );
    }

    #[test]
    fn each_goal_has_a_condition_that_speaks_of_it() {
        let conditions = [
            says("Ready", "False", "Suspending"),
            says("Suspended", "False", "PodStopping"),
            says("ResizePending", "True", "Deferred"),
        ];
        let unit = unit(json!({"conditions": conditions}));
        for (goal, reason) in [
            (Goal::Suspended, "PodStopping"),
            (Goal::Resized, "Deferred"),
            (Goal::Finished, "Suspending"),
            (Goal::Deleted, "Suspending"),
        ] {
            assert_eq!(blocker(goal, &unit).sentence(), format!("waiting for the unit: {reason}: about {reason}"));
        }
    }
}
