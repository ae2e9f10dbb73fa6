//! The last writes of an operator, and what became of them. It counts nothing, and only remembers.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::call::Call;

/// How many writes are remembered.
const KEPT: usize = 256;
/// How many characters of a body are printed.
const SHOWN: usize = 600;

/// What became of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The API server has answered with this status, which was passed on to the operator.
    Answered(u16),
    /// The API server has answered with this status, but the answer was withheld.
    Lost(u16),
    /// The call was not passed on: the proxy has answered with this status.
    Injected(u16),
    /// The call was not passed on: the connection was closed.
    Refused,
    /// The API server could not be reached.
    Failed(String),
}

/// One write and its outcome.
#[derive(Clone, Debug)]
pub struct Record {
    /// The call.
    pub call: Call,
    /// What was sent.
    pub body: Bytes,
    /// What became of it.
    pub outcome: Outcome,
    /// The time of the call.
    pub at: Instant,
    /// How long it took to the head of the answer.
    pub took: Duration,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(SHOWN).collect();
        write!(f, "{}: {:?} in {:.1?}: {body}", self.call, self.outcome, self.took)
    }
}

/// The last writes, in the order of their outcomes.
#[derive(Debug, Default)]
pub(super) struct Records(VecDeque<Record>);

impl Records {
    /// Remembers one more, and forgets the oldest if there are too many.
    pub(super) fn push(&mut self, record: Record) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(record);
    }

    /// All that are remembered.
    pub(super) fn all(&self) -> Vec<Record> {
        self.0.iter().cloned().collect()
    }
}
