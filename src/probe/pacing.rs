//! Timeouts and intervals of probes.
//!
//! Pure. Only background tasks wait for these; a reconcile never waits.

use std::time::Duration;

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// For one probe, including the connection.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// From the last proxy dropping a route until the route counts as withdrawn. Requests that a proxy has already matched
/// reach the pod in this time.
pub(super) const SETTLE: Duration = Duration::from_millis(100);
/// How many probes in a row must confirm that a proxy has withdrawn a route. The worker threads of a proxy apply a
/// change one by one, and a connection belongs to one of them.
pub(super) const WITHDRAWN_PROBES: usize = 3;
/// How long the proxies are asked for the closed route. After this time it is enough that they do not have the open one.
pub(super) const UNCONFIRMED: Duration = Duration::from_secs(5);
/// How long a Gateway has to be without proxies before its routes count as withdrawn.
pub(super) const NO_PROXIES: Duration = Duration::from_secs(1);
/// Until the unit is first woken because something is missing.
pub(super) const FIRST_WAKE: Duration = Duration::from_secs(2);
/// Between two such wakes.
pub(super) const WAKE_INTERVAL: Duration = Duration::from_secs(10);
/// A unit that has not read its probe for so long is woken, in case it is gone.
pub(super) const REMINDER: Duration = Duration::from_mins(1);
/// A probe that was not read for so long ends.
pub(super) const UNREAD_LIMIT: Duration = Duration::from_mins(5);

/// The delay after attempt `attempt` (from 0), `elapsed` after the start: 5 ms, doubling to 50 ms in the first second, to
/// 500 ms in the first ten seconds, and to 2 s after that.
pub(super) fn backoff(attempt: u32, elapsed: Duration) -> Duration {
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
    fn backoff_doubles_up_to_a_limit_that_grows_with_time() {
        let of = |attempt, seconds| backoff(attempt, Duration::from_secs(seconds)).as_millis();
        assert_eq!([0, 1, 2, 3, 4, 5].map(|attempt| of(attempt, 0)), [5, 10, 20, 40, 50, 50]);
        assert_eq!([of(20, 1), of(20, 9), of(20, 10), of(u32::MAX, 1000)], [500, 500, 2000, 2000]);
    }
}
