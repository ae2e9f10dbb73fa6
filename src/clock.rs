//! Monotonic clock for intervals, wall clock for published timestamps.
//!
//! Pure.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A larger difference between the clocks counts as a step of the wall clock. A smaller one is drift.
const STEP: SignedDuration = SignedDuration::from_secs(5);

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub monotonic: Instant,
    pub wall: Timestamp,
}

impl Now {
    pub fn read() -> Self {
        Self { monotonic: Instant::now(), wall: Timestamp::now() }
    }

    /// The monotonic time of a timestamp; now if it is in the future. `None` if it precedes the range of the clock.
    pub fn monotonic_at(&self, wall: Timestamp) -> Option<Instant> {
        let age = self.wall.duration_since(wall);
        self.monotonic.checked_sub(Duration::try_from(age).unwrap_or_default())
    }
}

/// Converts monotonic times to timestamps. The same time has the same timestamp until the wall clock is stepped.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Now);

impl Clock {
    pub const fn new(now: Now) -> Self {
        Self(now)
    }

    /// Detects a step of the wall clock.
    pub fn sync(&mut self, now: Now) {
        let difference = now.wall.duration_since(self.wall(now.monotonic));
        if difference.abs() > STEP {
            self.0 = now;
        }
    }

    pub fn wall(&self, at: Instant) -> Timestamp {
        let later = at.saturating_duration_since(self.0.monotonic);
        let earlier = self.0.monotonic.saturating_duration_since(at);
        let wall = self.0.wall.saturating_add(later).and_then(|wall| wall.saturating_sub(earlier));
        // Only durations with calendar units are an error.
        wall.unwrap_or(self.0.wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_of_a_moment_changes_only_when_the_wall_clock_is_stepped() {
        let monotonic = Instant::now() + Duration::from_hours(1);
        let at = |seconds: u64, wall: &str| Now {
            monotonic: monotonic + Duration::from_secs(seconds),
            wall: wall.parse().unwrap(),
        };
        let mut clock = Clock::new(at(0, "2026-01-01T12:00:00Z"));
        let before = monotonic - Duration::from_secs(10);
        assert_eq!(clock.wall(before).to_string(), "2026-01-01T11:59:50Z");
        clock.sync(at(60, "2026-01-01T12:01:04Z"));
        assert_eq!(clock.wall(before).to_string(), "2026-01-01T11:59:50Z", "drift");
        clock.sync(at(60, "2026-01-01T13:01:00Z"));
        assert_eq!(clock.wall(before).to_string(), "2026-01-01T12:59:50Z", "a step");
        clock.sync(at(60, "2026-01-01T12:01:00Z"));
        assert_eq!(clock.wall(before).to_string(), "2026-01-01T11:59:50Z", "a step back");
    }

    #[test]
    fn timestamp_in_the_future_is_now() {
        let now = Now { monotonic: Instant::now(), wall: "2026-01-01T12:00:00Z".parse().unwrap() };
        assert_eq!(now.monotonic_at("2026-01-01T12:04:00Z".parse().unwrap()), Some(now.monotonic));
        let long_ago = now.monotonic_at("1800-01-01T12:04:00Z".parse().unwrap());
        assert!(long_ago.is_none_or(|moment| moment < now.monotonic));
    }
}
