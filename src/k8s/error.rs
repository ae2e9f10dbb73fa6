//! Errors that make a reconcile retry.

use kube::core::Status;

use super::no_response::NoResponse;
use crate::metrics::Outcome;

/// Whether the API server does not have the object, or does not serve its resource.
pub fn not_found(status: &Status) -> bool {
    // For a resource that is not served the API server answers with text, which `Status::is_not_found` does not recognize.
    status.code == 404
}

/// Whether the API server creates nothing in a namespace, because the namespace is being deleted.
pub fn namespace_terminating(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.is_forbidden() && causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// Whether a `test` of a JSON patch failed: the object is not the one that the patch is for. The API server responds like
/// this to no object that it finds invalid.
fn failed_test(status: &Status) -> bool {
    status.code == 422 && status.message.starts_with("the server rejected our request due to an error in our request")
}

/// Whether a retry is all that such an error needs: somebody else changed the object, or the API server is busy.
pub fn contended(status: &Status) -> bool {
    status.is_conflict() || status.code == 429 || failed_test(status)
}

/// The API server's words, or what became of the request.
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}

/// Whether an error usually clears within a moment.
pub fn brief(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => contended(status),
        error => !no_response(error),
    }
}

/// Whether the API server did not respond in time.
pub fn no_response(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Service(error) if error.is::<NoResponse>())
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
    #[error("cannot read the {resource}: {source}")]
    Read {
        resource: String,
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
            Self::Write { source, .. } => match source.as_ref() {
                kube::Error::Api(status) if failed_test(status) => Outcome::Conflict,
                error if no_response(error) => Outcome::Timeout,
                error => Outcome::of(error),
            },
            Self::Read { source, .. } => Outcome::of(source),
            Self::Timeout(_) => Outcome::Timeout,
            Self::NotConverged { .. } => Outcome::NotConverged,
        }
    }
}
