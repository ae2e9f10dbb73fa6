//! The lifecycle states of a unit.

use computing_unit_api::{Failure, Reason};
use k8s_openapi::jiff::Timestamp;

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

/// Why a unit is finished.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    pub reason: FinishReason,
    pub message: String,
    /// The failure of the pod, if it is not recorded yet.
    pub failure: Option<Failure>,
}

/// The reasons for which a unit finishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    PodSucceeded,
    PodFailed,
    StartTimeout,
    ShutdownTime,
    MaxAge,
}

impl FinishReason {
    pub const ALL: [Self; 5] =
        [Self::PodSucceeded, Self::PodFailed, Self::StartTimeout, Self::ShutdownTime, Self::MaxAge];

    pub const fn reason(self) -> Reason {
        match self {
            Self::PodSucceeded => Reason::PodSucceeded,
            Self::PodFailed => Reason::PodFailed,
            Self::StartTimeout => Reason::StartTimeout,
            Self::ShutdownTime => Reason::ShutdownTime,
            Self::MaxAge => Reason::MaxAge,
        }
    }

    /// The member whose [`Reason`] has that name.
    pub fn parse(reason: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|member| reason == member.reason())
    }

    /// Whether the unit failed.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::PodFailed | Self::StartTimeout)
    }

    /// Whether a time limit was reached, rather than the pod having ended.
    pub const fn is_time_limit(self) -> bool {
        matches!(self, Self::ShutdownTime | Self::MaxAge)
    }
}

impl UnitState {
    /// Whether the unit should have no pod because it is suspended or finished.
    pub const fn at_rest(&self) -> bool {
        matches!(self, Self::Suspended | Self::Finished(_))
    }
}
