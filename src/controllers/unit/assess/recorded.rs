//! What the status of a unit records.

use computing_unit_api::{ComputingUnitStatus, ConditionType, Conditions};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};

use crate::controllers::unit::snapshot::Snapshot;

pub(super) fn status(snapshot: &Snapshot) -> Option<&ComputingUnitStatus> {
    snapshot.unit.status.as_ref()
}

pub(super) fn condition(snapshot: &Snapshot, type_: ConditionType) -> Option<&Condition> {
    status(snapshot)?.conditions.find(type_)
}

/// The recorded condition `Finished`, of any generation.
pub(super) fn recorded_finish(snapshot: &Snapshot) -> Option<&Condition> {
    status(snapshot)?.conditions.holding(ConditionType::Finished)
}

/// When the next pod is created, if that is in the future.
pub(super) fn restart_at(snapshot: &Snapshot) -> Option<Timestamp> {
    let next = status(snapshot)?.restarts.as_ref()?.next.as_ref()?.0;
    (next > snapshot.now).then_some(next)
}

/// Whether the status records that the operator stopped the pod. Such a pod is not lost.
pub(super) fn stopped_by_operator(snapshot: &Snapshot) -> bool {
    let stops = [ConditionType::Suspended, ConditionType::Replacing];
    stops.iter().any(|type_| condition(snapshot, *type_).is_some()) || recorded_finish(snapshot).is_some()
}
