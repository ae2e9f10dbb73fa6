//! Two clocks: one that only runs on, for what has passed, and the one on the wall, for what is published.
//!
//! Pure.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// How far the clocks may drift apart before the one on the wall counts as set anew.
const STEP: SignedDuration = SignedDuration::from_secs(5);

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// On the one that only runs on.
    pub running: Instant,
    /// On the wall.
    pub wall: Timestamp,
}

impl Now {
    /// This moment.
    pub fn read() -> Self {
        Self { running: Instant::now(), wall: Timestamp::now() }
    }

    /// The moment that a time on the wall was; `None` where that is too long ago to be told. What is to come is now.
    pub fn moment(&self, wall: Timestamp) -> Option<Instant> {
        let age = self.wall.duration_since(wall);
        self.running.checked_sub(Duration::try_from(age).unwrap_or_default())
    }
}

/// Tells the time on the wall of a moment, so that the same moment has the same time until the clock on the wall is set.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Now);

impl Clock {
    /// As the clocks are now.
    pub const fn new(now: Now) -> Self {
        Self(now)
    }

    /// Looks whether the clock on the wall was set.
    pub fn look(&mut self, now: Now) {
        let off = now.wall.duration_since(self.wall(now.running));
        if off.abs() > STEP {
            self.0 = now;
        }
    }

    /// The time on the wall of a moment.
    pub fn wall(&self, at: Instant) -> Timestamp {
        let later = at.saturating_duration_since(self.0.running);
        let earlier = self.0.running.saturating_duration_since(at);
        let wall = self.0.wall.saturating_add(later).and_then(|wall| wall.saturating_sub(earlier));
        // Only an amount with years or months in it is an error.
        wall.unwrap_or(self.0.wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_keeps_its_time_until_the_clock_is_set() {
        let running = Instant::now() + Duration::from_hours(1);
        let at = |seconds: u64, wall: &str| Now {
            running: running + Duration::from_secs(seconds),
            wall: wall.parse().unwrap(),
        };
        let mut clock = Clock::new(at(0, "2026-01-01T12:00:00Z"));
        let before = running - Duration::from_secs(10);
        assert_eq!(clock.wall(before).to_string(), "2026-01-01T11:59:50Z");
        clock.look(at(60, "2026-01-01T12:01:04Z"));
        assert_eq!(clock.wall(before).to_string(), "2026-01-01T11:59:50Z", "drift is no step");
        clock.look(at(60, "2026-01-01T13:01:00Z"));
        assert_eq!(clock.wall(before).to_string(), "2026-01-01T12:59:50Z");
        clock.look(at(60, "2026-01-01T12:01:00Z"));
        assert_eq!(clock.wall(before).to_string(), "2026-01-01T11:59:50Z", "and back");
    }

    #[test]
    fn a_time_to_come_is_now() {
        let now = Now { running: Instant::now(), wall: "2026-01-01T12:00:00Z".parse().unwrap() };
        assert_eq!(now.moment("2026-01-01T12:04:00Z".parse().unwrap()), Some(now.running));
        let long_ago = now.moment("1800-01-01T12:04:00Z".parse().unwrap());
        assert!(long_ago.is_none_or(|moment| moment < now.running), "as far as the system can tell");
    }
}
