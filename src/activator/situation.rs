//! What a request for a unit without a live route meets: where the unit is in its life, from its spec and status.
//!
//! Pure.

use computing_unit_api::{ComputingUnit, OperatingMode, Phase};

/// Where a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// It is not there any more, or on its way out.
    Gone,
    /// It rests, and can be started.
    Suspended,
    /// It is to rest and does not yet. Nothing that is being suspended is started.
    Suspending,
    /// It runs or is to run, and cannot be reached yet.
    Starting,
    /// Every proxy has its route; this one may have learnt it a moment later.
    Ready,
    /// It did not start. It is not tried again until somebody does something.
    Failed,
    /// It has run to its end.
    Finished,
}

/// Where `unit` is.
#[must_use]
pub fn situation(unit: &ComputingUnit) -> Situation {
    let status = unit.status.as_ref();
    let phase = status.and_then(|status| status.phase).unwrap_or(Phase::Pending);
    let generation = unit.metadata.generation.unwrap_or_default();
    let current = status.and_then(|status| status.observed_generation).unwrap_or_default() >= generation;
    if unit.metadata.deletion_timestamp.is_some() {
        return Situation::Gone;
    }
    match (unit.spec.operating_mode, phase) {
        (_, Phase::Terminating) => Situation::Gone,
        // A status of an earlier spec may hide that it was started in between.
        (OperatingMode::Suspended, Phase::Suspended) if current => Situation::Suspended,
        (OperatingMode::Suspended, _) => Situation::Suspending,
        (OperatingMode::Running, Phase::Ready) => Situation::Ready,
        (OperatingMode::Running, Phase::Failed) if current => Situation::Failed,
        (OperatingMode::Running, Phase::Finished) if current => Situation::Finished,
        (OperatingMode::Running, _) => Situation::Starting,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    /// A unit as it is in some moment.
    pub fn unit(mode: OperatingMode, phase: Option<Phase>, seen: i64) -> ComputingUnit {
        let mut unit = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        unit.spec.operating_mode = mode;
        unit.metadata.generation = Some(2);
        unit.metadata.resource_version = Some("7".to_owned());
        unit.status = phase.map(|phase| {
            let accepted = json!({"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"});
            serde_json::from_value(json!({"phase": phase, "observedGeneration": seen, "conditions": [accepted],
                "stages": {"accepted": "2026-01-01T00:00:00Z", "scheduled": "2026-01-01T00:00:01Z"}}))
            .unwrap()
        });
        unit
    }

    #[test]
    fn a_unit_is_where_spec_and_status_say() {
        use OperatingMode::{Running, Suspended};
        for (mode, phase, seen, expected) in [
            (Suspended, Some(Phase::Suspended), 2, Situation::Suspended),
            // Resumed and suspended again before anybody looked.
            (Suspended, Some(Phase::Suspended), 1, Situation::Suspending),
            (Suspended, Some(Phase::Suspending), 2, Situation::Suspending),
            (Suspended, Some(Phase::Ready), 1, Situation::Suspending),
            (Suspended, None, 0, Situation::Suspending),
            (Running, None, 0, Situation::Starting),
            (Running, Some(Phase::Suspended), 1, Situation::Starting),
            (Running, Some(Phase::Pending), 2, Situation::Starting),
            (Running, Some(Phase::NotReady), 2, Situation::Starting),
            (Running, Some(Phase::Ready), 2, Situation::Ready),
            (Running, Some(Phase::Failed), 2, Situation::Failed),
            (Running, Some(Phase::Failed), 1, Situation::Starting),
            (Running, Some(Phase::Finished), 2, Situation::Finished),
            (Running, Some(Phase::Terminating), 2, Situation::Gone),
        ] {
            assert_eq!(situation(&unit(mode, phase, seen)), expected, "{mode:?} {phase:?} {seen}");
        }
        let mut going = unit(Running, Some(Phase::Ready), 2);
        going.metadata.deletion_timestamp = Some(testing::time("2026-01-01T00:00:00Z"));
        assert_eq!(situation(&going), Situation::Gone);
    }
}
