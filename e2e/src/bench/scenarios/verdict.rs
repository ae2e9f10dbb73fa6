//! Whether a unit was stopped at the right time.
//!
//! Pure. Times are in seconds since the beginning of the batch.

/// What is known of one unit.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// When it was in use. A moment begins and ends at the same time.
    pub used: Vec<(f64, f64)>,
    /// Faults after which idleness is counted from the start, until the system has recovered.
    pub faults: Vec<(f64, f64)>,
    /// When it was stopped.
    pub stopped: Option<f64>,
    /// Until when it was observed.
    pub observed: f64,
}

/// The limits for a unit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub timeout: f64,
    /// How long use counts by the expression of a probe, in addition.
    pub period: f64,
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was stopped in time, or is still in use.
    Correct,
    /// It was stopped while it was in use, or within the idle timeout after that.
    WrongStop,
    /// It was not stopped within twice the idle timeout after the last use or fault.
    MissedStop,
}

impl Timeline {
    /// The end of the last use before `at`.
    pub fn last_use(&self, at: f64) -> Option<f64> {
        last(&self.used, at)
    }

    /// When a unit that is not used again has to be stopped at the latest.
    pub fn latest_stop(&self, limits: Limits) -> f64 {
        let ends = self.used.iter().chain(&self.faults).map(|(_, end)| *end);
        ends.fold(0.0, f64::max) + 2.0 * limits.timeout + limits.period
    }

    pub fn verdict(&self, limits: Limits) -> Verdict {
        let end = self.stopped.unwrap_or(self.observed);
        if let Some(stopped) = self.stopped
            && self.last_use(stopped).is_some_and(|last| stopped < last + limits.timeout)
        {
            return Verdict::WrongStop;
        }
        // The longest that it ran on at any time without use.
        let mut marks: Vec<(f64, f64)> = self.used.iter().chain(&self.faults).copied().collect();
        marks.retain(|(begin, _)| *begin < end);
        marks.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut idle_since = 0.0_f64;
        for (begin, until) in marks.into_iter().chain([(end, end)]) {
            if begin - idle_since > 2.0 * limits.timeout + limits.period {
                return Verdict::MissedStop;
            }
            idle_since = idle_since.max(until);
        }
        Verdict::Correct
    }
}

fn last(spans: &[(f64, f64)], at: f64) -> Option<f64> {
    let before = spans.iter().filter(|(begin, _)| *begin <= at).map(|(_, end)| end.min(at));
    before.max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(used: &[(f64, f64)], faults: &[(f64, f64)], stopped: Option<f64>, observed: f64) -> Verdict {
        let timeline = Timeline { used: used.to_vec(), faults: faults.to_vec(), stopped, observed };
        timeline.verdict(Limits { timeout: 20.0, period: 0.0 })
    }

    #[test]
    fn stop_is_wrong_within_the_timeout_after_the_last_use() {
        let used = [(0.0, 0.0), (5.0, 40.0)];
        let at = |stopped| verdict(&used, &[], Some(stopped), stopped);
        assert_eq!(
            [at(30.0), at(59.0), at(61.0), at(79.0)].map(|verdict| verdict == Verdict::WrongStop),
            [true, true, false, false]
        );
        assert_eq!(
            verdict(&[(0.0, 0.0), (70.0, 70.0)], &[], Some(21.0), 80.0),
            Verdict::Correct,
            "used after the stop"
        );
    }

    #[test]
    fn stop_is_missed_after_twice_the_timeout() {
        assert_eq!(verdict(&[(0.0, 0.0)], &[], Some(41.0), 41.0), Verdict::MissedStop);
        assert_eq!(verdict(&[(0.0, 0.0)], &[], None, 39.0), Verdict::Correct);
        assert_eq!(verdict(&[(0.0, 0.0)], &[(15.0, 18.0)], Some(45.0), 45.0), Verdict::Correct, "observed anew");
        assert_eq!(verdict(&[(0.0, 0.0)], &[(15.0, 18.0)], Some(59.0), 59.0), Verdict::MissedStop);
        assert_eq!(
            verdict(&[(0.0, 0.0), (45.0, 45.0)], &[], Some(70.0), 70.0),
            Verdict::MissedStop,
            "between two uses"
        );
        assert_eq!(verdict(&[(0.0, 90.0), (45.0, 45.0)], &[], None, 91.0), Verdict::Correct);
    }
}
