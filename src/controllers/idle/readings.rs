//! What the signals of a unit reported at one time.

use k8s_openapi::jiff::Timestamp;

use super::counters::CountersByProxy;
use crate::metrics::{Signal, UnreadableReason};

/// `None` for a signal that the pool does not use.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    pub gateway: Option<Result<CountersByProxy, Unreadable>>,
    /// Whether the engine is working.
    pub busy: Option<Result<bool, Unreadable>>,
    /// The time in the annotation, if there is one.
    pub annotation: Option<Result<Option<Timestamp>, Unreadable>>,
}

impl Readings {
    /// The signals that could not be read.
    pub fn unreadable(&self) -> impl Iterator<Item = (Signal, &Unreadable)> {
        let gateway = self.gateway.as_ref().and_then(|read| read.as_ref().err());
        let busy = self.busy.as_ref().and_then(|read| read.as_ref().err());
        let annotation = self.annotation.as_ref().and_then(|read| read.as_ref().err());
        let all = [(Signal::Gateway, gateway), (Signal::BusyProbe, busy), (Signal::Annotation, annotation)];
        all.into_iter().filter_map(|(signal, error)| Some((signal, error?)))
    }
}

/// A signal could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    pub reason: UnreadableReason,
    pub message: String,
}

impl Unreadable {
    pub fn new(reason: UnreadableReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The same error, its message preceded by its subject.
    pub fn about(self, subject: &str) -> Self {
        Self { message: format!("{subject} {}", self.message), ..self }
    }
}
