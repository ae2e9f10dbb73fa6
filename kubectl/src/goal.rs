//! What a unit is waited for, and whether waiting is over. Pure.

use computing_unit_api::{ComputingUnit, ConditionType, Phase, Reason};

use crate::said::{condition, is_current, why};

/// Reasons of `Accepted` that pass only when someone changes the unit, or what stands in its way.
const HOPELESS: &[Reason] = &[
    Reason::PoolNotAccepted,
    Reason::ImageNotOffered,
    Reason::ReferenceNotAllowed,
    Reason::LimitExceeded,
    Reason::KeyConflict,
    Reason::KeyConflictInOtherNamespace,
    Reason::ChildNotOwned,
    Reason::ChildRefused,
];

/// What a unit is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Goal {
    /// It answers at its URL.
    Ready,
    /// It has no pod, as it was asked for.
    Suspended,
    /// It has come to its end by itself, or its time is over.
    Finished,
    /// Its pod has the CPU and memory that were asked for.
    Resized,
    /// It is gone.
    #[value(alias = "delete")]
    Deleted,
}

/// Waiting is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it was wanted.
    Reached,
    /// It cannot become so by itself; reason and message.
    Failed(String),
    /// It is being deleted.
    Deleted,
}

impl Goal {
    /// The goal as it is said of a unit.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Suspended => "suspended",
            Self::Finished => "finished",
            Self::Resized => "resized",
            Self::Deleted => "deleted",
        }
    }

    /// Whether a unit as it is now ends the wait. What was said of an earlier spec does not.
    pub fn verdict(self, unit: &ComputingUnit) -> Option<Verdict> {
        let leaving = unit.metadata.deletion_timestamp.is_some();
        if self == Self::Deleted {
            return None;
        }
        if leaving {
            return Some(Verdict::Deleted);
        }
        let status = unit.status.as_ref().filter(|_| is_current(unit))?;
        let phase = status.phase?;
        if phase == Phase::Terminating {
            return Some(Verdict::Deleted);
        }
        let failed = |type_| Some(Verdict::Failed(why(unit, type_)));
        let refused = || {
            let accepted = condition(unit, ConditionType::Accepted)?;
            let hopeless = accepted.status == "False" && HOPELESS.iter().any(|reason| accepted.reason == *reason);
            if hopeless { failed(ConditionType::Accepted) } else { None }
        };
        match (self, phase) {
            (Self::Ready, Phase::Ready)
            | (Self::Suspended, Phase::Suspended)
            | (Self::Finished, Phase::Finished)
            // What has no pod gets the new amounts when it is next started.
            | (Self::Resized, Phase::Suspended | Phase::Finished | Phase::Failed) => Some(Verdict::Reached),
            (Self::Ready, Phase::Failed | Phase::Finished | Phase::Suspending | Phase::Suspended)
            | (Self::Suspended, Phase::Failed | Phase::Finished)
            | (Self::Finished, Phase::Failed) => failed(ConditionType::Ready),
            (Self::Resized, _) => refused().or_else(|| resized(unit)),
            (Self::Ready, _) => refused(),
            _ => None,
        }
    }
}

/// Whether the pod has the amounts of the spec, or will not get them before its next start.
fn resized(unit: &ComputingUnit) -> Option<Verdict> {
    if condition(unit, ConditionType::UpdatePending).is_some() {
        return Some(Verdict::Failed(why(unit, ConditionType::UpdatePending)));
    }
    match condition(unit, ConditionType::ResizePending) {
        Some(pending) if pending.reason == Reason::Infeasible => {
            Some(Verdict::Failed(why(unit, ConditionType::ResizePending)))
        }
        Some(_) => None,
        None => Some(Verdict::Reached),
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

    fn failed(text: &str) -> Verdict {
        Verdict::Failed(text.to_owned())
    }

    #[test]
    fn ready_is_reached_or_cannot_be() {
        let of = |status: Value| Goal::Ready.verdict(&unit(status));
        let refused = |reason| of(json!({"phase": "Pending", "conditions": [says("Accepted", "False", reason)]}));
        assert_eq!(of(Value::Null), None);
        assert_eq!(of(json!({"phase": "Ready"})), Some(Verdict::Reached));
        assert_eq!(of(json!({"phase": "Terminating"})), Some(Verdict::Deleted));
        for (phase, reason) in [("Failed", "StartTimeout"), ("Finished", "ShutdownTime"), ("Suspended", "Suspended")] {
            assert_eq!(
                of(json!({"phase": phase, "conditions": [says("Ready", "False", reason)]})),
                Some(failed(&format!("{reason}: about {reason}")))
            );
        }
        assert_eq!(refused("PoolNotFound"), None);
        for reason in HOPELESS {
            assert_eq!(refused(reason.as_str()), Some(failed(&format!("{reason}: about {reason}"))));
        }
    }

    #[test]
    fn each_goal_has_its_phase() {
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
    fn a_resize_lasts_until_the_node_has_answered() {
        let of = |conditions: &[Value]| {
            Goal::Resized.verdict(&unit(json!({"phase": "Ready", "observedGeneration": 1, "conditions": conditions})))
        };
        assert_eq!(of(&[says("ResizePending", "True", "Proposed")]), None);
        assert_eq!(of(&[says("ResizePending", "True", "Deferred")]), None);
        assert_eq!(of(&[says("ResizePending", "True", "Infeasible")]), Some(failed("Infeasible: about Infeasible")));
        assert_eq!(
            of(&[says("UpdatePending", "True", "TemplateChanged")]),
            Some(failed("TemplateChanged: about TemplateChanged"))
        );
        assert_eq!(
            of(&[says("Accepted", "False", "LimitExceeded")]),
            Some(failed("LimitExceeded: about LimitExceeded"))
        );
        assert_eq!(of(&[]), Some(Verdict::Reached));
    }

    #[test]
    fn a_unit_that_is_being_deleted_becomes_nothing_else() {
        let mut leaving = unit(json!({"phase": "Ready"}));
        leaving.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(Goal::Ready.verdict(&leaving), Some(Verdict::Deleted));
        assert_eq!(Goal::Deleted.verdict(&leaving), None);
    }

    #[test]
    fn what_was_said_of_an_earlier_spec_ends_nothing() {
        let mut edited = unit(json!({"phase": "Ready", "observedGeneration": 1}));
        edited.metadata.generation = Some(2);
        assert_eq!(Goal::Ready.verdict(&edited), None);
        assert_eq!(Goal::Resized.verdict(&edited), None);
        let refused = json!({"phase": "Pending", "conditions": [says("Accepted", "False", "ImageNotOffered")]});
        let mut edited = unit(refused);
        edited.metadata.generation = Some(2);
        assert_eq!(Goal::Ready.verdict(&edited), None);
    }
}
