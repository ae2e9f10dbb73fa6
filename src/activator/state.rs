//! The state of a unit as the activator reports it, derived from the unit's spec and status.
//!
//! Pure.

use computing_unit_api::{ComputingUnit, OperatingMode, Phase};

/// The state of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Deleted, or being deleted.
    Deleted,
    /// Suspended. A request may start it.
    Suspended,
    /// Being suspended. No request starts it until that is complete.
    Suspending,
    /// Starting, or running without being reachable.
    Starting,
    /// Every proxy has its route. A request still gets here if its proxy matched it before that.
    Ready,
    /// Failed. It is not retried without a change.
    Failed,
    Finished,
}

impl State {
    /// Whether waiting does not help: the unit is reachable, or it needs a change.
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Suspended | Self::Suspending | Self::Starting)
    }
}

/// The state of `unit`.
pub fn state(unit: &ComputingUnit) -> State {
    let status = unit.status.as_ref();
    let phase = status.and_then(|status| status.phase).unwrap_or(Phase::Pending);
    let generation = unit.metadata.generation.unwrap_or_default();
    let current = status.and_then(|status| status.observed_generation).unwrap_or_default() >= generation;
    if unit.metadata.deletion_timestamp.is_some() {
        return State::Deleted;
    }
    match (unit.spec.operating_mode, phase) {
        (_, Phase::Terminating) => State::Deleted,
        // A status of an earlier generation may be from before the unit was started.
        (OperatingMode::Suspended, Phase::Suspended) if current => State::Suspended,
        (OperatingMode::Suspended, _) => State::Suspending,
        (OperatingMode::Running, Phase::Ready) => State::Ready,
        (OperatingMode::Running, Phase::Failed) if current => State::Failed,
        (OperatingMode::Running, Phase::Finished) if current => State::Finished,
        (OperatingMode::Running, _) => State::Starting,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    pub fn unit(mode: OperatingMode, phase: Option<Phase>, observed: i64) -> ComputingUnit {
        let mut unit = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        unit.spec.operating_mode = mode;
        unit.metadata.generation = Some(2);
        unit.metadata.resource_version = Some("7".to_owned());
        unit.status = phase.map(|phase| {
            let accepted = json!({"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"});
            serde_json::from_value(json!({"phase": phase, "observedGeneration": observed, "conditions": [accepted],
                "stages": {"accepted": "2026-01-01T00:00:00Z", "scheduled": "2026-01-01T00:00:01Z"}}))
            .unwrap()
        });
        unit
    }

    /// A unit that was suspended at midnight. `reason` is that of its condition `Suspended`.
    pub fn suspended(reason: &str) -> ComputingUnit {
        let mut unit = unit(OperatingMode::Suspended, Some(Phase::Suspended), 2);
        let condition = json!({"type": "Suspended", "status": "True", "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = unit.status.as_mut().unwrap();
        status.conditions.push(serde_json::from_value(condition).unwrap());
        unit
    }

    #[test]
    fn state_follows_from_spec_and_status() {
        use OperatingMode::{Running, Suspended};
        for (mode, phase, observed, expected) in [
            (Suspended, Some(Phase::Suspended), 2, State::Suspended),
            // Resumed and suspended again before the operator reconciled it.
            (Suspended, Some(Phase::Suspended), 1, State::Suspending),
            (Suspended, Some(Phase::Suspending), 2, State::Suspending),
            (Suspended, Some(Phase::Ready), 1, State::Suspending),
            (Suspended, None, 0, State::Suspending),
            (Running, None, 0, State::Starting),
            (Running, Some(Phase::Suspended), 1, State::Starting),
            (Running, Some(Phase::Pending), 2, State::Starting),
            (Running, Some(Phase::NotReady), 2, State::Starting),
            (Running, Some(Phase::Ready), 2, State::Ready),
            (Running, Some(Phase::Failed), 2, State::Failed),
            (Running, Some(Phase::Failed), 1, State::Starting),
            (Running, Some(Phase::Finished), 2, State::Finished),
            (Running, Some(Phase::Terminating), 2, State::Deleted),
        ] {
            assert_eq!(state(&unit(mode, phase, observed)), expected, "{mode:?} {phase:?} {observed}");
        }
        let mut terminating = unit(Running, Some(Phase::Ready), 2);
        terminating.metadata.deletion_timestamp = Some(testing::time("2026-01-01T00:00:00Z"));
        assert_eq!(state(&terminating), State::Deleted);
    }
}
