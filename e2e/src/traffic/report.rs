//! What a hammering saw, and the words for it. It sends nothing.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::answer::Answer;
use super::connection::Failure;
use super::latency::Latency;

/// How many answers of a kind are kept whole.
const KEPT: usize = 5;
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

/// All answers of one status code.
#[derive(Clone, Debug)]
pub struct Tally {
    /// How many there were.
    pub count: u64,
    /// When the first was complete, from the start of the hammering.
    pub first: Duration,
    /// When the last was complete, from the start of the hammering.
    pub last: Duration,
    /// The first few of them.
    pub samples: Vec<Sample>,
}

/// What a hammering saw.
#[derive(Clone, Debug)]
pub struct Report {
    /// When it started: the zero of every other time here.
    pub started: Instant,
    /// How long it lasted.
    pub lasted: Duration,
    /// The answers by status code.
    pub statuses: BTreeMap<u16, Tally>,
    /// How many answers were by another engine than the expected one.
    pub misrouted: u64,
    /// The first few of those.
    pub misrouted_samples: Vec<Sample>,
    /// How many requests got no answer.
    pub failed: u64,
    /// The first few of those: when, and why.
    pub failures: Vec<(Duration, String)>,
    /// How many requests were sent again because a reused connection had just been closed. No user sees these.
    pub retried: u64,
    /// How long the answers took.
    pub latency: Latency,
}

impl Report {
    pub(super) fn new(started: Instant) -> Self {
        Self {
            started,
            lasted: Duration::ZERO,
            statuses: BTreeMap::new(),
            misrouted: 0,
            misrouted_samples: Vec::new(),
            failed: 0,
            failures: Vec::new(),
            retried: 0,
            latency: Latency::default(),
        }
    }

    pub(super) fn answered(&mut self, answer: Answer, misrouted: bool) {
        let at = self.started.elapsed();
        self.latency.record(answer.took);
        let tally = self.statuses.entry(answer.status.as_u16()).or_insert(Tally {
            count: 0,
            first: at,
            last: at,
            samples: Vec::new(),
        });
        tally.count += 1;
        tally.last = at;
        if misrouted {
            self.misrouted += 1;
            if self.misrouted_samples.len() < KEPT {
                self.misrouted_samples.push(Sample { at, answer: answer.clone() });
            }
        }
        if tally.samples.len() < KEPT {
            tally.samples.push(Sample { at, answer });
        }
    }

    pub(super) fn failed(&mut self, failure: &Failure) {
        self.failed += 1;
        if self.failures.len() < KEPT {
            self.failures.push((self.started.elapsed(), failure.to_string()));
        }
    }

    pub(super) fn retried(&mut self) {
        self.retried += 1;
    }

    /// Adds what another connection of the same hammering saw.
    pub(super) fn merge(&mut self, other: Self) {
        self.lasted = self.lasted.max(other.lasted);
        for (status, theirs) in other.statuses {
            let Some(mine) = self.statuses.get_mut(&status) else {
                self.statuses.insert(status, theirs);
                continue;
            };
            mine.count += theirs.count;
            mine.first = mine.first.min(theirs.first);
            mine.last = mine.last.max(theirs.last);
            merge_samples(&mut mine.samples, theirs.samples);
        }
        self.misrouted += other.misrouted;
        merge_samples(&mut self.misrouted_samples, other.misrouted_samples);
        self.failed += other.failed;
        self.failures.extend(other.failures);
        self.failures.sort_unstable();
        self.failures.truncate(KEPT);
        self.retried += other.retried;
        self.latency.merge(&other.latency);
    }

    /// How many requests were answered, whatever the status.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.statuses.values().map(|tally| tally.count).sum()
    }

    /// How many requests were answered with `status`.
    #[must_use]
    pub fn count(&self, status: u16) -> u64 {
        self.statuses.get(&status).map_or(0, |tally| tally.count)
    }

    /// When `status` was first seen, from the start.
    #[must_use]
    pub fn first(&self, status: u16) -> Option<Duration> {
        self.statuses.get(&status).map(|tally| tally.first)
    }

    /// When `status` was last seen, from the start.
    #[must_use]
    pub fn last(&self, status: u16) -> Option<Duration> {
        self.statuses.get(&status).map(|tally| tally.last)
    }

    /// Every request was answered, by the right engine, and with one of these statuses; and there was one at all.
    ///
    /// # Errors
    /// The whole report and the offending answers.
    pub fn assert_only(&self, allowed: &[u16]) -> anyhow::Result<()> {
        let forbidden: u64 =
            self.statuses.iter().filter(|(status, _)| !allowed.contains(status)).map(|(_, tally)| tally.count).sum();
        let clean = forbidden == 0 && self.misrouted == 0 && self.failed == 0;
        ensure!(clean, "only {allowed:?} were expected of the right engine\n{}", self.diagnosis(allowed));
        ensure!(self.answers() > 0, "nothing was asked, so nothing is shown");
        Ok(())
    }

    /// As [`Self::assert_only`], and each of the statuses was seen.
    ///
    /// # Errors
    /// The whole report and the offending answers.
    pub fn assert_all_of(&self, expected: &[u16]) -> anyhow::Result<()> {
        self.assert_only(expected)?;
        let absent: Vec<_> = expected.iter().filter(|status| self.count(**status) == 0).collect();
        ensure!(absent.is_empty(), "{absent:?} never seen\n{self}");
        Ok(())
    }

    /// As [`Self::assert_all_of`], and no `before` came later than `overlap` after the first `after`.
    ///
    /// The overlap allows for several proxies, and for answers on their way on other connections.
    ///
    /// # Errors
    /// The whole report and the offending answers.
    pub fn assert_switched(&self, before: u16, after: u16, overlap: Duration) -> anyhow::Result<()> {
        self.assert_all_of(&[before, after])?;
        let (last, first) = (self.last(before).unwrap_or_default(), self.first(after).unwrap_or_default());
        ensure!(
            last <= first + overlap,
            "{before} came back {:?} after the first {after}\n{self}",
            last.saturating_sub(first)
        );
        Ok(())
    }

    fn diagnosis(&self, allowed: &[u16]) -> String {
        let mut text = self.to_string();
        let offending = self.statuses.iter().filter(|(status, _)| !allowed.contains(status));
        for (status, tally) in offending {
            let _ = write!(text, "\nfirst answers with {status}:");
            tally.samples.iter().for_each(|sample| describe(&mut text, sample));
        }
        if self.misrouted > 0 {
            text.push_str("\nfirst answers by another engine:");
            self.misrouted_samples.iter().for_each(|sample| describe(&mut text, sample));
        }
        for (at, failure) in &self.failures {
            let _ = write!(text, "\n  at {at:.3?}: {failure}");
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantile = |permille| self.latency.permille(permille);
        write!(f, "{} answers in {:.1?}", self.answers(), self.lasted)?;
        for (status, tally) in &self.statuses {
            write!(f, "\n  {status}: {} from {:.3?} to {:.3?}", tally.count, tally.first, tally.last)?;
        }
        write!(f, "\n  no answer: {}, wrong engine: {}, sent again: {}", self.failed, self.misrouted, self.retried)?;
        write!(
            f,
            "\n  latency: {:.1?} median, {:.1?} p99, {:.1?} longest",
            quantile(500),
            quantile(990),
            self.latency.longest()
        )
    }
}

fn merge_samples(mine: &mut Vec<Sample>, theirs: Vec<Sample>) {
    mine.extend(theirs);
    mine.sort_by_key(|sample| sample.at);
    mine.truncate(KEPT);
}

fn describe(text: &mut String, Sample { at, answer }: &Sample) {
    let _ = write!(text, "\n  at {at:.3?}, after {:.1?}: {} {:?}", answer.took, answer.status, answer.start(SHOWN));
    for (name, value) in &answer.headers {
        let _ = write!(text, "\n    {name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
}
