//! How long a probe task waits, and for what.
//!
//! Pure. These waits are of background tasks: no reconcile ever waits.

use std::time::Duration;

/// For a connection to be made.
pub(super) const CONNECT: Duration = Duration::from_millis(500);
/// For one answer, connection included.
pub(super) const ATTEMPT: Duration = Duration::from_secs(1);
/// After every proxy has missed, until a closed route counts as such: requests that a proxy had already matched to the
/// route get to the pod meanwhile.
pub(super) const SETTLE: Duration = Duration::from_millis(100);
/// How many fresh connections in a row have to miss at a proxy. A proxy's worker threads learn of a route one by one, and
/// each connection belongs to one of them.
pub(super) const MISSES: usize = 3;
/// How long a Gateway has to be without proxies until its routes count as closed.
pub(super) const WITHOUT_PROXIES: Duration = Duration::from_secs(1);
/// Before the unit is first woken because something is missing.
pub(super) const FIRST_NEWS: Duration = Duration::from_secs(2);
/// Between two such wakes.
pub(super) const NEWS: Duration = Duration::from_secs(10);
/// After which a unit that has not asked again is woken, lest a task outlive its unit.
pub(super) const NUDGE: Duration = Duration::from_mins(1);
/// After which a task that nobody has asked about ends.
pub(super) const LEASE: Duration = Duration::from_mins(5);

/// The wait after attempt `attempt` (from 0) of a task that began `elapsed` ago: from 5 ms up, doubling, to 50 ms in the
/// first second, to 500 ms in the first ten, to 2 s later.
pub(super) fn between(attempt: u32, elapsed: Duration) -> Duration {
    let most = match elapsed.as_secs() {
        0 => 50,
        1..10 => 500,
        _ => 2000,
    };
    Duration::from_millis(5_u64.saturating_mul(2_u64.saturating_pow(attempt)).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_time_and_have_a_ceiling() {
        let of = |attempt, seconds| between(attempt, Duration::from_secs(seconds)).as_millis();
        assert_eq!([0, 1, 2, 3, 4, 5].map(|attempt| of(attempt, 0)), [5, 10, 20, 40, 50, 50]);
        assert_eq!([of(20, 1), of(20, 9), of(20, 10), of(u32::MAX, 1000)], [500, 500, 2000, 2000]);
    }
}
