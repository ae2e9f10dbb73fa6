//! What a unit's status means to somebody who waits for it.
//!
//! Pure.

use std::time::Duration;

use computing_unit_operator::api::{ComputingUnit, Phase, Stages};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

/// Reasons that only an edit of the unit, its pool or its neighbours can cure.
const LASTING: &[&str] = &[
    "ImageNotOffered",
    "ReferenceNotAllowed",
    "LimitExceeded",
    "KeyConflict",
    "KeyConflictElsewhere",
    "ChildNotOwned",
    "ChildRefused",
    "PoolNotAccepted",
];

/// How a wait stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can be opened, there.
    Ready(String),
    /// It will not be, for that reason.
    Failed(String),
    /// Not yet; what it waits for, as far as it says.
    Waiting(Option<String>),
}

/// How the wait for a unit stands.
pub fn standing(unit: &ComputingUnit) -> Standing {
    let Some(status) = &unit.status else { return Standing::Waiting(None) };
    if status.observed_generation != unit.metadata.generation {
        return Standing::Waiting(None);
    }
    let find = |type_: &str| status.conditions.iter().find(|condition| condition.type_ == type_);
    let words = |condition: &Condition| format!("{}: {}", condition.reason, condition.message);
    let ready = find("Ready");
    match status.phase {
        Some(Phase::Ready) => Standing::Ready(status.url.clone().unwrap_or_else(|| "the unit has no URL".to_owned())),
        Some(Phase::Failed) => Standing::Failed(ready.map_or_else(|| "it failed".to_owned(), words)),
        Some(Phase::Terminating) => Standing::Failed("it is being deleted".to_owned()),
        _ => match find("Accepted").filter(|accepted| accepted.status == "False") {
            Some(accepted) if LASTING.contains(&accepted.reason.as_str()) => Standing::Failed(words(accepted)),
            _ => Standing::Waiting(ready.filter(|ready| ready.status != "True").map(words)),
        },
    }
}

/// The stages that a unit has passed, in their order, with the time since its creation.
pub fn stages(unit: &ComputingUnit) -> Vec<(&'static str, Duration)> {
    let Some(created) = unit.metadata.creation_timestamp.as_ref() else { return vec![] };
    let none = Stages::default();
    let stages = unit.status.as_ref().map_or(&none, |status| &status.stages);
    [
        ("accepted", &stages.accepted),
        ("scheduled", &stages.scheduled),
        ("pod ready", &stages.pod_ready),
        ("route accepted", &stages.route_accepted),
        ("reachable", &stages.reachable),
    ]
    .into_iter()
    .filter_map(|(name, at)| Some((name, since(created, at.as_ref()?.0))))
    .collect()
}

fn since(created: &Time, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(created.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn unit(status: Value) -> ComputingUnit {
        serde_json::from_value(json!({
            "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnit",
            "metadata": {"name": "a", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {}, "status": status,
        }))
        .unwrap()
    }

    fn condition(type_: &str, status: &str, reason: &str) -> Value {
        json!({"type": type_, "status": status, "reason": reason, "message": "why", "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    #[test]
    fn a_wait_ends_with_the_url_or_with_what_an_edit_alone_can_cure() {
        let ready = unit(json!({"observedGeneration": 1, "phase": "Ready", "url": "http://u"}));
        assert_eq!(standing(&ready), Standing::Ready("http://u".into()));
        let failed = unit(
            json!({"observedGeneration": 1, "phase": "Failed", "conditions": [condition("Ready", "False", "StartTimeout")]}),
        );
        assert_eq!(standing(&failed), Standing::Failed("StartTimeout: why".into()));
        let refused = unit(
            json!({"observedGeneration": 1, "phase": "Pending", "conditions": [condition("Accepted", "False", "KeyConflict")]}),
        );
        assert_eq!(standing(&refused), Standing::Failed("KeyConflict: why".into()));
    }

    #[test]
    fn what_heals_by_itself_is_waited_for() {
        let pool = unit(json!({"observedGeneration": 1, "phase": "Pending",
            "conditions": [condition("Accepted", "False", "PoolNotFound"), condition("Ready", "False", "PoolNotFound")]}));
        assert_eq!(standing(&pool), Standing::Waiting(Some("PoolNotFound: why".into())));
        assert_eq!(
            standing(&unit(json!({"observedGeneration": 0, "phase": "Ready"}))),
            Standing::Waiting(None),
            "of an earlier spec"
        );
    }

    #[test]
    fn stages_count_from_the_creation() {
        let unit = unit(json!({"stages": {"accepted": "2026-01-01T00:00:00Z", "podReady": "2026-01-01T00:00:03Z"}}));
        assert_eq!(stages(&unit), [("accepted", Duration::ZERO), ("pod ready", Duration::from_secs(3))]);
    }
}
