//! What a hammering saw, and the words for it. It sends nothing.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::answer::Answer;
use super::connection::Failure;
use super::latency::Latency;
use super::tally::{KEPT, Tally};

/// What a hammering saw.
#[derive(Clone, Debug)]
pub struct Report {
    /// When it started: the zero of every other time here.
    pub started: Instant,
    /// How long it lasted.
    pub lasted: Duration,
    /// The answers by status code.
    pub statuses: BTreeMap<u16, Tally>,
    /// The answers of another unit than the expected one, whatever the status.
    pub misrouted: Tally,
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
            misrouted: Tally::default(),
            failed: 0,
            failures: Vec::new(),
            retried: 0,
            latency: Latency::default(),
        }
    }

    pub(super) fn answered(&mut self, answer: &Answer, misrouted: bool) {
        let at = self.started.elapsed();
        self.latency.record(answer.took);
        self.statuses.entry(answer.status.as_u16()).or_default().add(at, answer);
        if misrouted {
            self.misrouted.add(at, answer);
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
            self.statuses.entry(status).or_default().merge(theirs);
        }
        self.misrouted.merge(other.misrouted);
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

    /// How many requests were answered with a status of 500 or more.
    #[must_use]
    pub fn server_errors(&self) -> u64 {
        self.statuses.range(500..).map(|(_, tally)| tally.count).sum()
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

    /// Every request was answered, by the right unit if by any, and with one of these statuses; and there was one at all.
    ///
    /// # Errors
    /// The whole report and the offending answers.
    pub fn assert_only(&self, allowed: &[u16]) -> anyhow::Result<()> {
        let forbidden: u64 =
            self.statuses.iter().filter(|(status, _)| !allowed.contains(status)).map(|(_, tally)| tally.count).sum();
        let clean = forbidden == 0 && self.misrouted.count == 0 && self.failed == 0;
        ensure!(clean, "only {allowed:?} were expected, of the right unit\n{}", self.diagnosis(allowed));
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
        let offending = self.statuses.iter().filter(|(status, _)| !allowed.contains(status)).map(|(_, tally)| tally);
        for sample in offending.chain([&self.misrouted]).flat_map(|tally| &tally.samples) {
            let _ = write!(text, "\n  {sample}");
        }
        for (at, failure) in &self.failures {
            let _ = write!(text, "\n  at {at:.3?}: {failure}");
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answers in {:.1?}", self.answers(), self.lasted)?;
        for (status, tally) in &self.statuses {
            write!(f, "\n  {status}: {tally}")?;
        }
        write!(f, "\n  of another unit: {}", self.misrouted)?;
        write!(f, "\n  no answer: {}, sent again: {}", self.failed, self.retried)?;
        write!(
            f,
            "\n  latency: {:.1?} median, {:.1?} p99, {:.1?} longest",
            self.latency.median(),
            self.latency.p99(),
            self.latency.longest()
        )
    }
}
