//! What the operator has asked of the API server, and what became of it. Only remembers.

use std::time::{Duration, Instant};

use super::call::{Call, Class};

/// What became of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The API server has answered with this status, and the operator was told.
    Answered(u16),
    /// The API server has answered with this status, but the answer was withheld.
    Lost(u16),
    /// The API server was not asked: this status was made up.
    Injected(u16),
    /// The API server was not asked: the connection was closed.
    Refused,
    /// The API server could not be asked.
    Failed(String),
}

impl Outcome {
    /// The status of the answer by the API server.
    #[must_use]
    pub fn answer(&self) -> Option<u16> {
        match self {
            Self::Answered(status) | Self::Lost(status) => Some(*status),
            Self::Injected(_) | Self::Refused | Self::Failed(_) => None,
        }
    }
}

/// One call and its outcome, in the order of the outcomes.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was asked.
    pub call: Call,
    /// What became of it.
    pub outcome: Outcome,
    /// When it was asked.
    pub at: Instant,
    /// How long the API server took for the head of its answer.
    pub took: Duration,
}

/// How many calls of each kind there were. Those that were refused are not among them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Writes of Leases.
    pub lease: u64,
    /// Writes of Events.
    pub event: u64,
    /// All other writes.
    pub object: u64,
    /// Reads of objects and lists, and discovery.
    pub read: u64,
    /// Watches that were begun.
    pub watch: u64,
}

impl Counts {
    /// Counts records.
    pub(super) fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut counts = Self::default();
        for record in records.into_iter().filter(|record| record.outcome != Outcome::Refused) {
            let call = &record.call;
            let count = match call.class() {
                _ if call.is_watch() => &mut counts.watch,
                _ if !call.is_write() => &mut counts.read,
                Class::Lease => &mut counts.lease,
                Class::Event => &mut counts.event,
                Class::Object => &mut counts.object,
            };
            *count += 1;
        }
        counts
    }
}
