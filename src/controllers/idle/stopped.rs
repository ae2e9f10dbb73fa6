//! What is told of a unit that is stopped for being idle, before and after, and how that is known later: the write that suspends it
//! leaves a mark, which holds for that very state of its spec. Whoever edits or starts the unit ends what it says.
//!
//! Pure.

use computing_unit_api::{ComputingUnit, IdleAction, names::IDLE};
use k8s_openapi::jiff::Timestamp;

use super::usage::{ANNOTATION, BUSY_PROBE, REQUEST, START, TRAFFIC};

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

impl Idle {
    /// What is said ahead of time, while it can still be used.
    pub fn warning(&self, action: IdleAction) -> String {
        let (done, lost) = match action {
            IdleAction::Suspend => ("suspended", "what its pod has in memory and on its own disk goes, its URL stays"),
            IdleAction::Delete => ("deleted", "it does not come back"),
        };
        format!("{}: it will be {done} at {} unless it is used before ({lost})", self.so_far(), self.at)
    }

    /// What is said when it is stopped.
    pub fn notice(&self, action: IdleAction) -> String {
        let done = match action {
            IdleAction::Suspend => "it is suspended; set spec.operatingMode to Running to start it",
            IdleAction::Delete => "it is deleted",
        };
        format!("{}, for as long as its idleTimeout: {done}", self.so_far())
    }

    fn so_far(&self) -> String {
        let last = match self.source.as_str() {
            START => "its start",
            REQUEST => "a request",
            TRAFFIC => "data on an open connection",
            BUSY_PROBE => "its engine was at work",
            ANNOTATION => "as its annotation says",
            other => other,
        };
        format!("the unit has been idle since {} (last use: {last})", self.since)
    }
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
    fn what_is_said_tells_when_why_and_what_becomes_of_it() {
        let time = |text: &str| text.parse().unwrap();
        let idle = |source: &str| Idle {
            since: time("2026-01-01T12:00:00Z"),
            at: time("2026-01-01T13:00:00Z"),
            source: source.into(),
        };
        assert_eq!(
            idle("Request").warning(IdleAction::Suspend),
            "the unit has been idle since 2026-01-01T12:00:00Z (last use: a request): it will be suspended at \
             2026-01-01T13:00:00Z unless it is used before (what its pod has in memory and on its own disk goes, its URL \
             stays)"
        );
        assert_eq!(
            idle("BusyProbe").notice(IdleAction::Delete),
            "the unit has been idle since 2026-01-01T12:00:00Z (last use: its engine was at work), for as long as its \
             idleTimeout: it is deleted"
        );
    }

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
