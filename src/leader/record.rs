//! The decisions of an election: when the Lease may be taken over, and what is written to it. No IO.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use k8s_openapi::{
    api::coordination::v1::LeaseSpec,
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::{SignedDuration, Timestamp, Unit},
};
use tokio::time::Instant;

const MAX_RETRY_PERIOD: Duration = Duration::from_secs(2);
const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The durations of an election. For the default Lease of 15 s they are those of client-go: 10 s and 2 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    /// A standby takes the Lease over if it has not observed a change for this long.
    pub(super) lease_duration: Duration,
    /// The leader stops its work if it has not renewed the Lease for this long. Until `lease_duration` the work can end.
    pub(super) renew_deadline: Duration,
    /// The time between two attempts to acquire or to renew the Lease, without jitter.
    pub(super) retry_period: Duration,
    /// The timeout of each request, short enough for several attempts before the renew deadline.
    pub(super) request_timeout: Duration,
}

impl Timing {
    pub(super) fn new(lease_duration: Duration) -> Self {
        Self {
            lease_duration,
            renew_deadline: lease_duration * 2 / 3,
            retry_period: MAX_RETRY_PERIOD.min(lease_duration / 6),
            request_timeout: MAX_REQUEST_TIMEOUT.min(lease_duration / 6),
        }
    }
}

/// The retry period with jitter of a fifth, which keeps candidates from acting in step. It is derived from the identity:
/// candidates differ, and a test can be repeated.
#[derive(Debug)]
pub(super) struct Pace {
    hasher: DefaultHasher,
    period: Duration,
}

impl Pace {
    pub(super) fn new(identity: &str, period: Duration) -> Self {
        let mut hasher = DefaultHasher::new();
        identity.hash(&mut hasher);
        Self { hasher, period }
    }

    pub(super) fn next(&mut self) -> Duration {
        self.hasher.write_u8(0);
        let jitter = u32::try_from(self.hasher.finish() % 401).unwrap_or(200);
        self.period * (800 + jitter) / 1000
    }
}

/// What a candidate has observed of the Lease.
///
/// The expiry of another holder's Lease is measured by the candidate's own monotonic clock, from the moment that it
/// observed the last change. `renewTime` is another machine's clock and is only compared with itself.
#[derive(Debug)]
pub(super) struct View {
    record: Option<LeaseSpec>,
    /// The last holder. A deleted Lease keeps it, because the holder works on until it notices the deletion.
    holder: Option<String>,
    lease_duration: Duration,
    changed: Instant,
}

impl View {
    pub(super) fn new(lease_duration: Duration, now: Instant) -> Self {
        Self { record: None, holder: None, lease_duration, changed: now }
    }

    /// Records a response that was received at `now`; `None` if there is no Lease.
    ///
    /// The time has to be that of the response, not of the request: the holder may have renewed in between.
    pub(super) fn observe(&mut self, record: Option<&LeaseSpec>, now: Instant) {
        if self.record.as_ref() == record {
            return;
        }
        if let Some(record) = record {
            self.holder = holder(record).map(str::to_owned);
            // The holder relies on the duration that it wrote, which may differ from this candidate's own.
            if let Some(seconds @ 1..) = record.lease_duration_seconds {
                self.lease_duration = Duration::from_secs(u64::from(seconds.unsigned_abs()));
            }
        }
        self.record = record.cloned();
        self.changed = now;
    }

    /// The other process whose Lease has not expired at `now`. If there is none, `identity` may acquire the Lease.
    pub(super) fn current_leader(&self, identity: &str, now: Instant) -> Option<&str> {
        let other = self.holder.as_deref().filter(|holder| *holder != identity)?;
        (now < self.changed + self.lease_duration).then_some(other)
    }
}

/// The holder of a Lease that is not released.
pub(super) fn holder(record: &LeaseSpec) -> Option<&str> {
    record.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// The record with which `identity` acquires or renews the Lease; `previous` is absent if the Lease has to be created.
pub(super) fn held(
    previous: Option<&LeaseSpec>,
    identity: &str,
    lease_duration: Duration,
    now: Timestamp,
) -> LeaseSpec {
    let now = renew_time(previous, now);
    let transitions = previous.map(|record| record.lease_transitions.unwrap_or(0));
    let renewed = previous.filter(|record| holder(record) == Some(identity));
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(lease_duration.as_secs()).ok(),
        acquire_time: renewed.and_then(|record| record.acquire_time.clone()).or_else(|| Some(now.clone())),
        renew_time: Some(now),
        lease_transitions: match (transitions, renewed) {
            (None, _) => Some(0),
            (same, Some(_)) => same,
            (Some(earlier), None) => Some(earlier.saturating_add(1)),
        },
        ..previous.cloned().unwrap_or_default()
    }
}

/// The record with which the holder of `previous` releases the Lease. The duration of a second is for candidates that
/// do not know that a Lease without a holder is free.
pub(super) fn released(previous: &LeaseSpec, now: Timestamp) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(1),
        renew_time: Some(renew_time(Some(previous), now)),
        ..previous.clone()
    }
}

/// `now`, made different from the previous time: a renewal that changes nothing is not observed by the standbys.
fn renew_time(previous: Option<&LeaseSpec>, now: Timestamp) -> MicroTime {
    let now = now.round(Unit::Microsecond).unwrap_or(now);
    let same = previous.and_then(|record| record.renew_time.as_ref()).is_some_and(|time| time.0 == now);
    let step = SignedDuration::from_micros(i64::from(same));
    MicroTime(now.checked_add(step).unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LEASE: Duration = Duration::from_secs(15);

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn record(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            acquire_time: Some(MicroTime(time(0))),
            renew_time: Some(MicroTime(time(renewed))),
            lease_transitions: Some(3),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn the_durations_are_those_of_client_go_for_its_default_and_leave_room_for_short_leases() {
        let millis = |seconds| {
            let timing = Timing::new(Duration::from_secs(seconds));
            [timing.renew_deadline, timing.retry_period, timing.request_timeout].map(|time| time.as_millis())
        };
        assert_eq!(millis(15), [10_000, 2_000, 2_500]);
        assert_eq!(millis(3), [2_000, 500, 500]);
        assert_eq!(millis(3600), [2_400_000, 2_000, 5_000]);
    }

    #[test]
    fn the_pace_varies_by_a_fifth_and_by_identity() {
        let paces = |identity| {
            let mut pace = Pace::new(identity, 10 * SECOND);
            std::array::from_fn::<_, 100, _>(|_| pace.next())
        };
        let (one, other) = (paces("one"), paces("other"));
        assert!(one.iter().all(|pause| (8 * SECOND..=12 * SECOND).contains(pause)), "{one:?}");
        assert!(one.iter().any(|pause| *pause < 9 * SECOND) && one.iter().any(|pause| *pause > 11 * SECOND), "{one:?}");
        assert_ne!(one, other);
    }

    /// A name, what was observed at which second, and the leader at a later second as seen by `me`.
    type Case<'a> = (&'a str, &'a [(u32, Option<LeaseSpec>)], u32, Option<&'a str>);

    #[test]
    fn a_lease_expires_a_full_duration_after_the_last_change_was_observed() {
        let short = LeaseSpec { lease_duration_seconds: Some(4), ..record("other", 0) };
        let long = LeaseSpec { lease_duration_seconds: Some(60), ..record("other", 0) };
        let invalid = [None, Some(0), Some(-1)]
            .map(|seconds| LeaseSpec { lease_duration_seconds: seconds, ..record("other", 0) });
        let other = |renewed| Some(record("other", renewed));
        let cases: &[Case] = &[
            ("no Lease", &[(0, None)], 0, None),
            ("a new Lease without a holder", &[(0, Some(LeaseSpec::default()))], 0, None),
            ("a released one", &[(0, other(0)), (1, Some(released(&record("other", 0), time(1))))], 1, None),
            ("its own", &[(0, Some(record("me", 0)))], 0, None),
            ("another's", &[(0, other(0))], 14, Some("other")),
            ("another's that did not change", &[(0, other(0)), (14, other(0))], 15, None),
            ("an old renewTime", &[(0, other(-86_400))], 14, Some("other")),
            ("a renewTime in the future", &[(0, other(86_400)), (15, other(86_400))], 15, None),
            ("a renewal", &[(0, other(0)), (10, other(10))], 24, Some("other")),
            ("a clock that goes backwards", &[(0, other(10)), (10, other(0))], 24, Some("other")),
            ("a renewal that expired", &[(0, other(0)), (10, other(10)), (25, other(10))], 25, None),
            ("a short duration", &[(0, Some(short.clone()))], 3, Some("other")),
            ("a short duration that is over", &[(0, Some(short))], 4, None),
            ("a long duration", &[(0, Some(long.clone()))], 59, Some("other")),
            ("a long duration that is over", &[(0, Some(long))], 60, None),
            ("no duration", &[(0, Some(invalid[0].clone()))], 14, Some("other")),
            ("a duration of zero", &[(0, Some(invalid[1].clone()))], 14, Some("other")),
            ("a negative duration", &[(0, Some(invalid[2].clone()))], 14, Some("other")),
            ("a Lease that was deleted", &[(0, other(0)), (10, None)], 24, Some("other")),
            ("a Lease that was deleted long ago", &[(0, other(0)), (10, None), (25, None)], 25, None),
            ("a Lease that was deleted after its release", &[(0, Some(record("", 0))), (1, None)], 1, None),
        ];
        let start = Instant::now();
        for (name, observed, second, expected) in cases {
            let mut view = View::new(LEASE, start);
            for (at, record) in *observed {
                view.observe(record.as_ref(), start + SECOND * *at);
            }
            assert_eq!(view.current_leader("me", start + SECOND * *second), *expected, "{name}");
        }
    }

    #[test]
    fn a_record_is_created_acquired_renewed_and_released() {
        let facts = |record: LeaseSpec| {
            let seconds = |time: Option<MicroTime>| time.unwrap().0.as_second();
            let times = (seconds(record.acquire_time), seconds(record.renew_time));
            (record.holder_identity.unwrap(), record.lease_duration_seconds.unwrap(), times, record.lease_transitions)
        };
        let held = |previous: Option<&LeaseSpec>| facts(held(previous, "me", 30 * SECOND, time(9)));
        let mine = |acquired, transitions| ("me".to_owned(), 30, (acquired, 9), Some(transitions));
        assert_eq!(held(None), mine(9, 0), "created");
        assert_eq!(held(Some(&record("other", 5))), mine(9, 4), "taken over");
        assert_eq!(held(Some(&record("", 5))), mine(9, 4), "acquired after a release");
        assert_eq!(held(Some(&LeaseSpec::default())), mine(9, 1), "a record without fields");
        assert_eq!(held(Some(&record("me", 5))), mine(0, 3), "renewed");
        let most = LeaseSpec { lease_transitions: Some(i32::MAX), ..record("other", 5) };
        assert_eq!(held(Some(&most)), mine(9, i32::MAX), "no overflow");
        assert_eq!(facts(released(&record("me", 5), time(9))), (String::new(), 1, (0, 9), Some(3)), "released");
    }

    #[test]
    fn fields_of_others_stay() {
        let previous = LeaseSpec { strategy: Some("theirs".into()), ..record("me", 5) };
        assert_eq!(held(Some(&previous), "me", LEASE, time(9)).strategy, previous.strategy);
        assert_eq!(released(&previous, time(9)).strategy, previous.strategy);
    }

    #[test]
    fn each_record_differs_from_the_one_before_even_if_the_clock_stands_still() {
        let now = Timestamp::from_nanosecond(1_234_567_891).unwrap();
        let first = held(None, "me", LEASE, now);
        let second = held(Some(&first), "me", LEASE, now);
        assert_eq!(first.renew_time.clone().unwrap().0.as_nanosecond(), 1_234_568_000, "as it is written");
        assert_ne!(first, second);
        assert_ne!(second, held(Some(&second), "me", LEASE, now));
    }
}
