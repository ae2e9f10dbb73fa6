//! The activator of a pool, which answers for units without a route.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ComputingUnit, ConditionType, Conditions, Duration, Reason};

/// The activator answers requests for units that have no route. It reports the state of the unit and the progress of a
/// start, and starts suspended units as `wake` says.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivatorSpec {
    /// Which suspended units a request starts.
    #[serde(default)]
    pub wake: WakePolicy,
    /// For how long a suspended unit must have had no background requests before one starts it. These are WebSocket
    /// handshakes, and requests that a page sends on its own. The suspension begins such a period, so a tab that reconnects
    /// does not undo the suspension of its unit. Other requests start a unit at any time. `0s` disables it.
    #[serde(default = "ten_minutes")]
    pub quiet_period: Duration,
    /// How long a request that starts a unit is held. It is answered with a redirect to the same URL if the unit becomes
    /// reachable in this time, otherwise with 503 and `Retry-After`. `0s` disables holding.
    #[serde(default = "twenty_seconds")]
    pub hold: Duration,
    /// Host names of clients' requests if `spec.routing.query.lookup` is Host. If absent, the route to the activator accepts any
    /// host name; but if other routes of the Gateway have the host name of a request, proxies consider only those. Set the
    /// host names that other routes have, such as that of the site.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 15),
        inner(
            length(max = 253),
            regex(pattern = "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub hostnames: Vec<String>,
}

/// Which suspended units a request starts.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WakePolicy {
    /// Those that were suspended for being idle. What a person or a program has suspended stays suspended until it is
    /// resumed.
    #[default]
    Idle,
    /// All.
    Always,
    /// None.
    Never,
}

/// Why no request starts a suspended unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeRefusal {
    /// The policy is `Never`.
    Never,
    /// The policy is `Idle`, and the unit was suspended by a person or a program.
    NotIdle,
}

impl WakePolicy {
    /// Why no request starts `unit`, which is suspended. `None` if requests start it.
    #[must_use]
    pub fn refusal(self, unit: &ComputingUnit) -> Option<WakeRefusal> {
        let conditions = unit.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let suspended = conditions.holding(ConditionType::Suspended);
        match self {
            Self::Always => None,
            Self::Never => Some(WakeRefusal::Never),
            Self::Idle if suspended.is_some_and(|condition| condition.reason == Reason::Idle) => None,
            Self::Idle => Some(WakeRefusal::NotIdle),
        }
    }
}

impl WakeRefusal {
    /// A clause that explains it.
    #[must_use]
    pub const fn because(self) -> &'static str {
        match self {
            Self::Never => "requests start no units of its pool",
            Self::NotIdle => "it was suspended by its owner, an administrator or a program, and not for being idle",
        }
    }
}

const fn twenty_seconds() -> Duration {
    Duration::from_secs(20)
}

const fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn suspended(status: &str, reason: &str) -> ComputingUnit {
        let condition = json!({"type": "Suspended", "status": status, "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        serde_json::from_value(json!({"metadata": {"name": "ada"}, "spec": {"poolName": "default"},
            "status": {"conditions": [condition]}}))
        .unwrap()
    }

    #[test]
    fn what_somebody_has_suspended_is_started_by_requests_only_if_the_pool_says_so() {
        use WakePolicy::{Always, Idle, Never};
        let idle = suspended("True", "Idle");
        let by_hand = suspended("True", "Suspended");
        for (policy, unit, refusal) in [
            (Idle, &idle, None),
            (Idle, &by_hand, Some(WakeRefusal::NotIdle)),
            (Idle, &suspended("False", "Idle"), Some(WakeRefusal::NotIdle)),
            (Always, &idle, None),
            (Always, &by_hand, None),
            (Never, &idle, Some(WakeRefusal::Never)),
            (Never, &by_hand, Some(WakeRefusal::Never)),
        ] {
            assert_eq!(policy.refusal(unit), refusal, "{policy:?}");
        }
        let spec: ActivatorSpec = serde_json::from_value(json!({})).unwrap();
        assert_eq!(spec.wake, Idle);
    }
}
