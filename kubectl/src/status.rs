//! Reading of a unit's status.

use computing_unit_api::{ComputingUnit, ConditionType, Conditions};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Whether the status is of the current generation.
pub fn is_current(unit: &ComputingUnit) -> bool {
    let seen = unit.status.as_ref().and_then(|status| status.observed_generation);
    seen.zip(unit.metadata.generation).is_none_or(|(seen, now)| seen >= now)
}

/// The condition of that type, if it is of the current generation.
pub fn condition(unit: &ComputingUnit, type_: ConditionType) -> Option<&Condition> {
    let condition = unit.status.as_ref()?.conditions.find(type_)?;
    let current = condition.observed_generation.zip(unit.metadata.generation).is_none_or(|(seen, now)| seen >= now);
    current.then_some(condition)
}

/// `Ready`, or the condition that explains its absence, if it is of the current generation.
pub fn summary(unit: &ComputingUnit) -> Option<&Condition> {
    condition(unit, ConditionType::parse(&unit.status.as_ref()?.conditions.summary()?.type_)?)
}

/// Reason and message of a condition. For `Ready`, those of the condition that explains its absence.
pub fn reason_and_message(unit: &ComputingUnit, type_: ConditionType) -> String {
    let found = if type_ == ConditionType::Ready { summary(unit) } else { condition(unit, type_) };
    found.map_or_else(
        || "no reason reported".to_owned(),
        |condition| format!("{}: {}", condition.reason, one_line(&condition.message)),
    )
}

/// Removes line breaks and control characters, which messages of other components may have.
pub fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}
