//! What the signals of a unit reported at one time.

use k8s_openapi::jiff::Timestamp;

use super::{counters::CountersByProxy, expression::Report};
use crate::metrics::{Signal, UnreadableReason};

/// `None`, or empty, for a signal that the pool does not use.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    pub gateway: Option<Result<CountersByProxy, Unreadable>>,
    /// What the engine reports, in the order of the pool's probes.
    pub busy: Vec<Result<Report, Unreadable>>,
    /// The time in the annotation, if there is one.
    pub annotation: Option<Result<Option<Timestamp>, Unreadable>>,
}

impl Readings {
    /// The signals that could not be read.
    pub fn unreadable(&self) -> impl Iterator<Item = (Signal, &Unreadable)> {
        let gateway = self.gateway.as_ref().and_then(|read| read.as_ref().err());
        let annotation = self.annotation.as_ref().and_then(|read| read.as_ref().err());
        let busy = self.busy.iter().filter_map(|read| Some((Signal::BusyProbe, read.as_ref().err()?)));
        let gateway = gateway.map(|error| (Signal::Gateway, error));
        let annotation = annotation.map(|error| (Signal::Annotation, error));
        gateway.into_iter().chain(busy).chain(annotation)
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
