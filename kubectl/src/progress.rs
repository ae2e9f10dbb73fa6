//! What is told of a unit while it is waited for: the steps that it has taken, and what lasts. Pure; time comes in as the
//! time since waiting began.

use std::time::Duration;

use computing_unit_api::{ComputingUnit, Phase};

use crate::{
    blocker::{Blocker, blocker},
    goal::Goal,
    said::{is_current, one_line},
};

/// How long the same thing may keep a unit before it is worth a line.
const LASTS: Duration = Duration::from_secs(2);

/// How long after its last error the API server counts as away; longer than the pause before it is asked again.
const FORGOTTEN: Duration = Duration::from_secs(45);

/// What has been said of a unit so far.
#[derive(Debug)]
pub struct Report {
    goal: Goal,
    passed: Vec<(&'static str, Duration)>,
    blocker: Blocker,
    since: Duration,
    told: bool,
    away: Option<Away>,
}

/// The API server does not answer.
#[derive(Debug)]
struct Away {
    error: String,
    first: Duration,
    last: Duration,
    told: bool,
}

impl Report {
    /// Nothing is said yet of `unit`, which was just created or changed.
    pub fn new(goal: Goal, unit: &ComputingUnit) -> Self {
        Self { goal, passed: vec![], blocker: blocker(goal, unit), since: Duration::ZERO, told: false, away: None }
    }

    /// Takes in a state of the unit, seen `elapsed` after waiting began. Returns a line for each step newly taken.
    pub fn see(&mut self, unit: &ComputingUnit, elapsed: Duration) -> Vec<String> {
        self.away = None;
        let blocker = blocker(self.goal, unit);
        if (blocker.what, &blocker.reason) != (self.blocker.what, &self.blocker.reason) {
            (self.since, self.told) = (elapsed, false);
        }
        self.blocker = blocker;
        let now = steps(self.goal, unit);
        if self.goal == Goal::Ready {
            // A pod that is lost takes its stages with it.
            self.passed.retain(|(step, _)| now.contains(step));
        }
        let mut lines = Vec::new();
        for step in now {
            if self.passed.iter().all(|(passed, _)| *passed != step) {
                self.passed.push((step, elapsed));
                lines.push(at(elapsed, step));
            }
        }
        lines
    }

    /// Takes in that the API server cannot be watched.
    pub fn lost(&mut self, error: &str, elapsed: Duration) {
        let earlier = self.away.take().filter(|away| elapsed.saturating_sub(away.last) < FORGOTTEN);
        let (first, told) = earlier.map_or((elapsed, false), |away| (away.first, away.told));
        self.away = Some(Away { error: one_line(error), first, last: elapsed, told });
    }

    /// What the unit waits for, or that nobody knows.
    pub fn waits_for(&self, elapsed: Duration) -> String {
        match &self.away {
            Some(away) if away.lasts(elapsed) => format!("waiting for the API server: {}", away.error),
            _ => self.blocker.sentence(),
        }
    }

    /// A line on what the unit waits for, once for each thing that lasts.
    pub fn lasting(&mut self, elapsed: Duration) -> Option<String> {
        let away = self.away.as_mut().filter(|away| away.lasts(elapsed));
        let told = match away {
            Some(away) => &mut away.told,
            None if elapsed.saturating_sub(self.since) >= LASTS => &mut self.told,
            None => return None,
        };
        if std::mem::replace(told, true) {
            return None;
        }
        Some(at(elapsed, &self.waits_for(elapsed)))
    }

    /// Everything in one line, for a terminal.
    pub fn line(&self, name: &str, elapsed: Duration) -> String {
        let mut parts: Vec<_> = self.passed.iter().map(|(step, at)| format!("{step} {}", seconds(*at))).collect();
        let away = self.away.as_ref().is_some_and(|away| away.lasts(elapsed));
        if away || elapsed.saturating_sub(self.since) >= LASTS {
            parts.push(self.waits_for(elapsed));
        }
        format!(
            "{name} {}: {}",
            seconds(elapsed),
            if parts.is_empty() { "asked for".to_owned() } else { parts.join(", ") }
        )
    }
}

impl Away {
    fn lasts(&self, elapsed: Duration) -> bool {
        self.last.saturating_sub(self.first) >= LASTS && elapsed.saturating_sub(self.last) < FORGOTTEN
    }
}

/// What a unit has gone through on its way: the stages of its start, or its phase.
fn steps(goal: Goal, unit: &ComputingUnit) -> Vec<&'static str> {
    let Some(status) = unit.status.as_ref().filter(|_| is_current(unit)) else { return vec![] };
    if goal != Goal::Ready {
        return status.phase.map(Phase::as_str).into_iter().collect();
    }
    let stages = &status.stages;
    [
        ("accepted", &stages.accepted),
        ("scheduled", &stages.scheduled),
        ("pod ready", &stages.pod_ready),
        ("route accepted", &stages.route_accepted),
        ("reachable", &stages.reachable),
    ]
    .into_iter()
    .filter_map(|(stage, passed)| passed.as_ref().map(|_| stage))
    .collect()
}

fn at(elapsed: Duration, text: &str) -> String {
    format!("{:>7}  {text}", seconds(elapsed))
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1}s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing;

    fn unit(status: Value) -> ComputingUnit {
        serde_json::from_value(testing::unit(status)).unwrap()
    }

    fn says(type_: &str, status: &str, reason: &str) -> Value {
        testing::condition(type_, status, reason)
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn stages_are_told_once_with_the_time_they_were_seen_at() {
        let mut report = Report::new(Goal::Ready, &unit(Value::Null));
        let t = "2026-01-01T00:00:00Z";
        let first = unit(json!({"phase": "Pending", "stages": {"accepted": t, "scheduled": t}}));
        assert_eq!(report.see(&first, ms(140)), ["   0.1s  accepted", "   0.1s  scheduled"]);
        assert_eq!(report.see(&first, ms(200)), [""; 0]);
        let second = unit(json!({"phase": "Starting", "stages": {"accepted": t, "scheduled": t, "podReady": t}}));
        assert_eq!(report.see(&second, ms(12_300)), ["  12.3s  pod ready"]);
        assert_eq!(
            report.line("ada", ms(12_400)),
            "ada 12.4s: accepted 0.1s, scheduled 0.1s, pod ready 12.3s, waiting for the operator: it has not looked at \
             the unit yet; check that it runs, and that it watches this namespace"
        );
    }

    #[test]
    fn what_lasts_is_told_once_until_it_changes() {
        let mut report = Report::new(Goal::Ready, &unit(Value::Null));
        assert_eq!(report.lasting(ms(1_900)), None);
        assert!(report.lasting(ms(2_000)).unwrap().contains("waiting for the operator"));
        assert_eq!(report.lasting(ms(3_000)), None);
        let waits = |reason| {
            unit(json!({"conditions": [says("Accepted", "True", "Accepted"), says("PodReady", "False", reason)]}))
        };
        report.see(&waits("Unschedulable"), ms(4_000));
        assert_eq!(report.lasting(ms(5_000)), None, "it may pass in a moment");
        report.see(&waits("Unschedulable"), ms(5_500));
        assert_eq!(
            report.lasting(ms(6_000)).unwrap(),
            "   6.0s  waiting for the pod: Unschedulable: about Unschedulable"
        );
        assert_eq!(report.lasting(ms(60_000)), None);
        report.see(&waits("ImagePullFailed"), ms(61_000));
        assert!(report.lasting(ms(64_000)).unwrap().contains("ImagePullFailed"));
    }

    #[test]
    fn an_api_server_that_stays_away_is_told_and_forgotten() {
        let mut report = Report::new(Goal::Ready, &unit(Value::Null));
        report.see(&unit(Value::Null), ms(100));
        report.lost("refused", ms(500));
        assert_eq!(report.lasting(ms(1_000)), None, "a watch that breaks once is nothing");
        report.lost("refused\nagain", ms(2_600));
        assert_eq!(report.lasting(ms(2_700)).unwrap(), "   2.7s  waiting for the API server: refused again");
        assert_eq!(report.lasting(ms(2_800)), None);
        assert!(report.line("ada", ms(2_900)).contains("waiting for the API server"));
        report.see(&unit(Value::Null), ms(3_000));
        assert!(report.waits_for(ms(3_000)).starts_with("waiting for the operator"));
        report.lost("refused", ms(4_000));
        report.lost("refused", ms(6_000));
        assert!(report.waits_for(ms(7_000)).starts_with("waiting for the API server"));
        assert!(report.waits_for(ms(60_000)).starts_with("waiting for the operator"), "a quiet watch is back");
    }

    #[test]
    fn on_other_ways_each_phase_is_a_step() {
        let mut report = Report::new(Goal::Suspended, &unit(json!({"phase": "Ready", "observedGeneration": 0})));
        assert_eq!(report.see(&unit(json!({"phase": "Ready", "observedGeneration": 0})), ms(10)), [""; 0], "as it was");
        let suspending = unit(json!({"phase": "Suspending", "observedGeneration": 1}));
        assert_eq!(report.see(&suspending, ms(100)), ["   0.1s  Suspending"]);
        assert_eq!(report.see(&unit(json!({"phase": "Suspended"})), ms(1_100)), ["   1.1s  Suspended"]);
    }
}
