//! When a unit is woken while its goal is not reached.
//!
//! Pure. Each wake is a reconcile, so there are few of them.

use std::time::Duration;

use super::{
    patience::{FIRST_NEWS, NEWS, NUDGE},
    tally::Missing,
};

/// Which wakes were sent while a goal is not reached.
#[derive(Default)]
pub(super) struct News {
    told: Option<(Missing, Duration)>,
    nudged: bool,
}

impl News {
    /// Whether the unit is to be woken by what is missing now, `elapsed` after the beginning.
    pub(super) fn is_due(&mut self, missing: &Missing, elapsed: Duration) -> bool {
        let due = match &self.told {
            None => elapsed >= FIRST_NEWS,
            Some((told, at)) => !told.is_like(missing) && elapsed >= *at + NEWS,
        };
        if due {
            self.told = Some((missing.clone(), elapsed));
        }
        due
    }

    /// Whether the unit is to be woken because it has not asked for so long: once, until it has asked again.
    pub(super) fn is_nudge_due(&mut self, unasked: Duration) -> bool {
        let long = unasked > NUDGE;
        let due = long && !self.nudged;
        self.nudged = long;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Missing = Missing::Some { having: 0, of: 2 };
    const ONE: Missing = Missing::Some { having: 1, of: 2 };

    fn unknown() -> Missing {
        Missing::Unknown("why".into())
    }

    #[test]
    fn the_first_news_waits_and_later_news_is_of_another_kind_and_rare() {
        let mut news = News::default();
        let mut at = |missing: &Missing, seconds| news.is_due(missing, Duration::from_secs(seconds));
        assert!(!at(&NONE, 1));
        assert!(at(&NONE, 2));
        assert!(!at(&ONE, 60));
        assert!(at(&unknown(), 61));
        assert!(!at(&NONE, 70));
        assert!(at(&NONE, 71));
    }

    #[test]
    fn a_unit_that_does_not_ask_is_nudged_once() {
        let mut news = News::default();
        let mut at = |seconds| news.is_nudge_due(Duration::from_secs(seconds));
        assert_eq!([59, 61, 62, 200].map(&mut at), [false, true, false, false]);
        assert_eq!([0, 61].map(at), [false, true], "it has asked again");
    }
}
