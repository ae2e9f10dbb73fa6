//! Decisions from a series of readings.

mod departures;
mod scan;

use std::{sync::Arc, time::Duration};

use computing_unit_api::{Activity, IdleAction};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{
    counters::{Counters, ProxyCounters},
    expression::Report,
    idleness::Decision,
    policy::IdlePolicy,
    readings::{Readings, Unreadable},
    table::Table,
    tracked::TrackedUnit,
};
use crate::{clock::Now, metrics::UnreadableReason, testing};

const BEGAN: &str = "2026-01-01T00:00:00Z";
const INTERVAL: u64 = 30;
const MINUTE: u64 = 60;

fn tracked(name: &str) -> TrackedUnit {
    TrackedUnit {
        unit: Arc::new(testing::unit(name, None, BEGAN)),
        uid: format!("{name}-uid"),
        pool: Arc::new(testing::pool(testing::query_routing())),
        pod: format!("{name}-pod"),
        address: "127.0.0.1".to_owned(),
        started: BEGAN.parse().unwrap(),
        policy: IdlePolicy {
            timeout: Duration::from_hours(1),
            action: IdleAction::Suspend,
            grace: Duration::from_mins(5),
            interval: Duration::from_secs(INTERVAL),
            bytes_per_second: 200,
            requests_per_minute: 0,
        },
    }
}

/// A unit, and a clock that the test advances.
struct Case {
    table: Table,
    tracked: TrackedUnit,
    start: Instant,
    seconds: u64,
    /// Seconds by which the wall clock was stepped.
    step: i64,
    writes: usize,
}

impl Case {
    fn new() -> Self {
        let start = Instant::now() + Duration::from_hours(24);
        Self { table: Table::default(), tracked: tracked("ada"), start, seconds: 0, step: 0, writes: 0 }
    }

    fn now(&self) -> Now {
        let seconds = i64::try_from(self.seconds).unwrap() + self.step;
        let wall: Timestamp = BEGAN.parse().unwrap();
        Now {
            monotonic: self.start + Duration::from_secs(self.seconds),
            wall: wall + SignedDuration::from_secs(seconds),
        }
    }

    fn record(&mut self, readings: &Readings) -> Decision {
        let decision = self.table.record(&self.tracked, readings, self.now());
        self.writes += usize::from(decision.publish);
        decision
    }

    /// Records the readings of each interval. Returns the second at which the unit was to be stopped.
    fn pass(&mut self, seconds: u64, readings: impl Fn(u64) -> Readings) -> Option<u64> {
        let end = self.seconds + seconds;
        while self.seconds < end {
            self.seconds += INTERVAL;
            if self.record(&readings(self.seconds)).stop {
                return Some(self.seconds);
            }
        }
        None
    }

    fn published(&self) -> Activity {
        self.table.published("ada-uid").unwrap()
    }

    fn idle_at(&self) -> Option<i64> {
        let began: Timestamp = BEGAN.parse().unwrap();
        Some(self.published().idle_at?.0.duration_since(began).as_secs())
    }
}

fn counters(all: &[(&str, u64, u64, u64)]) -> Readings {
    let sample = |(proxy, requests, bytes, uptime): &(&str, u64, u64, u64)| {
        let counters = Counters { requests: *requests, bytes: *bytes, uptime: Some(*uptime) };
        ProxyCounters { proxy: (*proxy).to_owned(), counters, last: false }
    };
    Readings { gateway: Some(Ok(all.iter().map(sample).collect())), ..Readings::default() }
}

fn quiet(uptime: u64) -> Readings {
    counters(&[("a", 7, 1000, uptime)])
}

fn unreadable() -> Unreadable {
    Unreadable::new(UnreadableReason::Timeout, "proxy a did not respond")
}

#[test]
fn idle_unit_is_announced_and_stopped_after_its_timeout() {
    let mut case = Case::new();
    let first = case.record(&quiet(0));
    assert_eq!(first, Decision { stop: false, announce: false, publish: true });
    assert_eq!((case.published().source.as_deref(), case.idle_at()), (Some("Start"), Some(3600)));
    assert_eq!(case.pass(3000 - INTERVAL, quiet), None);
    case.seconds += INTERVAL;
    assert!(case.record(&quiet(case.seconds)).announce, "ten minutes before");
    case.seconds += INTERVAL;
    assert!(!case.record(&quiet(case.seconds)).announce, "once");
    assert_eq!(case.pass(MINUTE * 60, quiet), Some(3600));
    assert_eq!(case.writes, 1, "an idle unit causes no writes");
}

#[test]
fn activity_is_published_in_steps() {
    let mut case = Case::new();
    let used = |seconds| counters(&[("a", seconds, 0, seconds)]);
    assert_eq!(case.pass(MINUTE * 60 * 10, used), None);
    let step = 6 * MINUTE;
    assert!(case.writes <= usize::try_from(MINUTE * 600 / step).unwrap() + 1, "{} writes", case.writes);
    assert_eq!(case.published().source.as_deref(), Some("Request"));
    let last = case.seconds;
    assert_eq!(case.pass(MINUTE * 59, |_| used(last)), None);
    assert_eq!(case.idle_at(), Some(i64::try_from(last).unwrap() + 3600), "the last activity is published in the end");
}

#[test]
fn change_of_a_proxy_with_a_request_keeps_the_unit_running() {
    // Each happens a minute before the unit would be stopped, and includes a request.
    let restarted = |uptime| counters(&[("a", 1, 10, uptime)]);
    let added = |uptime| counters(&[("a", 7, 1000, uptime), ("b", 1, 10, 5)]);
    let removed = |_| counters(&[("b", 0, 0, 5)]);
    let cases: [&dyn Fn(u64) -> Readings; 3] = [&|now| restarted(now % 3540), &added, &removed];
    for (number, then) in cases.into_iter().enumerate() {
        let mut case = Case::new();
        case.record(&quiet(0));
        case.pass(MINUTE * 59, quiet);
        assert_eq!(case.pass(MINUTE * 59, then), None, "{number}");
        assert_eq!(case.published().source.as_deref(), Some("Request"), "{number}");
    }
}

/// It may have served a request right before it crashed.
#[test]
fn restart_of_a_proxy_between_two_scans_counts_as_a_request() {
    let mut case = Case::new();
    case.record(&quiet(0));
    case.pass(MINUTE * 59, quiet);
    let began = case.seconds + INTERVAL;
    let restarted = |now: u64| counters(&[("a", 0, 0, now - began + 3)]);
    assert_eq!(case.pass(MINUTE * 120, restarted), Some(began + 3600));
}

#[test]
fn unreadable_signal_is_published_and_keeps_the_unit_running() {
    let mut case = Case::new();
    case.record(&quiet(0));
    case.pass(MINUTE * 50, quiet);
    let down =
        |_| Readings { gateway: Some(Err(unreadable())), busy: vec![Ok(Report::Busy(false))], ..Readings::default() };
    assert_eq!(case.pass(MINUTE * 60 * 5, down), None);
    let published = case.published();
    assert_eq!((published.idle_at, published.message.as_deref()), (None, Some("proxy a did not respond")));
    // The whole timeout has to be observed.
    let back = case.seconds;
    assert_eq!(case.pass(MINUTE * 120, quiet), Some(back + 3600));
    assert!(case.published().message.is_none());
}

#[test]
fn unit_is_stopped_only_if_every_signal_is_idle() {
    let mut case = Case::new();
    let busy = |uptime| Readings { busy: vec![Ok(Report::Busy(true))], ..quiet(uptime) };
    assert_eq!(case.pass(MINUTE * 120, busy), None);
    assert_eq!(case.published().source.as_deref(), Some("BusyProbe"));
    let last = case.seconds;
    let free = |uptime| Readings { busy: vec![Ok(Report::Busy(false))], ..quiet(uptime) };
    // The work ended between two scans, perhaps just before the second.
    assert_eq!(case.pass(MINUTE * 120, free), Some(last + INTERVAL + 3600));
}

#[test]
fn annotation_is_activity_at_its_time() {
    let mut case = Case::new();
    case.record(&quiet(0));
    case.pass(MINUTE * 50, quiet);
    let began: Timestamp = BEGAN.parse().unwrap();
    let time = began + SignedDuration::from_secs(2400);
    let annotated = |uptime| Readings { annotation: Some(Ok(Some(time))), ..quiet(uptime) };
    assert_eq!(case.pass(MINUTE * 60 * 5, annotated), Some(2400 + 3600));
    assert_eq!(case.published().source.as_deref(), Some("Annotation"));
}

#[test]
fn all_busy_probes_have_to_agree_that_the_unit_is_idle() {
    type Expected<'a> = (&'a str, &'a dyn Fn(u64) -> Readings, Option<u64>);
    let began: Timestamp = BEGAN.parse().unwrap();
    let at = |second: u64| began + SignedDuration::from_secs(i64::try_from(second).unwrap());
    let probes = |busy: [Result<Report, Unreadable>; 2]| Readings { busy: busy.to_vec(), ..Readings::default() };
    let idle = || Ok(Report::Busy(false));
    let cases: [Expected; 5] = [
        ("both", &|_| probes([idle(), idle()]), Some(3600)),
        ("one is busy", &|_| probes([idle(), Ok(Report::Busy(true))]), None),
        ("one is unreadable", &|_| probes([Err(unreadable()), idle()]), None),
        ("one reports the last activity", &|_| probes([idle(), Ok(Report::LastActivity(at(600)))]), Some(4200)),
        ("its clock is ahead", &|now| probes([idle(), Ok(Report::LastActivity(at(now + 86_400)))]), None),
    ];
    for (what, readings, stopped) in cases {
        let mut case = Case::new();
        case.record(&probes([idle(), idle()]));
        case.pass(MINUTE * 10, |_| probes([idle(), idle()]));
        assert_eq!(case.pass(MINUTE * 110, readings), stopped, "{what}");
    }
}

#[test]
fn step_of_the_wall_clock_changes_published_times_only() {
    for step in [-86_400, 86_400] {
        let mut case = Case::new();
        case.record(&quiet(0));
        case.pass(MINUTE * 30, quiet);
        case.step = step;
        assert_eq!(case.pass(MINUTE * 120, quiet), Some(3600), "{step}");
        assert_eq!(case.idle_at(), Some(3600 + step));
    }
}

#[test]
fn new_process_keeps_the_last_activity_and_observes_the_whole_timeout() {
    let mut case = Case::new();
    case.record(&counters(&[("a", 1, 0, 0)]));
    case.seconds = 30;
    case.record(&counters(&[("a", 2, 0, 30)]));
    let mut unit = case.tracked.unit.as_ref().clone();
    let last = "2026-01-01T00:00:30Z".parse().unwrap();
    let known = Activity {
        last: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(last)),
        source: Some("Request".into()),
        ..Activity::default()
    };
    unit.status = Some(computing_unit_api::ComputingUnitStatus { activity: Some(known), ..Default::default() });
    case.tracked.unit = Arc::new(unit);
    case.table = Table::default();
    case.seconds = 3000;
    case.record(&quiet(3000));
    assert_eq!(case.published().last.unwrap().0, last);
    assert_eq!(case.pass(MINUTE * 120, quiet), Some(3000 + 3600));
    // Time without readings is not idle time.
    case.seconds += 6 * 3600;
    assert!(!case.record(&quiet(case.seconds)).stop);
}

#[test]
fn new_pod_has_a_new_record_and_its_grace_period() {
    let mut case = Case::new();
    case.tracked.policy.timeout = Duration::from_mins(1);
    case.record(&quiet(0));
    assert_eq!(case.pass(MINUTE * 10, quiet), Some(300), "not within the grace period");
    case.tracked.pod = "another".into();
    case.tracked.started = case.now().wall;
    assert_eq!(case.pass(MINUTE * 10, quiet), Some(600));
}

#[test]
fn resumed_unit_is_not_stopped_for_activity_before_its_start() {
    let long_ago = "2022-01-01T00:00:00Z".parse().unwrap();
    for (timeout, expected) in [(1, 300), (10, 600)] {
        let mut case = Case::new();
        case.tracked.policy.timeout = Duration::from_mins(timeout);
        let known = Activity {
            last: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(long_ago)),
            source: Some("Annotation".into()),
            ..Activity::default()
        };
        let status = computing_unit_api::ComputingUnitStatus { activity: Some(known), ..Default::default() };
        Arc::make_mut(&mut case.tracked.unit).status = Some(status);
        let annotated = |uptime| Readings { annotation: Some(Ok(Some(long_ago))), ..quiet(uptime) };
        case.record(&annotated(0));
        assert_eq!(case.published().source.as_deref(), Some("Start"));
        assert_eq!(case.pass(MINUTE * 20, annotated), Some(expected), "its grace period, and a whole timeout");
    }
}
