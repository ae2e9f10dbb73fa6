//! When a probe task wakes its unit before the goal is reached.
//!
//! Pure. Each wake is a reconcile, so there are few.

use std::time::Duration;

use super::{
    pacing::{FIRST_WAKE, REMINDER, WAKE_INTERVAL},
    tally::Missing,
};

#[derive(Default)]
pub(super) struct WakePolicy {
    /// What the last wake was about, and when it was.
    last: Option<(Missing, Duration)>,
    reminded: bool,
}

impl WakePolicy {
    /// Whether to wake the unit because of what is missing, `elapsed` after the start.
    pub(super) fn is_due(&mut self, missing: &Missing, elapsed: Duration) -> bool {
        let due = match &self.last {
            None => elapsed >= FIRST_WAKE,
            Some((last, at)) => !last.is_like(missing) && elapsed >= *at + WAKE_INTERVAL,
        };
        if due {
            self.last = Some((missing.clone(), elapsed));
        }
        due
    }

    /// Whether to wake the unit because its probe has not been read for so long. True once until it is read again.
    pub(super) fn is_reminder_due(&mut self, unread: Duration) -> bool {
        let long = unread > REMINDER;
        let due = long && !self.reminded;
        self.reminded = long;
        due
    }
}

#[cfg(test)]
mod tests {
    use computing_unit_api::GatewayRef;

    use super::*;

    const NONE: Missing = Missing::Routes { confirmed: 0, total: 2 };
    const ONE: Missing = Missing::Routes { confirmed: 1, total: 2 };

    #[test]
    fn unit_is_woken_when_another_kind_of_thing_is_missing() {
        let mut policy = WakePolicy::default();
        let mut at = |missing: &Missing, seconds| policy.is_due(missing, Duration::from_secs(seconds));
        let gateway = GatewayRef { name: "shared".into(), namespace: "gateways".into(), section_name: None };
        assert!(!at(&NONE, 1));
        assert!(at(&NONE, 2));
        assert!(!at(&ONE, 60));
        assert!(at(&Missing::Proxies(gateway), 61));
        assert!(!at(&NONE, 70));
        assert!(at(&NONE, 71));
    }

    #[test]
    fn unit_is_reminded_once_until_it_reads_its_probe() {
        let mut policy = WakePolicy::default();
        let mut at = |seconds| policy.is_reminder_due(Duration::from_secs(seconds));
        assert_eq!([59, 61, 62, 200].map(&mut at), [false, true, false, false]);
        assert_eq!([0, 61].map(at), [false, true]);
    }
}
