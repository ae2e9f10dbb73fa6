//! A condition without its transition time, which depends on the condition that it replaces.

use computing_unit_api::{ConditionStatus, ConditionType, Conditions, Reason};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

/// The reason of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReasonText {
    /// One of the operator's own.
    Own(Reason),
    /// The reason that another component gives, such as the Gateway's controller or the kubelet.
    Reported(String),
}

impl ReasonText {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Own(reason) => reason.as_str(),
            Self::Reported(reason) => reason,
        }
    }
}

impl From<Reason> for ReasonText {
    fn from(reason: Reason) -> Self {
        Self::Own(reason)
    }
}

impl PartialEq<Reason> for ReasonText {
    fn eq(&self, other: &Reason) -> bool {
        *self == Self::Own(*other)
    }
}

/// A condition without its transition time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub type_: ConditionType,
    pub status: ConditionStatus,
    pub reason: ReasonText,
    pub message: String,
}

impl Draft {
    pub fn new(
        type_: ConditionType,
        status: ConditionStatus,
        reason: impl Into<ReasonText>,
        message: impl Into<String>,
    ) -> Self {
        Self { type_, status, reason: reason.into(), message: message.into() }
    }

    pub fn yes(type_: ConditionType, reason: impl Into<ReasonText>, message: impl Into<String>) -> Self {
        Self::new(type_, ConditionStatus::True, reason, message)
    }

    pub fn no(type_: ConditionType, reason: impl Into<ReasonText>, message: impl Into<String>) -> Self {
        Self::new(type_, ConditionStatus::False, reason, message)
    }

    pub fn unknown(type_: ConditionType, reason: impl Into<ReasonText>, message: impl Into<String>) -> Self {
        Self::new(type_, ConditionStatus::Unknown, reason, message)
    }

    pub fn holds(&self) -> bool {
        self.status == ConditionStatus::True
    }

    /// The condition, with the transition time of the one that it replaces if the status is the same.
    pub fn dated(&self, previous: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
        let unchanged = previous.find(self.type_).filter(|condition| condition.status == self.status);
        Condition {
            type_: self.type_.to_string(),
            status: self.status.to_string(),
            reason: self.reason.as_str().to_owned(),
            message: self.message.clone(),
            observed_generation: generation,
            last_transition_time: unchanged.map_or(Time(now), |condition| condition.last_transition_time.clone()),
        }
    }
}
