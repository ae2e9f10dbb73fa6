//! The activity of one unit's pod over time, and the decision to stop the unit.
//!
//! Pure. Intervals use the monotonic clock, published timestamps the wall clock.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use computing_unit_api::Activity;
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use tokio::time::Instant;

use super::{
    expression::Report,
    policy::IdlePolicy,
    readings::Readings,
    samples::{Samples, Usage},
};
use crate::{
    clock::{Clock, Now},
    metrics::{Signal, UnreadableReason},
};

/// Values of `status.activity.source`.
pub(super) const START: &str = "Start";
pub(super) const REQUEST: &str = "Request";
pub(super) const TRAFFIC: &str = "Traffic";
pub(super) const BUSY_PROBE: &str = "BusyProbe";
pub(super) const ANNOTATION: &str = "Annotation";

/// A time without readings counts as activity if it is longer than this and three intervals.
const MAX_GAP: Duration = Duration::from_secs(30);
/// The longest delay until a signal that became unreadable, or readable, is published.
const UNREADABLE_STEP: Duration = Duration::from_mins(1);

/// What to do after a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The unit was idle for its timeout.
    pub stop: bool,
    /// It will be stopped soon, and that was not announced yet.
    pub announce: bool,
    /// The published activity changed.
    pub publish: bool,
}

/// How long a unit has been idle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    pub since: Timestamp,
    /// When it is stopped.
    pub at: Timestamp,
    /// The source of the last activity.
    pub source: String,
}

#[derive(Debug)]
pub struct ActivityRecord {
    /// UID of the pod.
    pod: String,
    clock: Clock,
    grace_end: Instant,
    /// The last activity, and its source.
    last: Timestamp,
    source: String,
    /// Since when every signal could be read and reported no activity.
    idle_since: Instant,
    last_read: Option<Instant>,
    samples: Samples,
    /// The busy probes that last reported running work, by their number.
    working: BTreeSet<usize>,
    /// The last time that a signal reported, by its source and number.
    reported: HashMap<(&'static str, usize), Timestamp>,
    /// The `idle_since` for which the stop was announced.
    announced: Option<Instant>,
    published: Option<Activity>,
    /// `None` if an earlier process published it.
    published_at: Option<Instant>,
    published_unreadable: BTreeSet<(Signal, UnreadableReason)>,
}

impl ActivityRecord {
    /// The record of a pod that was started at `started`. `published` is in the status, possibly from an earlier process:
    /// it has the last activity, but no idleness that this process observed.
    pub fn new(pod: String, started: Timestamp, published: Option<&Activity>, policy: &IdlePolicy, now: Now) -> Self {
        let known = published.and_then(|activity| Some((activity.last.as_ref()?.0, activity.source.clone()?)));
        let known = known.filter(|(last, _)| *last >= started);
        let (last, source) = known.unwrap_or((started, START.to_owned()));
        Self {
            pod,
            clock: Clock::new(now),
            grace_end: now.monotonic_at(started).map_or(now.monotonic, |started| started + policy.grace),
            last,
            source,
            idle_since: now.monotonic,
            last_read: None,
            samples: Samples::default(),
            working: BTreeSet::new(),
            reported: HashMap::new(),
            announced: None,
            published: published.cloned(),
            published_at: None,
            published_unreadable: BTreeSet::new(),
        }
    }

    pub fn pod(&self) -> &str {
        &self.pod
    }

    pub fn published(&self) -> Option<&Activity> {
        self.published.as_ref()
    }

    pub fn idle(&self, policy: &IdlePolicy) -> Idle {
        let since = truncate(self.clock.wall(self.idle_since));
        Idle { since, at: self.idle_at(policy), source: self.source.clone() }
    }

    /// Adds the readings of one scan.
    pub fn add(&mut self, readings: &Readings, policy: &IdlePolicy, now: Now) -> Decision {
        self.clock.sync(now);
        let gap = self.last_read.is_none_or(|read| now.monotonic - read > policy.interval * 3 + MAX_GAP);
        let unreadable: BTreeSet<(Signal, UnreadableReason)> =
            readings.unreadable().map(|(signal, error)| (signal, error.reason)).collect();
        let readable = unreadable.is_empty();
        if gap || !readable {
            self.idle_since = now.monotonic;
        }
        self.last_read = Some(now.monotonic);
        if let Some(Ok(counters)) = &readings.gateway
            && let Some(usage) = self.samples.add(counters, policy, now.monotonic)
        {
            let source = match usage {
                Usage::Traffic => TRAFFIC,
                Usage::Request => REQUEST,
            };
            self.active(source, now.monotonic);
        }
        for (number, report) in readings.busy.iter().enumerate() {
            match report {
                Ok(Report::Busy(true)) => {
                    self.working.insert(number);
                    self.active(BUSY_PROBE, now.monotonic);
                }
                // The work ended at some time since the last scan.
                Ok(Report::Busy(false)) if self.working.remove(&number) => self.active(BUSY_PROBE, now.monotonic),
                Ok(Report::LastActivity(time)) => self.reported((BUSY_PROBE, number), *time, now),
                Ok(Report::Busy(false)) | Err(_) => {}
            }
        }
        if let Some(Ok(Some(time))) = readings.annotation {
            self.reported((ANNOTATION, 0), time, now);
        }
        let deadline = self.deadline(policy);
        let stop = readable && now.monotonic >= deadline;
        let near = readable && deadline.saturating_duration_since(now.monotonic) <= policy.notice();
        let announce = near && self.announced != Some(self.idle_since);
        if announce {
            self.announced = Some(self.idle_since);
        }
        Decision { stop, announce: announce && !stop, publish: self.publish(readings, unreadable, policy, now) }
    }

    fn deadline(&self, policy: &IdlePolicy) -> Instant {
        (self.idle_since + policy.timeout).max(self.grace_end)
    }

    fn idle_at(&self, policy: &IdlePolicy) -> Timestamp {
        truncate(self.clock.wall(self.deadline(policy)))
    }

    fn active(&mut self, source: &str, now: Instant) {
        self.idle_since = now;
        self.last = self.clock.wall(now);
        source.clone_into(&mut self.source);
    }

    /// Activity at a reported time, which may have passed. A value counts once: the wall clock may be stepped.
    fn reported(&mut self, signal: (&'static str, usize), time: Timestamp, now: Now) {
        if self.reported.insert(signal, time) == Some(time) {
            return;
        }
        let time = time.min(now.wall);
        if time > self.last {
            self.last = time;
            signal.0.clone_into(&mut self.source);
        }
        self.idle_since = self.idle_since.max(now.monotonic_at(time).unwrap_or(self.idle_since));
    }

    /// Updates the published activity, at most once per step.
    fn publish(
        &mut self,
        readings: &Readings,
        unreadable: BTreeSet<(Signal, UnreadableReason)>,
        policy: &IdlePolicy,
        now: Now,
    ) -> bool {
        let readable = unreadable.is_empty();
        let message = readings.unreadable().map(|(_, error)| error.message.as_str()).collect::<Vec<_>>().join("; ");
        let new = Activity {
            last: Some(Time(truncate(self.last))),
            source: Some(self.source.clone()),
            idle_at: readable.then(|| Time(self.idle_at(policy))),
            message: (!readable).then(|| message.chars().take(1000).collect()),
        };
        if self.published.as_ref() == Some(&new) {
            return false;
        }
        let unchanged = self.published_unreadable == unreadable;
        let step = if unchanged { policy.step() } else { UNREADABLE_STEP.min(policy.step()) };
        if self.published_at.is_some_and(|at| now.monotonic - at < step) {
            return false;
        }
        self.published = Some(new);
        self.published_at = Some(now.monotonic);
        self.published_unreadable = unreadable;
        true
    }
}

/// Rounds down to whole seconds, the precision of timestamps in a status. Otherwise a new activity would never equal the
/// published one after a round trip. A published `idleAt` is up to one second before the deadline.
fn truncate(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
