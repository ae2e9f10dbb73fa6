//! How often answers of a kind came, when, of whom, and the first few of them whole. It judges none.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::answer::{Answer, By};

/// How many answers of a kind are kept whole.
pub(super) const KEPT: usize = 5;
/// How many characters of a body are printed.
const SHOWN: usize = 200;

/// An answer that was kept for diagnosis.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When the answer was complete, from the start of the hammering.
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

/// All answers of one kind.
#[derive(Clone, Debug)]
pub struct Tally {
    /// How many there were.
    pub count: u64,
    /// When the first was complete, from the start of the hammering.
    pub first: Duration,
    /// When the last was complete, from the start of the hammering.
    pub last: Duration,
    /// How many there were of each unit, and of none.
    pub by: BTreeMap<By, u64>,
    /// The first few of them.
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

    /// Adds what was counted elsewhere.
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
