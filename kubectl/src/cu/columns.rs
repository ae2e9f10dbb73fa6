//! Columns of the table of units.

use computing_unit_api::{ComputingUnit, ConditionType, Phase};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::{age, mode::phase};
use crate::status::condition;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Column {
    /// Namespace of the unit
    Namespace,
    /// Name of the unit
    Name,
    /// Phase of the unit
    Phase,
    /// Reason why the unit is not ready, or a pending change
    Reason,
    /// Texera's ID of the unit
    Cuid,
    /// Routing key
    Key,
    /// Owner of the unit
    Owner,
    /// Pool of the unit
    Pool,
    /// Time until the unit is stopped as idle
    IdleIn,
    /// Time until the suspended unit is deleted
    ExpiresIn,
    /// Time since the creation of the unit
    Age,
    /// URL of the unit
    Url,
    /// Name of the pod
    Pod,
    /// Node of the pod
    Node,
    /// Image of the engine
    Image,
    /// Number of restarts of the pod
    Restarts,
}

/// Default columns.
pub const DEFAULT: &[Column] = &[
    Column::Name,
    Column::Phase,
    Column::Reason,
    Column::Cuid,
    Column::Owner,
    Column::IdleIn,
    Column::Age,
    Column::Url,
];

/// Columns of `-o wide`.
pub const WIDE: &[Column] = &[
    Column::Name,
    Column::Phase,
    Column::Reason,
    Column::Cuid,
    Column::Key,
    Column::Owner,
    Column::Pool,
    Column::IdleIn,
    Column::ExpiresIn,
    Column::Restarts,
    Column::Age,
    Column::Pod,
    Column::Node,
    Column::Image,
    Column::Url,
];

impl Column {
    /// Header of the column.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Namespace => "NAMESPACE",
            Self::Name => "NAME",
            Self::Phase => "PHASE",
            Self::Reason => "REASON",
            Self::Cuid => "CUID",
            Self::Key => "KEY",
            Self::Owner => "OWNER",
            Self::Pool => "POOL",
            Self::IdleIn => "IDLE-IN",
            Self::ExpiresIn => "EXPIRES-IN",
            Self::Age => "AGE",
            Self::Url => "URL",
            Self::Pod => "POD",
            Self::Node => "NODE",
            Self::Image => "IMAGE",
            Self::Restarts => "RESTARTS",
        }
    }

    /// Cell of a unit; empty if it has no value.
    pub fn cell(self, unit: &ComputingUnit, now: Timestamp) -> String {
        let status = unit.status.as_ref();
        let text = match self {
            Self::Namespace => unit.namespace(),
            Self::Name => Some(unit.name_any()),
            Self::Phase => Some(phase(unit).to_owned()),
            Self::Reason => reason(unit),
            Self::Cuid => unit.spec.cuid.map(|cuid| cuid.to_string()),
            Self::Key => status.and_then(|status| status.key.clone()),
            Self::Owner => unit.spec.owner.clone(),
            Self::Pool => Some(unit.spec.pool_name.clone()),
            Self::IdleIn => idle_in(unit, now),
            Self::ExpiresIn => status.and_then(|status| status.expires_at.as_ref()).map(|at| age::between(now, at.0)),
            Self::Age => unit.creation_timestamp().map(|created| age::between(created.0, now)),
            Self::Url => status.and_then(|status| status.url.clone()),
            Self::Pod => status.and_then(|status| status.pod_name.clone()),
            Self::Node => status.and_then(|status| status.node_name.clone()),
            Self::Image => status.and_then(|status| status.image.clone()),
            Self::Restarts => {
                status.and_then(|status| status.restarts.as_ref()).map(|restarts| restarts.count.to_string())
            }
        };
        text.unwrap_or_default()
    }
}

/// The reason why a unit is not Ready, or the pending change of a unit that is. It is omitted if it equals the phase.
fn reason(unit: &ComputingUnit) -> Option<String> {
    let phase = unit.status.as_ref()?.phase?;
    let types: &[ConditionType] = match phase {
        Phase::Ready => &[ConditionType::ResizePending, ConditionType::UpdatePending],
        Phase::Suspended => &[ConditionType::Expiring, ConditionType::Suspended],
        Phase::Finished => &[ConditionType::Finished],
        _ => &[ConditionType::Ready],
    };
    let found = types.iter().find_map(|type_| condition(unit, *type_))?;
    let reason = if phase == Phase::Ready { format!("{}:{}", found.type_, found.reason) } else { found.reason.clone() };
    (reason != phase.as_str()).then_some(reason)
}

/// The time until a unit is stopped as idle, or `unknown` if a signal cannot be read.
fn idle_in(unit: &ComputingUnit, now: Timestamp) -> Option<String> {
    let activity = unit.status.as_ref()?.activity.as_ref()?;
    match &activity.idle_at {
        Some(at) => Some(age::between(now, at.0)),
        None => activity.message.as_ref().map(|_| "unknown".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{self, condition};

    fn cell(column: Column, status: Value) -> String {
        let mut unit = testing::unit(status);
        unit["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        let unit: ComputingUnit = serde_json::from_value(unit).unwrap();
        column.cell(&unit, "2026-01-01T01:00:00Z".parse().unwrap())
    }

    #[test]
    fn reason_is_omitted_if_it_equals_the_phase() {
        for (phase, condition, reason) in [
            ("Pending", condition("Ready", "False", "Unschedulable"), "Unschedulable"),
            ("Suspended", condition("Suspended", "True", "Suspended"), ""),
            ("Suspended", condition("Suspended", "True", "Idle"), "Idle"),
            ("Suspended", condition("Suspended", "True", "Schedule"), "Schedule"),
            ("Suspended", condition("Expiring", "True", "SuspendedTooLong"), "SuspendedTooLong"),
            ("Terminating", condition("Ready", "False", "Terminating"), ""),
            ("Ready", condition("Ready", "True", "Ready"), ""),
            ("Ready", condition("UpdatePending", "True", "TemplateChanged"), "UpdatePending:TemplateChanged"),
        ] {
            assert_eq!(cell(Column::Reason, json!({"phase": phase, "conditions": [condition]})), reason);
        }
    }

    #[test]
    fn idle_time_ends_at_zero() {
        let idle = |activity: Value| cell(Column::IdleIn, json!({"phase": "Ready", "activity": activity}));
        assert_eq!(idle(json!({"idleAt": "2026-01-01T01:10:00Z"})), "10m");
        assert_eq!(idle(json!({"idleAt": "2026-01-01T00:10:00Z"})), "0s");
        assert_eq!(idle(json!({"message": "proxy 10.0.0.1 did not respond"})), "unknown");
        assert_eq!(cell(Column::IdleIn, json!({})), "");
        assert_eq!(cell(Column::ExpiresIn, json!({"expiresAt": "2026-01-04T02:00:00Z"})), "3d1h");
        assert_eq!(cell(Column::ExpiresIn, json!({})), "");
    }

    #[test]
    fn unit_without_a_status_has_cells() {
        assert_eq!(cell(Column::Phase, Value::Null), "Unknown");
        assert_eq!(cell(Column::Age, Value::Null), "60m");
        assert_eq!(cell(Column::Url, Value::Null), "");
    }
}
