//! Why a unit may not run: a reason from a closed set, and a sentence that says what to do.

/// Why a unit may not run. `reason` is the condition's, from a closed set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Reason of the condition.
    pub reason: &'static str,
    /// What is wrong and what to do, as a sentence.
    pub message: String,
}

impl Rejection {
    /// A rejection.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Reasons for which a unit is not accepted.
pub mod reasons {
    /// No pool of that name in the unit's namespace.
    pub const POOL_NOT_FOUND: &str = "PoolNotFound";
    /// The pool's routing overlaps an older pool's.
    pub const POOL_NOT_ACCEPTED: &str = "PoolNotAccepted";
    /// The image is not one of the pool's.
    pub const IMAGE_NOT_OFFERED: &str = "ImageNotOffered";
    /// A Secret or ConfigMap that the pool does not name.
    pub const REFERENCE_NOT_ALLOWED: &str = "ReferenceNotAllowed";
    /// More than the pool or the unit's own limits allow.
    pub const LIMIT_EXCEEDED: &str = "LimitExceeded";
    /// An older unit of the same namespace has the key.
    pub const KEY_CONFLICT: &str = "KeyConflict";
    /// A unit of another namespace has the key, or had it when this unit asked.
    pub const KEY_CONFLICT_ELSEWHERE: &str = "KeyConflictElsewhere";
    /// A child's name is taken by an object of somebody else.
    pub const CHILD_NOT_OWNED: &str = "ChildNotOwned";
    /// The API server refuses a child as it would have to be.
    pub const CHILD_REFUSED: &str = "ChildRefused";
}
