//! The state that a command waits for, and whether a unit has reached it.

use computing_unit_api::{ComputingUnit, ConditionType, Phase, Reason};

use crate::status::{condition, is_current, reason_and_message};

/// Reasons of `Accepted` that do not clear without intervention.
const PERMANENT: &[Reason] = &[
    Reason::PoolNotAccepted,
    Reason::ImageNotOffered,
    Reason::ReferenceNotAllowed,
    Reason::EnvNotAllowed,
    Reason::LimitExceeded,
    Reason::KeyConflict,
    Reason::KeyConflictInOtherNamespace,
    Reason::ChildNotOwned,
    Reason::ChildRefused,
];

/// The state that a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Goal {
    /// The unit answers at its URL
    Ready,
    /// The unit is suspended and has no pod
    Suspended,
    /// The pod has completed, or a time limit has passed
    Finished,
    /// The pod has the requested CPU and memory
    Resized,
    /// The unit is deleted
    #[value(alias = "delete")]
    Deleted,
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
    /// Name of the state in messages.
    pub const fn state(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Suspended => "suspended",
            Self::Finished => "finished",
            Self::Resized => "resized",
            Self::Deleted => "deleted",
        }
    }

    /// The result if the unit ends the wait. A status of an earlier generation does not.
    pub fn verdict(self, unit: &ComputingUnit) -> Option<Verdict> {
        if self == Self::Deleted {
            return None;
        }
        if unit.metadata.deletion_timestamp.is_some() {
            return Some(Verdict::Deleted);
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
            | (Self::Suspended, Phase::Suspended)
            | (Self::Finished, Phase::Finished)
            // Without a pod, the change takes effect at the next start.
            | (Self::Resized, Phase::Suspended | Phase::Finished | Phase::Failed) => Some(Verdict::Reached),
            (Self::Ready, Phase::Failed | Phase::Finished | Phase::Suspending | Phase::Suspended)
            | (Self::Suspended, Phase::Failed | Phase::Finished)
            | (Self::Finished, Phase::Failed) => failed(ConditionType::Ready),
            (Self::Resized, _) => rejected().or_else(|| resized(unit)),
            (Self::Ready, _) => rejected(),
            _ => None,
        }
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

    fn unit(status: Value) -> ComputingUnit {
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
            assert_eq!(of(goal, phase), Some(Verdict::Reached), "{goal:?}");
        }
        for (goal, phase) in [
            (Goal::Suspended, "Ready"),
            (Goal::Suspended, "Suspending"),
            (Goal::Finished, "Suspended"),
            (Goal::Deleted, "Terminating"),
        ] {
            assert_eq!(of(goal, phase), None, "{goal:?}");
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
        let mut terminating = unit(json!({"phase": "Ready"}));
        terminating.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(Goal::Ready.verdict(&terminating), Some(Verdict::Deleted));
        assert_eq!(Goal::Deleted.verdict(&terminating), None);
    }

    #[test]
    fn status_of_an_earlier_generation_does_not_end_the_wait() {
        let mut edited = unit(json!({"phase": "Ready", "observedGeneration": 1}));
        edited.metadata.generation = Some(2);
        assert_eq!(Goal::Ready.verdict(&edited), None);
        assert_eq!(Goal::Resized.verdict(&edited), None);
        let rejected = json!({"phase": "Pending", "conditions": [condition("Accepted", "False", "ImageNotOffered")]});
        let mut edited = unit(rejected);
        edited.metadata.generation = Some(2);
        assert_eq!(Goal::Ready.verdict(&edited), None);
    }
}
