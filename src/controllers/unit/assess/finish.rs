//! Why a unit finishes. A new reason goes here, and into the reasons of the API.

use computing_unit_api::{Failure, Reason};

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
