//! The lifecycle states of a unit.

use computing_unit_api::Failure;
use k8s_openapi::jiff::Timestamp;

use super::finish::Finish;

/// The lifecycle state of a unit.
#[derive(Clone, Debug, PartialEq)]
pub enum UnitState {
    /// The unit should have a pod.
    Running,
    /// Something happened that the status does not record yet. Nothing is created or deleted before it does.
    Unrecorded(Transition),
    /// The pod has terminated, or did not start in time, and this is recorded: it is deleted next.
    PodTerminated,
    /// The pod is lost. The next one is created at that time.
    AwaitingRestart(Timestamp),
    /// `spec.operatingMode` is `Suspended`: the unit should have no pod.
    Suspended,
    /// The unit should have no pod until it is edited.
    Finished(Finish),
    /// The unit is being deleted.
    Terminating,
}

/// A transition that the status does not record yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// The pod is lost and will be recreated.
    PodLost(Failure),
    /// The unit is finished.
    Finished(Finish),
}

impl UnitState {
    /// Whether the unit should have no pod because it is suspended or finished.
    pub const fn at_rest(&self) -> bool {
        matches!(self, Self::Suspended | Self::Finished(_))
    }
}
