//! What is told of a unit that was stopped for being idle, and how that is known afterwards: the write that suspends it
//! leaves a mark, which holds for that very state of its spec. Whoever edits or starts the unit ends what it says.
//!
//! Pure.

use k8s_openapi::jiff::Timestamp;

use crate::{api::ComputingUnit, names::IDLE};

/// How a unit is idle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Since when.
    pub since: Timestamp,
    /// When it is stopped.
    pub at: Timestamp,
    /// What told of its last use.
    pub source: String,
}

/// The mark of a unit that is about to be suspended: the generation that it will have, and since when it was idle.
pub fn mark(unit: &ComputingUnit, idle: &Idle) -> String {
    let generation = unit.metadata.generation.unwrap_or_default().saturating_add(1);
    format!("{generation} {}", idle.since)
}

/// Since when a unit was idle that was suspended for it.
#[must_use]
pub fn stopped(unit: &ComputingUnit) -> Option<Timestamp> {
    let mark = unit.metadata.annotations.as_ref()?.get(IDLE)?;
    let (generation, since) = mark.split_once(' ')?;
    (generation.parse().ok() == unit.metadata.generation).then_some(since.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_mark_holds_until_the_next_edit() {
        let mut unit = testing::unit("ada", None, "2026-01-01T00:00:00Z");
        assert_eq!(stopped(&unit), None);
        let since: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let mark = mark(&unit, &Idle { since, at: since, source: "Request".into() });
        unit.metadata.annotations = Some([(IDLE.to_owned(), mark)].into());
        assert_eq!(stopped(&unit), None, "not suspended yet");
        unit.metadata.generation = Some(2);
        assert_eq!(stopped(&unit), Some(since));
        unit.metadata.generation = Some(3);
        assert_eq!(stopped(&unit), None);
        for garbage in ["", "3", "3 ", "3 never", "x 2026-01-01T12:00:00Z"] {
            unit.metadata.annotations = Some([(IDLE.to_owned(), garbage.to_owned())].into());
            assert_eq!(stopped(&unit), None, "{garbage}");
        }
    }
}
