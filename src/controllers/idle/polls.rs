//! Requests of open pages that poll the server, which do not count as use up to a rate.
//!
//! Pure. The rate is that of a whole minute, whatever the interval between two scans: of four requests per minute, one is
//! in every second scan of 10 s, and two may be in a scan of 20 s.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_mins(1);

/// The requests of the last minute, without those that counted as use.
#[derive(Debug, Default)]
pub struct Polls {
    /// The number of requests between two scans, and the times of both.
    recent: VecDeque<(u64, Instant, Instant)>,
    last: Option<Instant>,
}

impl Polls {
    /// Adds the requests since the last scan. Returns whether they count as use.
    pub fn exceed(&mut self, requests: u64, per_minute: u64, now: Instant) -> bool {
        let since = self.last.replace(now).unwrap_or(now);
        if requests == 0 {
            return false;
        }
        self.recent.push_back((requests, since, now));
        self.recent.retain(|(_, _, until)| now.saturating_duration_since(*until) < WINDOW);
        let begin = self.recent.front().map_or(now, |(_, since, _)| *since);
        // At most two windows: a burst is not averaged over a long time without scans.
        let covered = now.saturating_duration_since(begin).clamp(WINDOW, WINDOW * 2);
        let allowed = u128::from(per_minute) * covered.as_millis() / WINDOW.as_millis();
        let sum = self.recent.iter().map(|(requests, ..)| u128::from(*requests)).sum::<u128>();
        let exceed = sum > allowed;
        if exceed {
            self.recent.clear();
        }
        exceed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many scans counted requests as use, of requests at a fixed interval, in ten minutes.
    fn uses(request_interval: u64, scan_interval: u64, per_minute: u64) -> usize {
        let (begin, mut polls) = (Instant::now(), Polls::default());
        let before = |second: u64| second.div_ceil(request_interval);
        let scans = (0..=600).step_by(usize::try_from(scan_interval).unwrap());
        let counted = scans.filter(|second| {
            let requests = before(*second) - before(second.saturating_sub(scan_interval));
            polls.exceed(requests, per_minute, begin + Duration::from_secs(*second))
        });
        counted.count()
    }

    #[test]
    fn rate_is_that_of_a_minute_at_any_interval_of_scans() {
        for scan_interval in [1, 5, 7, 30, 60, 90] {
            // A page that sends 6 requests a minute, and a rate one above.
            assert_eq!(uses(10, scan_interval, 7), 0, "every {scan_interval} s");
            assert!(uses(7, scan_interval, 7) >= 5, "8.6 requests a minute, every {scan_interval} s");
        }
        assert_eq!(uses(60, 30, 2), 0, "one poll a minute");
        assert!(uses(60, 30, 0) >= 10, "each request counts");
    }

    #[test]
    fn burst_is_not_averaged_over_a_gap() {
        let (begin, mut polls) = (Instant::now(), Polls::default());
        assert!(!polls.exceed(0, 4, begin));
        assert!(polls.exceed(9, 4, begin + Duration::from_hours(1)));
        assert!(!polls.exceed(4, 4, begin + Duration::from_secs(3630)), "what counted as use is not counted again");
    }
}
