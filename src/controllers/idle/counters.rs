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

/// What a proxy served between two samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    pub requests: u64,
    /// Whether there were more bytes than the policy allows for open connections.
    pub traffic: bool,
    /// Whether the proxy was restarted. What it had served before that, since the earlier sample, is not known.
    pub restarted: bool,
}

/// What was served since the sample `before`, which was taken so long ago.
pub fn served(before: Option<(Counters, Duration)>, now: Counters, policy: &IdlePolicy) -> Served {
    let restarted = before.is_some_and(|(earlier, _)| restarted(earlier, now));
    let (earlier, elapsed) = before.unwrap_or((Counters::default(), policy.interval));
    let earlier = if restarted { Counters::default() } else { earlier };
    let bytes = now.bytes.saturating_sub(earlier.bytes);
    // A burst is not averaged over a long time without samples, and a heartbeat between two quick samples is not
    // extrapolated.
    let elapsed = elapsed.clamp(policy.interval, policy.interval * 2);
    let allowed = u128::from(policy.bytes_per_second) * elapsed.as_millis() / 1000;
    Served { requests: now.requests.saturating_sub(earlier.requests), traffic: u128::from(bytes) > allowed, restarted }
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

    fn after(seconds: u64, before: Counters, now: Counters) -> Served {
        served(Some((before, Duration::from_secs(seconds))), now, &policy())
    }

    fn requests(requests: u64) -> Served {
        Served { requests, ..Served::default() }
    }

    #[test]
    fn traffic_is_more_bytes_than_allowed() {
        let before = counters(7, 1000, 100);
        assert_eq!(after(30, before, counters(7, 1000, 130)), requests(0));
        assert_eq!(after(30, before, counters(8, 1100, 130)), requests(1));
        assert!(!after(30, before, counters(7, 7000, 130)).traffic, "200 bytes a second are allowed");
        assert!(after(30, before, counters(7, 7001, 130)).traffic);
    }

    #[test]
    fn bytes_are_not_averaged_over_a_gap_or_a_moment() {
        let before = counters(7, 1000, 100);
        assert!(!after(3600, before, counters(7, 13_000, 3700)).traffic);
        assert!(after(3600, before, counters(7, 13_001, 3700)).traffic);
        assert!(!after(0, before, counters(7, 1100, 100)).traffic, "a heartbeat right before the unit is stopped");
    }

    #[test]
    fn counters_of_a_restarted_proxy_are_all_new() {
        let before = counters(7, 1000, 100);
        let restarted = |requests| Served { requests, traffic: false, restarted: true };
        assert_eq!(after(30, before, counters(0, 0, 5)), restarted(0));
        assert_eq!(after(30, before, counters(7, 1000, 5)), restarted(7), "as many as before, but all new");
        assert_eq!(after(30, before, Counters { uptime: None, ..before }), restarted(7));
        assert_eq!(after(30, before, counters(3, 1000, 130)), restarted(3), "without a shorter uptime");
    }

    #[test]
    fn counters_of_a_new_proxy_are_all_new() {
        assert_eq!(served(None, counters(0, 0, 5), &policy()), requests(0));
        assert_eq!(served(None, counters(1, 0, 5), &policy()), requests(1));
        assert!(served(None, counters(0, 7000, 5), &policy()).traffic);
    }
}
