//! The settings of idle detection that apply to a unit: its own, within the limits of its pool. Whether it is idle is
//! decided in [`super::idleness`].
//!
//! Pure.

use std::time::Duration;

use computing_unit_api::{ComputingUnit, ComputingUnitPool, IdleAction};

/// The longest time between the announcement and the stop.
const MAX_NOTICE: Duration = Duration::from_mins(10);
/// The smallest step of published timestamps, which have whole seconds.
const MIN_STEP: Duration = Duration::from_secs(1);
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdlePolicy {
    /// How long the unit may be idle.
    pub timeout: Duration,
    pub action: IdleAction,
    /// How long the unit counts as in use after its start.
    pub grace: Duration,
    /// How often the signals are read.
    pub interval: Duration,
    /// The rate above which traffic on open connections counts as use.
    pub bytes_per_second: u64,
    /// The rate above which requests count as use.
    pub requests_per_minute: u64,
}

impl IdlePolicy {
    /// The policy for `unit`. `None` if its pool does not stop idle units.
    pub fn of(unit: &ComputingUnit, pool: &ComputingUnitPool) -> Option<Self> {
        let limit = pool.spec.lifecycle.idle_timeout?;
        let own = unit.spec.lifecycle.as_ref();
        let timeout = own.and_then(|own| own.idle_timeout).map_or(limit, |timeout| timeout.min(limit));
        let activity = &pool.spec.activity;
        Some(Self {
            timeout: timeout.0,
            action: own.and_then(|own| own.idle_action).unwrap_or(pool.spec.lifecycle.idle_action),
            grace: activity.grace_period.0,
            interval: activity.interval.0.max(MIN_INTERVAL),
            bytes_per_second: u64::try_from(activity.gateway.bytes_per_second).unwrap_or_default(),
            requests_per_minute: u64::try_from(activity.gateway.requests_per_minute).unwrap_or_default(),
        })
    }

    /// How long before the stop it is announced.
    pub fn notice(&self) -> Duration {
        MAX_NOTICE.min(self.timeout / 2)
    }

    /// How far activity has to move before it is published again, to limit the writes.
    pub fn step(&self) -> Duration {
        (self.timeout / 10).max(MIN_STEP)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    fn policy(unit: serde_json::Value, pool: serde_json::Value) -> Option<IdlePolicy> {
        let mut object = testing::unit("ada", None, "2026-01-01T00:00:00Z");
        object.spec.lifecycle = serde_json::from_value(unit).unwrap();
        let mut its_pool = testing::pool(testing::query_routing());
        its_pool.spec.lifecycle = serde_json::from_value(pool).unwrap();
        IdlePolicy::of(&object, &its_pool)
    }

    #[test]
    fn unit_may_shorten_the_timeout_of_its_pool() {
        let of = |unit, pool| policy(unit, pool).map(|policy| (policy.timeout.as_secs() / 60, policy.action));
        let pool = json!({"idleTimeout": "2h", "idleAction": "Delete"});
        assert_eq!(of(json!({}), pool.clone()), Some((120, IdleAction::Delete)));
        assert_eq!(of(json!({"idleTimeout": "1h"}), pool.clone()), Some((60, IdleAction::Delete)));
        assert_eq!(of(json!({"idleTimeout": "3h", "idleAction": "Suspend"}), pool), Some((120, IdleAction::Suspend)));
        assert_eq!(of(json!({"idleTimeout": "1h"}), json!({})), None, "the pool does not stop idle units");
    }

    #[test]
    fn notice_and_step_are_shorter_for_short_timeouts() {
        let of = |timeout| policy(json!({}), json!({"idleTimeout": timeout})).unwrap();
        assert_eq!((of("8h").notice().as_secs(), of("8h").step().as_secs()), (600, 2880));
        assert_eq!((of("6s").notice().as_secs(), of("6s").step().as_secs()), (3, 1));
    }
}
