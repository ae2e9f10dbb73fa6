//! The report of a load.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::answer::Answer;
use super::connection::Failure;
use super::latency::Latency;
use super::tally::{KEPT, Tally};

/// The report of a load.
#[derive(Clone, Debug)]
pub struct Report {
    /// The start time, which all other times are relative to.
    pub started: Instant,
    /// The duration.
    pub lasted: Duration,
    /// The responses by status code.
    pub statuses: BTreeMap<u16, Tally>,
    /// The responses of a unit other than the expected one, with any status.
    pub misrouted: Tally,
    /// The number of requests without a response.
    pub failed: u64,
    /// The times and reasons of the first few of them.
    pub failures: Vec<(Duration, String)>,
    /// The number of retries because a reused connection had just been closed. Users do not notice these.
    pub retried: u64,
    /// The latencies.
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

    /// Adds the report of another connection of the same load.
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

    /// The number of responses, with any status.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.statuses.values().map(|tally| tally.count).sum()
    }

    /// The number of responses with `status`.
    #[must_use]
    pub fn count(&self, status: u16) -> u64 {
        self.statuses.get(&status).map_or(0, |tally| tally.count)
    }

    /// The number of responses with a status of 500 or above.
    #[must_use]
    pub fn server_errors(&self) -> u64 {
        self.statuses.range(500..).map(|(_, tally)| tally.count).sum()
    }

    /// The time of the first response with `status`.
    #[must_use]
    pub fn first(&self, status: u16) -> Option<Duration> {
        self.statuses.get(&status).map(|tally| tally.first)
    }

    /// The time of the last response with `status`.
    #[must_use]
    pub fn last(&self, status: u16) -> Option<Duration> {
        self.statuses.get(&status).map(|tally| tally.last)
    }

    /// Checks that there was at least one request, and that every request was answered with one of these statuses and
    /// not by an unexpected unit.
    ///
    /// # Errors
    /// The report and the unexpected responses.
    pub fn assert_only(&self, allowed: &[u16]) -> anyhow::Result<()> {
        let forbidden: u64 =
            self.statuses.iter().filter(|(status, _)| !allowed.contains(status)).map(|(_, tally)| tally.count).sum();
        let clean = forbidden == 0 && self.misrouted.count == 0 && self.failed == 0;
        ensure!(clean, "expected only {allowed:?}, from the expected unit\n{}", self.diagnosis(allowed));
        ensure!(self.answers() > 0, "no request was sent");
        Ok(())
    }

    /// Like [`Self::assert_only`], and checks that each of the statuses occurred.
    ///
    /// # Errors
    /// The report and the unexpected responses.
    pub fn assert_all_of(&self, expected: &[u16]) -> anyhow::Result<()> {
        self.assert_only(expected)?;
        let absent: Vec<_> = expected.iter().filter(|status| self.count(**status) == 0).collect();
        ensure!(absent.is_empty(), "{absent:?} did not occur\n{self}");
        Ok(())
    }

    /// Like [`Self::assert_all_of`], and checks that no `before` was later than `overlap` after the first `after`.
    ///
    /// The overlap allows for several proxies, and for responses in flight on other connections.
    ///
    /// # Errors
    /// The report and the unexpected responses.
    pub fn assert_switched(&self, before: u16, after: u16, overlap: Duration) -> anyhow::Result<()> {
        self.assert_all_of(&[before, after])?;
        let (last, first) = (self.last(before).unwrap_or_default(), self.first(after).unwrap_or_default());
        ensure!(
            last <= first + overlap,
            "{before} occurred {:?} after the first {after}\n{self}",
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
        write!(f, "{} responses in {:.1?}", self.answers(), self.lasted)?;
        for (status, tally) in &self.statuses {
            write!(f, "\n  {status}: {tally}")?;
        }
        write!(f, "\n  of another unit: {}", self.misrouted)?;
        write!(f, "\n  no response: {}, retried: {}", self.failed, self.retried)?;
        write!(
            f,
            "\n  latency: {:.1?} median, {:.1?} p99, {:.1?} maximum",
            self.latency.median(),
            self.latency.p99(),
            self.latency.longest()
        )
    }
}
