//! Decides whether a request starts a suspended unit.
//!
//! Pure.

use std::time::Duration;

use computing_unit_api::{ActivatorSpec, ComputingUnit, ConditionType, Conditions, WakeRefusal};
use k8s_openapi::jiff::Timestamp;

use super::intent::Intent;
use crate::metrics::NotStarted;

/// Decides for a request at the time `now`. `quiet_for` is the time since the last background request for the unit.
///
/// # Errors
/// Why the request does not start `unit`. What depends on the unit comes before what depends on the request, because
/// another request would not start it either.
pub fn decide(
    activator: &ActivatorSpec,
    unit: &ComputingUnit,
    intent: Intent,
    now: Timestamp,
    quiet_for: Duration,
) -> Result<(), NotStarted> {
    match (activator.wake.refusal(unit), intent) {
        (Some(WakeRefusal::Never), _) => Err(NotStarted::Never),
        (Some(WakeRefusal::NotIdle), _) => Err(NotStarted::NotIdle),
        (None, Intent::Passive(reason)) => Err(reason),
        (None, Intent::Use) => Ok(()),
        (None, Intent::Background) => {
            // A tab that was connected sent its last handshake to the unit, long before the suspension.
            let quiet_for = suspended_for(unit, now).map_or(quiet_for, |suspended| suspended.min(quiet_for));
            if quiet_for >= activator.quiet_period.0 { Ok(()) } else { Err(NotStarted::QuietPeriod) }
        }
    }
}

fn suspended_for(unit: &ComputingUnit, now: Timestamp) -> Option<Duration> {
    let conditions = &unit.status.as_ref()?.conditions;
    let since = conditions.holding(ConditionType::Suspended)?.last_transition_time.0;
    // Zero if the clocks of two nodes differ.
    Some(Duration::try_from(now.duration_since(since)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::activator::state::tests::suspended;

    /// The unit is suspended at midnight.
    fn decided(
        spec: &serde_json::Value,
        reason: &str,
        intent: Intent,
        now: &str,
        quiet: u64,
    ) -> Result<(), NotStarted> {
        let activator = serde_json::from_value(spec.clone()).unwrap();
        decide(&activator, &suspended(reason), intent, now.parse().unwrap(), Duration::from_secs(quiet))
    }

    #[test]
    fn unit_decides_before_the_request() {
        let late = "2026-01-02T00:00:00Z";
        for (spec, reason, expected) in [
            (json!({}), "Idle", NotStarted::Head),
            (json!({}), "Suspended", NotStarted::NotIdle),
            (json!({"wake": "Always"}), "Suspended", NotStarted::Head),
            (json!({"wake": "Never"}), "Idle", NotStarted::Never),
        ] {
            let decision = decided(&spec, reason, Intent::Passive(NotStarted::Head), late, 0);
            assert_eq!(decision, Err(expected), "{spec} {reason}");
            let started = decided(&spec, reason, Intent::Use, late, 0);
            assert_eq!(started.is_ok(), expected == NotStarted::Head, "{spec} {reason}");
        }
    }

    #[test]
    fn background_request_starts_a_unit_only_after_a_quiet_period() {
        let quiet = Err(NotStarted::QuietPeriod);
        for (now, quiet_for, expected) in [
            // The tab reconnects at once, and its last handshake was hours ago.
            ("2026-01-01T00:00:01Z", 7200, quiet),
            ("2026-01-01T00:09:59Z", 7200, quiet),
            ("2026-01-01T00:10:00Z", 7200, Ok(())),
            // It goes on reconnecting.
            ("2026-01-01T08:00:00Z", 30, quiet),
            ("2026-01-01T08:00:00Z", 599, quiet),
            ("2026-01-01T08:00:00Z", 600, Ok(())),
            // The clock of the node is late.
            ("2025-12-31T23:59:59Z", 7200, quiet),
        ] {
            assert_eq!(decided(&json!({}), "Idle", Intent::Background, now, quiet_for), expected, "{now} {quiet_for}");
            assert_eq!(decided(&json!({}), "Idle", Intent::Use, now, quiet_for), Ok(()), "{now}");
        }
        let immediate = json!({"quietPeriod": "0s"});
        assert_eq!(decided(&immediate, "Idle", Intent::Background, "2026-01-01T00:00:00Z", 0), Ok(()));
    }
}
