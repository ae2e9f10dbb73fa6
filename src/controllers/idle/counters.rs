//! The counters of a proxy for a unit, and the activity between two samples.
//!
//! Pure. If a proxy was restarted or is new, all that it counted is new.

use std::time::Duration;

use super::policy::IdlePolicy;

/// The counters of one proxy for one unit at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests, including WebSockets.
    pub requests: u64,
    /// Bytes to and from the unit.
    pub bytes: u64,
    /// Seconds since the proxy started. Proxies update it every few seconds, and a new one does not have it.
    pub uptime: Option<u64>,
}

/// The counters of one unit at one proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyCounters {
    /// Its address.
    pub proxy: String,
    pub counters: Counters,
    /// Whether the proxy has terminated, and these counters are its last.
    pub last: bool,
}

/// The counters of one unit at all proxies.
pub type CountersByProxy = Vec<ProxyCounters>;

/// The activity between two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usage {
    Idle,
    /// More bytes than the policy allows for open connections.
    Traffic,
    Request,
}

/// The activity since the sample `before`, which was taken so long ago.
pub fn usage(before: Option<(Counters, Duration)>, now: Counters, policy: &IdlePolicy) -> Usage {
    let (earlier, elapsed) = match before {
        Some((earlier, elapsed)) if !restarted(earlier, now) => (earlier, elapsed),
        Some((_, elapsed)) => (Counters::default(), elapsed),
        None => (Counters::default(), policy.interval),
    };
    let bytes = now.bytes.saturating_sub(earlier.bytes);
    // A burst is not averaged over a long time without samples, and a heartbeat between two quick samples is not
    // extrapolated.
    let elapsed = elapsed.clamp(policy.interval, policy.interval * 2);
    let allowed = u128::from(policy.bytes_per_second) * elapsed.as_millis() / 1000;
    let polls = u128::from(policy.requests_per_minute) * elapsed.as_millis() / 60_000;
    if u128::from(now.requests.saturating_sub(earlier.requests)) > polls {
        Usage::Request
    } else if u128::from(bytes) > allowed {
        Usage::Traffic
    } else {
        Usage::Idle
    }
}

/// Whether the counters were reset. They may have passed their earlier values since, so the uptime decides too.
fn restarted(earlier: Counters, now: Counters) -> bool {
    let younger = earlier.uptime.is_some_and(|earlier| now.uptime.is_none_or(|now| now < earlier));
    younger || now.requests < earlier.requests || now.bytes < earlier.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use computing_unit_api::IdleAction;

    fn policy() -> IdlePolicy {
        IdlePolicy {
            timeout: Duration::from_hours(1),
            action: IdleAction::Suspend,
            grace: Duration::ZERO,
            interval: Duration::from_secs(30),
            bytes_per_second: 200,
            requests_per_minute: 0,
        }
    }

    fn counters(requests: u64, bytes: u64, uptime: u64) -> Counters {
        Counters { requests, bytes, uptime: Some(uptime) }
    }

    fn after(seconds: u64, before: Counters, now: Counters) -> Usage {
        usage(Some((before, Duration::from_secs(seconds))), now, &policy())
    }

    #[test]
    fn usage_is_a_request_or_more_bytes_than_allowed() {
        let before = counters(7, 1000, 100);
        assert_eq!(after(30, before, counters(7, 1000, 130)), Usage::Idle);
        assert_eq!(after(30, before, counters(8, 1100, 130)), Usage::Request);
        assert_eq!(after(30, before, counters(7, 7000, 130)), Usage::Idle, "200 bytes a second are allowed");
        assert_eq!(after(30, before, counters(7, 7001, 130)), Usage::Traffic);
    }

    #[test]
    fn polling_does_not_count_up_to_its_rate() {
        let polls = |seconds: u64, requests: u64, bytes: u64| {
            let (before, now) = (counters(7, 1000, 100), counters(7 + requests, 1000 + bytes, 100 + seconds));
            let policy = IdlePolicy { requests_per_minute: 4, ..policy() };
            usage(Some((before, Duration::from_secs(seconds))), now, &policy)
        };
        assert_eq!((polls(30, 2, 100), polls(30, 3, 100)), (Usage::Idle, Usage::Request));
        assert_eq!(
            (polls(3600, 4, 100), polls(3600, 5, 100)),
            (Usage::Idle, Usage::Request),
            "not averaged over a gap"
        );
        assert_eq!(polls(30, 1, 7000), Usage::Traffic, "bytes count as before");
    }

    #[test]
    fn bytes_are_not_averaged_over_a_gap_or_a_moment() {
        let before = counters(7, 1000, 100);
        assert_eq!(after(3600, before, counters(7, 13_000, 3700)), Usage::Idle);
        assert_eq!(after(3600, before, counters(7, 13_001, 3700)), Usage::Traffic);
        assert_eq!(
            after(0, before, counters(7, 1100, 100)),
            Usage::Idle,
            "a heartbeat right before the unit is stopped"
        );
    }

    #[test]
    fn counters_of_a_restarted_proxy_are_all_new() {
        let before = counters(7, 1000, 100);
        assert_eq!(after(30, before, counters(0, 0, 5)), Usage::Idle);
        assert_eq!(after(30, before, counters(1, 10, 5)), Usage::Request);
        assert_eq!(after(30, before, counters(7, 1000, 5)), Usage::Request, "as many as before, but all new");
        assert_eq!(after(30, before, Counters { uptime: None, ..before }), Usage::Request);
        assert_eq!(after(30, before, counters(3, 1000, 130)), Usage::Request, "without a shorter uptime");
    }

    #[test]
    fn counters_of_a_new_proxy_are_all_new() {
        assert_eq!(usage(None, counters(0, 0, 5), &policy()), Usage::Idle);
        assert_eq!(usage(None, counters(1, 0, 5), &policy()), Usage::Request);
        assert_eq!(usage(None, counters(0, 7000, 5), &policy()), Usage::Traffic);
    }
}
