//! The last writes of an operator and their outcomes.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::call::Call;

/// The number of writes that are kept.
const KEPT: usize = 256;
/// The number of characters of a body that are printed.
const SHOWN: usize = 600;

/// The outcome of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The API server answered with this status, and the response was forwarded to the operator.
    Answered(u16),
    /// The API server answered with this status, but the response was dropped.
    Lost(u16),
    /// The call was not forwarded: the proxy answered with this status.
    Injected(u16),
    /// The call was not forwarded: the connection was closed.
    Refused,
    /// The API server could not be reached.
    Failed(String),
}

/// One write and its outcome.
#[derive(Clone, Debug)]
pub struct Record {
    /// The call.
    pub call: Call,
    /// The body of the request.
    pub body: Bytes,
    /// The outcome.
    pub outcome: Outcome,
    /// The time of the call.
    pub at: Instant,
    /// The time until the head of the response.
    pub took: Duration,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(SHOWN).collect();
        write!(f, "{}: {:?} in {:.1?}: {body}", self.call, self.outcome, self.took)
    }
}

/// The last writes, in the order of completion.
#[derive(Debug, Default)]
pub(super) struct Records(VecDeque<Record>);

impl Records {
    /// Adds a record, and drops the oldest one if there are too many.
    pub(super) fn push(&mut self, record: Record) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(record);
    }

    /// All records.
    pub(super) fn all(&self) -> Vec<Record> {
        self.0.iter().cloned().collect()
    }
}
