//! The annotation on a unit that its schedule has suspended or resumed.
//!
//! Pure. The write that changes the operating mode adds it, with the generation that the write creates and the time of the
//! schedule. So a time is applied once, even if the operator is stopped before it can record that in the status.

use computing_unit_api::{ComputingUnit, ConditionType, Conditions, OperatingMode, Reason, names::SCHEDULE};
use k8s_openapi::jiff::Timestamp;

/// The value of the annotation for a unit whose operating mode is about to be changed.
pub fn of_next_generation(unit: &ComputingUnit, time: Timestamp) -> String {
    let generation = unit.metadata.generation.unwrap_or_default().saturating_add(1);
    format!("{generation} {time}")
}

/// The last time of the schedule that was applied to the unit.
pub fn applied(unit: &ComputingUnit) -> Option<Timestamp> {
    mark(unit)?.1
}

/// Whether the unit is suspended because of its schedule. That holds for the generation that the schedule created, and for
/// later ones as long as the status reports it: an edit of a suspended unit does not keep it from being resumed.
pub fn suspended(unit: &ComputingUnit) -> bool {
    if unit.spec.operating_mode != OperatingMode::Suspended {
        return false;
    }
    let created =
        mark(unit).is_some_and(|(generation, _)| generation.is_some() && generation == unit.metadata.generation);
    let condition = unit.status.as_ref().and_then(|status| status.conditions.holding(ConditionType::Suspended));
    created || condition.is_some_and(|condition| condition.reason == Reason::Schedule)
}

fn mark(unit: &ComputingUnit) -> Option<(Option<i64>, Option<Timestamp>)> {
    let mark = unit.metadata.annotations.as_ref()?.get(SCHEDULE)?;
    let (generation, time) = mark.split_once(' ')?;
    Some((generation.parse().ok(), time.parse().ok()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    #[test]
    fn mark_holds_while_the_unit_stays_suspended() {
        let mut unit = testing::unit("ada", None, "2026-01-01T00:00:00Z");
        assert_eq!((applied(&unit), suspended(&unit)), (None, false));
        let time: Timestamp = "2026-01-01T20:00:00Z".parse().unwrap();
        unit.metadata.annotations = Some([(SCHEDULE.to_owned(), of_next_generation(&unit, time))].into());
        unit.metadata.generation = Some(2);
        assert!(!suspended(&unit), "it resumed the unit");
        unit.spec.operating_mode = OperatingMode::Suspended;
        assert_eq!((applied(&unit), suspended(&unit)), (Some(time), true));
        // An edit.
        unit.metadata.generation = Some(3);
        assert!(!suspended(&unit));
        let mut report = |status: &str, reason: &str| {
            unit.status = serde_json::from_value(json!({"conditions": [{
                "type": "Suspended", "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T20:00:00Z",
            }]}))
            .unwrap();
            suspended(&unit)
        };
        assert!(report("True", "Schedule") && !report("True", "Suspended") && !report("False", "RouteClosing"));
        for invalid in ["", "3", "3 ", "x y"] {
            unit.metadata.annotations = Some([(SCHEDULE.to_owned(), invalid.to_owned())].into());
            assert_eq!(applied(&unit), None, "{invalid}");
        }
    }
}
