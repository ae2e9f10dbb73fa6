//! Why a unit is not accepted.

use computing_unit_api::Reason;

/// Why a unit is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub reason: Reason,
    /// What is wrong and what to do, as a sentence for the unit's owner.
    pub message: String,
}

impl Rejection {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// Whether another unit has the routing key.
    pub fn lost_key(&self) -> bool {
        matches!(self.reason, Reason::KeyConflict | Reason::KeyConflictInOtherNamespace)
    }
}
