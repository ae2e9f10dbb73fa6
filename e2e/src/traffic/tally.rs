//! Statistics of the responses of one kind: number, times, senders, and the first few in full.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::answer::{Answer, By};

/// The number of responses that are kept in full.
pub(super) const KEPT: usize = 5;
/// The number of characters of a body that are printed.
const SHOWN: usize = 200;

/// A response that is kept for diagnosis.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When the response was complete, relative to the start of the load.
    pub at: Duration,
    /// The answer.
    pub answer: Answer,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, answer } = self;
        write!(f, "at {at:.3?}, after {:.1?}: {} {:?}", answer.took, answer.status, answer.start(SHOWN))?;
        for (name, value) in &answer.headers {
            write!(f, "\n    {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        Ok(())
    }
}

/// The responses of one kind.
#[derive(Clone, Debug)]
pub struct Tally {
    /// The number of responses.
    pub count: u64,
    /// When the first response was complete, relative to the start of the load.
    pub first: Duration,
    /// When the last response was complete, relative to the start of the load.
    pub last: Duration,
    /// The number of responses by sender.
    pub by: BTreeMap<By, u64>,
    /// The first few responses.
    pub samples: Vec<Sample>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { count: 0, first: Duration::MAX, last: Duration::ZERO, by: BTreeMap::new(), samples: Vec::new() }
    }
}

impl Tally {
    /// Counts one answer.
    pub(super) fn add(&mut self, at: Duration, answer: &Answer) {
        self.count += 1;
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        *self.by.entry(answer.by()).or_default() += 1;
        if self.samples.len() < KEPT {
            self.samples.push(Sample { at, answer: answer.clone() });
        }
    }

    /// Adds the counts of another tally.
    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        other.by.into_iter().for_each(|(by, count)| *self.by.entry(by).or_default() += count);
        self.samples.extend(other.samples);
        self.samples.sort_by_key(|sample| sample.at);
        self.samples.truncate(KEPT);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.count)?;
        if self.count > 0 {
            write!(f, " from {:.3?} to {:.3?}", self.first, self.last)?;
        }
        self.by.iter().try_for_each(|(by, count)| write!(f, ", {count} by {by}"))
    }
}
