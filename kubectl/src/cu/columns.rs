//! What can be said of a unit in one cell. Pure.

use computing_unit_api::ConditionType;
use computing_unit_api::{ComputingUnit, Phase};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::{age, mode::phase};
use crate::status::condition;

/// What a column is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Column {
    /// Namespace of the unit.
    Namespace,
    /// Name of the unit.
    Name,
    /// Where it is in its life.
    Phase,
    /// Why it is not Ready, or what else there is to know.
    Reason,
    /// Texera's number.
    Cuid,
    /// What requests carry.
    Key,
    /// Who it is for.
    Owner,
    /// What it is made from.
    Pool,
    /// How long until it is stopped for being idle.
    IdleIn,
    /// How long ago it was created.
    Age,
    /// Where it answers.
    Url,
    /// Its pod.
    Pod,
    /// Where the pod runs.
    Node,
    /// What the pod runs.
    Image,
    /// How often the pod was made anew since it last ran well.
    Restarts,
}

/// What is shown where nothing else is asked for.
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

/// What is shown by `-o wide`.
pub const WIDE: &[Column] = &[
    Column::Name,
    Column::Phase,
    Column::Reason,
    Column::Cuid,
    Column::Key,
    Column::Owner,
    Column::Pool,
    Column::IdleIn,
    Column::Restarts,
    Column::Age,
    Column::Pod,
    Column::Node,
    Column::Image,
    Column::Url,
];

impl Column {
    /// Its heading.
    pub const fn heading(self) -> &'static str {
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
            Self::Age => "AGE",
            Self::Url => "URL",
            Self::Pod => "POD",
            Self::Node => "NODE",
            Self::Image => "IMAGE",
            Self::Restarts => "RESTARTS",
        }
    }

    /// Its cell; empty where there is nothing to say.
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
            Self::Age => unit.creation_timestamp().map(|created| age::between(created.0, now)),
            Self::Url => status.and_then(|status| status.url.clone()),
            Self::Pod => status.and_then(|status| status.pod_name.clone()),
            Self::Node => status.and_then(|status| status.node_name.clone()),
            Self::Image => status.and_then(|status| status.image.clone()),
            Self::Restarts => status.and_then(|status| status.restarts.as_ref()).map(|made| made.count.to_string()),
        };
        text.unwrap_or_default()
    }
}

/// Why a unit is not Ready; of one that is, what waits. What the phase says already is not repeated.
fn reason(unit: &ComputingUnit) -> Option<String> {
    let phase = unit.status.as_ref()?.phase?;
    let types: &[ConditionType] = match phase {
        Phase::Ready => &[ConditionType::ResizePending, ConditionType::UpdatePending],
        Phase::Suspended => &[ConditionType::Suspended],
        _ => &[ConditionType::Ready],
    };
    let found = types.iter().find_map(|type_| condition(unit, *type_))?;
    let said = if phase == Phase::Ready { format!("{}:{}", found.type_, found.reason) } else { found.reason.clone() };
    (said != phase.as_str()).then_some(said)
}

/// How long a unit may still be idle; `unknown` where a signal cannot be read.
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
    fn the_reason_is_said_where_the_phase_does_not_say_it() {
        for (phase, said, reason) in [
            ("Pending", says("Ready", "False", "Unschedulable"), "Unschedulable"),
            ("Suspended", says("Suspended", "True", "Suspended"), ""),
            ("Suspended", says("Suspended", "True", "Idle"), "Idle"),
            ("Terminating", says("Ready", "False", "Terminating"), ""),
            ("Ready", says("Ready", "True", "Ready"), ""),
            ("Ready", says("UpdatePending", "True", "TemplateChanged"), "UpdatePending:TemplateChanged"),
        ] {
            assert_eq!(cell(Column::Reason, json!({"phase": phase, "conditions": [said]})), reason);
        }
    }

    #[test]
    fn the_countdown_runs_to_nothing() {
        let idle = |activity: Value| cell(Column::IdleIn, json!({"phase": "Ready", "activity": activity}));
        assert_eq!(idle(json!({"idleAt": "2026-01-01T01:10:00Z"})), "10m");
        assert_eq!(idle(json!({"idleAt": "2026-01-01T00:10:00Z"})), "0s");
        assert_eq!(idle(json!({"message": "a proxy does not answer"})), "unknown");
        assert_eq!(cell(Column::IdleIn, json!({})), "");
    }

    #[test]
    fn a_unit_without_a_status_has_its_cells() {
        assert_eq!(cell(Column::Phase, Value::Null), "Unknown");
        assert_eq!(cell(Column::Age, Value::Null), "60m");
        assert_eq!(cell(Column::Url, Value::Null), "");
    }
}
