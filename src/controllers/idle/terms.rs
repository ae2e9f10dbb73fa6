//! When a unit counts as idle and what becomes of it then: its own wishes within what its pool allows.
//!
//! Pure.

use std::time::Duration;

use computing_unit_api::{ComputingUnit, ComputingUnitPool, IdleAction};

/// How long before a unit is stopped that is told, at most.
const SOON: Duration = Duration::from_mins(10);
/// The shortest step of what is published: times in a status have whole seconds.
const SECOND: Duration = Duration::from_secs(1);
/// The shortest interval.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);

/// What holds for one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long it may be idle.
    pub timeout: Duration,
    /// What becomes of it then.
    pub action: IdleAction,
    /// How long after its start it counts as in use.
    pub grace: Duration,
    /// How often the signals are read.
    pub interval: Duration,
    /// Bytes a second above which open connections count as use.
    pub bytes_per_second: u64,
}

impl Terms {
    /// The terms of `unit`; `None` where its pool does not stop idle units.
    pub fn of(unit: &ComputingUnit, pool: &ComputingUnitPool) -> Option<Self> {
        let allowed = pool.spec.lifecycle.idle_timeout?;
        let wish = unit.spec.lifecycle.as_ref();
        let timeout = wish.and_then(|wish| wish.idle_timeout).map_or(allowed, |wanted| wanted.min(allowed));
        let activity = &pool.spec.activity;
        Some(Self {
            timeout: timeout.0,
            action: wish.and_then(|wish| wish.idle_action).unwrap_or(pool.spec.lifecycle.idle_action),
            grace: activity.grace_period.0,
            interval: activity.interval.0.max(SHORTEST),
            bytes_per_second: u64::try_from(activity.gateway.bytes_per_second).unwrap_or_default(),
        })
    }

    /// How long before the unit is stopped that is told.
    pub fn soon(&self) -> Duration {
        SOON.min(self.timeout / 2)
    }

    /// The steps that published times move in, so that use costs few writes.
    pub fn step(&self) -> Duration {
        (self.timeout / 10).max(SECOND)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    fn terms(unit: serde_json::Value, pool: serde_json::Value) -> Option<Terms> {
        let mut object = testing::unit("ada", None, "2026-01-01T00:00:00Z");
        object.spec.lifecycle = serde_json::from_value(unit).unwrap();
        let mut of = testing::pool(testing::query_routing());
        of.spec.lifecycle = serde_json::from_value(pool).unwrap();
        Terms::of(&object, &of)
    }

    #[test]
    fn a_unit_asks_for_less_and_never_for_more() {
        let of = |unit, pool| terms(unit, pool).map(|terms| (terms.timeout.as_secs() / 60, terms.action));
        let pool = json!({"idleTimeout": "2h", "idleAction": "Delete"});
        assert_eq!(of(json!({}), pool.clone()), Some((120, IdleAction::Delete)));
        assert_eq!(of(json!({"idleTimeout": "1h"}), pool.clone()), Some((60, IdleAction::Delete)));
        assert_eq!(of(json!({"idleTimeout": "3h", "idleAction": "Suspend"}), pool), Some((120, IdleAction::Suspend)));
        assert_eq!(of(json!({"idleTimeout": "1h"}), json!({})), None, "the pool does not stop idle units");
    }

    #[test]
    fn short_timeouts_have_short_steps_and_warnings() {
        let of = |timeout| terms(json!({}), json!({"idleTimeout": timeout})).unwrap();
        assert_eq!((of("8h").soon().as_secs(), of("8h").step().as_secs()), (600, 2880));
        assert_eq!((of("6s").soon().as_secs(), of("6s").step().as_secs()), (3, 1));
    }
}
