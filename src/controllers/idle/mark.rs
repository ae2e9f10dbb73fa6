//! The annotation on a unit that was suspended for being idle.
//!
//! Pure. The write that suspends the unit adds it with the generation that the write creates. It holds for this
//! generation, so any later change of the spec invalidates it.

use computing_unit_api::{ComputingUnit, names::IDLE};
use k8s_openapi::jiff::Timestamp;

/// The value of the annotation for a unit that is about to be suspended.
pub(super) fn of_next_generation(unit: &ComputingUnit, since: Timestamp) -> String {
    let generation = unit.metadata.generation.unwrap_or_default().saturating_add(1);
    format!("{generation} {since}")
}

/// Since when a unit was idle, if it is suspended for being idle.
pub fn idle_since(unit: &ComputingUnit) -> Option<Timestamp> {
    let mark = unit.metadata.annotations.as_ref()?.get(IDLE)?;
    let (generation, since) = mark.split_once(' ')?;
    (generation.parse().ok() == unit.metadata.generation).then_some(since.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn mark_holds_until_the_next_change_of_the_spec() {
        let mut unit = testing::unit("ada", None, "2026-01-01T00:00:00Z");
        assert_eq!(idle_since(&unit), None);
        let since: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let mark = of_next_generation(&unit, since);
        unit.metadata.annotations = Some([(IDLE.to_owned(), mark)].into());
        assert_eq!(idle_since(&unit), None, "not suspended yet");
        unit.metadata.generation = Some(2);
        assert_eq!(idle_since(&unit), Some(since));
        unit.metadata.generation = Some(3);
        assert_eq!(idle_since(&unit), None);
        for invalid in ["", "3", "3 ", "3 never", "x 2026-01-01T12:00:00Z"] {
            unit.metadata.annotations = Some([(IDLE.to_owned(), invalid.to_owned())].into());
            assert_eq!(idle_since(&unit), None, "{invalid}");
        }
    }
}
