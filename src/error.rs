//! What makes a reconcile worth another try.

use kube::core::Status;

use crate::metrics::Outcome;

/// Whether the API server does not have what was asked for, be it the object or its whole resource.
#[must_use]
pub fn not_found(status: &Status) -> bool {
    // For a resource that is not served there is no Status but text, which the library's own question does not see.
    status.code == 404
}

/// A failure of one reconcile. Waiting is not a failure, nor is a unit that may not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not take a write.
    #[error("cannot write the {resource}: {source}")]
    Write {
        /// Kind of the object.
        resource: &'static str,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// A patch could not be put together.
    #[error("cannot express a patch: {0}")]
    Patch(#[source] serde_json::Error),
    /// The reconcile took too long.
    #[error("gave up after {0:?}: the API server is slow or cannot be reached")]
    Timeout(std::time::Duration),
}

/// The result of a part of a reconcile.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A write that failed.
    #[must_use]
    pub fn write(resource: &'static str, source: kube::Error) -> Self {
        Self::Write { resource, source: Box::new(source) }
    }

    /// What kind of failure it is, for metrics.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Write { source, .. } => Outcome::of(source),
            Self::Patch(_) => Outcome::Other,
            Self::Timeout(_) => Outcome::Timeout,
        }
    }
}
