//! How severe the reasons are.

use crate::Reason;

/// Whether a reason needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It is a desired state, or it clears without intervention.
    Normal,
    /// It does not clear without intervention.
    Problem,
}

impl Reason {
    /// How severe the reason is. The status is written at once, and an Event is published, if a condition gets a
    /// [`Severity::Problem`].
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::PodLost
            | Self::Unschedulable
            | Self::StartTimeout
            | Self::ImagePullFailed
            | Self::CrashLoop
            | Self::ContainerRefused
            | Self::VolumeMountFailed
            | Self::VolumeAttachFailed
            | Self::SandboxFailed
            | Self::PodFailed
            | Self::ProbeFailed
            | Self::Infeasible
            | Self::Deferred
            | Self::Error
            | Self::Forbidden
            | Self::SuspendedTooLong
            | Self::ReplacementRefused
            | Self::GatewayApiMissing => Severity::Problem,
            _ => Severity::Normal,
        }
    }
}
