//! Errors that make a reconcile retry.

use kube::core::Status;

use crate::metrics::Outcome;

/// Whether the API server does not have the object, or does not serve its resource.
pub fn not_found(status: &Status) -> bool {
    // For a resource that is not served the API server answers with text, which `Status::is_not_found` does not recognize.
    status.code == 404
}

/// A failure of one reconcile. Neither waiting nor a rejected unit is a failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot write the {resource}: {source}")]
    Write {
        resource: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("the reconcile did not finish within {0:?}: the API server is slow or cannot be reached")]
    Timeout(std::time::Duration),
    #[error("the reconcile did not converge within {rounds} rounds: please report this with the log at level debug")]
    NotConverged { rounds: usize },
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn write(resource: &'static str, source: kube::Error) -> Self {
        Self::Write { resource, source: Box::new(source) }
    }

    /// The outcome for metrics.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Write { source, .. } => Outcome::of(source),
            Self::Timeout(_) => Outcome::Timeout,
            Self::NotConverged { .. } => Outcome::NotConverged,
        }
    }
}
