//! What is known of the use of one unit's pod, and what follows from it.
//!
//! Pure. What has passed is told by the clock that only runs on; the one on the wall is for what is published.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use computing_unit_api::Activity;
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use tokio::time::Instant;

use super::{
    clock::{Clock, Now},
    counters::{Between, Count, between},
    readings::Readings,
    terms::Terms,
};
use crate::metrics::{Signal, Unread};

/// Source: the unit was started.
pub(super) const START: &str = "Start";
/// Source: a request.
pub(super) const REQUEST: &str = "Request";
/// Source: bytes of open connections.
pub(super) const TRAFFIC: &str = "Traffic";
/// Source: the engine says that it is at work.
pub(super) const BUSY_PROBE: &str = "BusyProbe";
/// Source: the annotation.
pub(super) const ANNOTATION: &str = "Annotation";
/// How long a signal may go unread, beside a few intervals, before that time counts as use.
const UNREAD: Duration = Duration::from_secs(30);
/// How long news of what can be read waits at most after other news.
const NEWS: Duration = Duration::from_mins(1);

/// What is to be done after a reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It was idle for as long as it may be.
    pub due: bool,
    /// It will be due so soon, and nobody was told yet.
    pub soon: bool,
    /// There is something new to publish.
    pub news: bool,
}

/// What is known of one pod's use.
#[derive(Debug)]
pub struct Entry {
    /// UID of the pod.
    pub pod: String,
    clock: Clock,
    grace_end: Instant,
    last: Timestamp,
    source: String,
    /// Since when all signals have said that the unit is not in use.
    quiet: Instant,
    read: Option<Instant>,
    proxies: Option<HashMap<String, (Count, Instant)>>,
    annotation: Option<Timestamp>,
    /// The `quiet` of which it was told that the end comes soon.
    told: Option<Instant>,
    published: Option<Activity>,
    /// When; `None` where another process did it.
    published_at: Option<Instant>,
    shown: BTreeSet<(Signal, Unread)>,
}

impl Entry {
    /// Of a pod that began to run at `started`. `before` is what was published of it, by another process perhaps: that
    /// says when it was last in use, but not that it was idle since.
    pub fn new(pod: String, started: Timestamp, before: Option<&Activity>, terms: &Terms, now: Now) -> Self {
        let earlier = before.and_then(|before| Some((before.last.as_ref()?.0, before.source.clone()?)));
        let earlier = earlier.filter(|(last, _)| *last >= started);
        let (last, source) = earlier.unwrap_or((started, START.to_owned()));
        Self {
            pod,
            clock: Clock::new(now),
            grace_end: now.moment(started).map_or(now.running, |began| began + terms.grace),
            last,
            source,
            quiet: now.running,
            read: None,
            proxies: None,
            annotation: None,
            told: None,
            published: before.cloned(),
            published_at: None,
            shown: BTreeSet::new(),
        }
    }

    /// What was published last.
    pub fn published(&self) -> Option<&Activity> {
        self.published.as_ref()
    }

    /// Since when it has been idle, on the wall.
    pub fn idle_since(&self) -> Timestamp {
        whole(self.clock.wall(self.quiet))
    }

    /// When it is stopped unless it is used, on the wall.
    pub fn idle_at(&self, terms: &Terms) -> Timestamp {
        whole(self.clock.wall(self.deadline(terms)))
    }

    /// What told of the last use.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Takes what the signals said.
    pub fn take(&mut self, readings: &Readings, terms: &Terms, now: Now) -> Verdict {
        self.clock.look(now);
        let missed = self.read.is_none_or(|read| now.running - read > terms.interval * 3 + UNREAD);
        let unread: BTreeSet<(Signal, Unread)> =
            readings.unreadable().map(|(signal, why)| (signal, why.reason)).collect();
        if missed || !unread.is_empty() {
            self.quiet = now.running;
        }
        self.read = Some(now.running);
        if let Some(Ok(counts)) = &readings.gateway
            && let Some(source) = self.count(counts, terms, now.running)
        {
            self.used(source, now.running);
        }
        if matches!(readings.busy, Some(Ok(true))) {
            self.used(BUSY_PROBE, now.running);
        }
        if let Some(Ok(Some(time))) = readings.annotation
            && self.annotation != Some(time)
        {
            self.annotation = Some(time);
            let time = time.min(now.wall);
            if time > self.last {
                self.last = time;
                ANNOTATION.clone_into(&mut self.source);
            }
            // What is too long ago to be told is no use.
            self.quiet = self.quiet.max(now.moment(time).unwrap_or(self.quiet));
        }
        let readable = unread.is_empty();
        let deadline = self.deadline(terms);
        let due = readable && now.running >= deadline;
        let near = readable && deadline.saturating_duration_since(now.running) <= terms.soon();
        let soon = near && self.told != Some(self.quiet);
        if soon {
            self.told = Some(self.quiet);
        }
        Verdict { due, soon: soon && !due, news: self.publish(readings, unread, terms, now) }
    }

    fn deadline(&self, terms: &Terms) -> Instant {
        (self.quiet + terms.timeout).max(self.grace_end)
    }

    fn used(&mut self, source: &str, now: Instant) {
        self.quiet = now;
        self.last = self.clock.wall(now);
        source.clone_into(&mut self.source);
    }

    /// What the proxies have counted since they were last read. The first counts say nothing of when. What a proxy that
    /// is gone has counted in its last moments nobody knows, so its going is taken for a request.
    fn count(&mut self, counts: &[(String, Count)], terms: &Terms, now: Instant) -> Option<&'static str> {
        let new = counts.iter().map(|(proxy, count)| (proxy.clone(), (*count, now))).collect();
        let before = self.proxies.replace(new)?;
        let gone = before.keys().any(|proxy| counts.iter().all(|(other, _)| other != proxy));
        let most = counts
            .iter()
            .map(|(proxy, count)| between(before.get(proxy).map(|(earlier, at)| (*earlier, now - *at)), *count, terms));
        match most.max() {
            _ if gone => Some(REQUEST),
            Some(Between::Request) => Some(REQUEST),
            Some(Between::Traffic) => Some(TRAFFIC),
            Some(Between::Quiet) | None => None,
        }
    }

    /// Brings what is published up to date, in steps. That a signal cannot be read, or can be read again, waits for less.
    fn publish(&mut self, readings: &Readings, unread: BTreeSet<(Signal, Unread)>, terms: &Terms, now: Now) -> bool {
        let readable = unread.is_empty();
        let message = readings.unreadable().map(|(_, why)| why.message.as_str()).collect::<Vec<_>>().join("; ");
        let new = Activity {
            last: Some(Time(whole(self.last))),
            source: Some(self.source.clone()),
            idle_at: readable.then(|| Time(self.idle_at(terms))),
            message: (!readable).then(|| message.chars().take(1000).collect()),
        };
        if self.published.as_ref() == Some(&new) {
            return false;
        }
        let pause = if self.shown == unread { terms.step() } else { NEWS.min(terms.step()) };
        if self.published_at.is_some_and(|at| now.running - at < pause) {
            return false;
        }
        self.published = Some(new);
        self.published_at = Some(now.running);
        self.shown = unread;
        true
    }
}

/// Times in a status have whole seconds.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
