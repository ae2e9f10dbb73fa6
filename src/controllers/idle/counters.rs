//! What a proxy has counted for a unit, and what two counts say of the time between them.
//!
//! Pure. Where a proxy was restarted or was not seen before, all that it counted is taken to be new.

use std::time::Duration;

use super::terms::Terms;

/// What one proxy had counted for one unit at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Requests, WebSockets among them.
    pub requests: u64,
    /// Bytes to and from the unit.
    pub bytes: u64,
    /// For how many seconds the proxy had been running, as it says every few seconds; a new one says nothing yet.
    pub uptime: Option<u64>,
}

/// What the time between two counts was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Between {
    /// Nothing came that counts as use.
    Quiet,
    /// More bytes than an open connection without use has.
    Traffic,
    /// A request.
    Request,
}

/// What came between `before`, `elapsed` ago, and `now`. Of a proxy that is seen for the first time any request counts.
pub fn between(before: Option<(Count, Duration)>, now: Count, terms: &Terms) -> Between {
    let (earlier, elapsed) = match before {
        Some((earlier, elapsed)) if !restarted(earlier, now) => (earlier, elapsed),
        Some((_, elapsed)) => (Count::default(), elapsed),
        None => (Count::default(), terms.interval),
    };
    let bytes = now.bytes.saturating_sub(earlier.bytes);
    // Bytes that came at once are not spread over a long time in which nobody could look, nor is a heartbeat that came
    // between two quick looks blown up.
    let elapsed = elapsed.clamp(terms.interval, terms.interval * 2);
    let allowed = u128::from(terms.bytes_per_second) * elapsed.as_millis() / 1000;
    if now.requests > earlier.requests {
        Between::Request
    } else if u128::from(bytes) > allowed {
        Between::Traffic
    } else {
        Between::Quiet
    }
}

/// Whether the proxy began to count anew. By the counts alone that is not seen where they have caught up meanwhile.
fn restarted(earlier: Count, now: Count) -> bool {
    let younger = earlier.uptime.is_some_and(|earlier| now.uptime.is_none_or(|now| now < earlier));
    younger || now.requests < earlier.requests || now.bytes < earlier.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use computing_unit_api::IdleAction;

    fn terms() -> Terms {
        Terms {
            timeout: Duration::from_hours(1),
            action: IdleAction::Suspend,
            grace: Duration::ZERO,
            interval: Duration::from_secs(30),
            bytes_per_second: 200,
        }
    }

    fn count(requests: u64, bytes: u64, uptime: u64) -> Count {
        Count { requests, bytes, uptime: Some(uptime) }
    }

    fn after(seconds: u64, before: Count, now: Count) -> Between {
        between(Some((before, Duration::from_secs(seconds))), now, &terms())
    }

    #[test]
    fn a_request_is_use_and_so_are_many_bytes() {
        let before = count(7, 1000, 100);
        assert_eq!(after(30, before, count(7, 1000, 130)), Between::Quiet);
        assert_eq!(after(30, before, count(8, 1100, 130)), Between::Request);
        assert_eq!(after(30, before, count(7, 7000, 130)), Between::Quiet, "200 bytes a second are allowed");
        assert_eq!(after(30, before, count(7, 7001, 130)), Between::Traffic);
    }

    #[test]
    fn bytes_are_neither_spread_over_a_gap_nor_over_a_moment() {
        let before = count(7, 1000, 100);
        assert_eq!(after(3600, before, count(7, 13_000, 3700)), Between::Quiet);
        assert_eq!(after(3600, before, count(7, 13_001, 3700)), Between::Traffic);
        assert_eq!(after(0, before, count(7, 1100, 100)), Between::Quiet, "a heartbeat right before the act");
    }

    #[test]
    fn a_restarted_proxy_counts_from_zero() {
        let before = count(7, 1000, 100);
        assert_eq!(after(30, before, count(0, 0, 5)), Between::Quiet);
        assert_eq!(after(30, before, count(1, 10, 5)), Between::Request);
        assert_eq!(after(30, before, count(7, 1000, 5)), Between::Request, "as many as before, and all new");
        assert_eq!(after(30, before, Count { uptime: None, ..before }), Between::Request);
        assert_eq!(after(30, before, count(3, 1000, 130)), Between::Request, "even if it does not say so");
    }

    #[test]
    fn what_a_new_proxy_has_counted_is_use() {
        assert_eq!(between(None, count(0, 0, 5), &terms()), Between::Quiet);
        assert_eq!(between(None, count(1, 0, 5), &terms()), Between::Request);
        assert_eq!(between(None, count(0, 7000, 5), &terms()), Between::Traffic);
    }
}
