//! What the signals said at one time. Nothing is concluded here.

use std::fmt;

use k8s_openapi::jiff::Timestamp;

use super::counters::Count;
use crate::metrics::{Signal, Unread};

/// What each signal of a unit's pool said; `None` for one that the pool does not have.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// What each proxy of the gateway has counted for the unit.
    pub gateway: Option<Result<Vec<(String, Count)>, Unreadable>>,
    /// Whether the engine says that it is at work.
    pub busy: Option<Result<bool, Unreadable>>,
    /// The time in the annotation, where there is one.
    pub annotation: Option<Result<Option<Timestamp>, Unreadable>>,
}

impl Readings {
    /// What could not be read, of each signal.
    pub fn unreadable(&self) -> impl Iterator<Item = (Signal, &Unreadable)> {
        let gateway = self.gateway.as_ref().and_then(|read| read.as_ref().err());
        let busy = self.busy.as_ref().and_then(|read| read.as_ref().err());
        let annotation = self.annotation.as_ref().and_then(|read| read.as_ref().err());
        let all = [(Signal::Gateway, gateway), (Signal::BusyProbe, busy), (Signal::Annotation, annotation)];
        all.into_iter().filter_map(|(signal, why)| Some((signal, why?)))
    }
}

/// Why a signal says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Unreadable {
    /// In one word, for metrics.
    pub reason: Unread,
    /// In words.
    pub message: String,
}

impl Unreadable {
    /// A signal that says nothing.
    pub fn new(reason: Unread, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The same, of somebody.
    pub fn of(self, whom: &str) -> Self {
        Self { message: format!("{whom} {}", self.message), ..self }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
