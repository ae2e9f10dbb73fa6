//! Progress of a unit: the steps that it has passed, and the unmet condition. Times are relative to the start of the wait.

use std::time::Duration;

use computing_unit_api::{ComputingUnit, Phase};

use crate::{
    goal::Goal,
    status::{is_current, one_line},
    unmet::{Unmet, unmet},
};

/// Time after which an unmet condition is reported.
const PERSISTS_AFTER: Duration = Duration::from_secs(2);

/// Time after the last error at which the API server counts as available again. It is longer than the backoff of a watch.
const RECONNECTED_AFTER: Duration = Duration::from_secs(45);

/// Progress of a unit, and what was reported of it.
#[derive(Debug)]
pub struct Report {
    goal: Goal,
    passed: Vec<(&'static str, Duration)>,
    unmet: Unmet,
    since: Duration,
    reported: bool,
    outage: Option<Outage>,
}

/// The API server is not available.
#[derive(Debug)]
struct Outage {
    error: String,
    first: Duration,
    last: Duration,
    reported: bool,
}

impl Report {
    /// Progress of a unit that was just created or changed.
    pub fn new(goal: Goal, unit: &ComputingUnit) -> Self {
        let unmet = unmet(&goal, unit);
        Self { goal, passed: vec![], unmet, since: Duration::ZERO, reported: false, outage: None }
    }

    /// Records a state of the unit. Returns a line for each step that it has newly passed.
    pub fn observe(&mut self, unit: &ComputingUnit, elapsed: Duration) -> Vec<String> {
        self.outage = None;
        let unmet = unmet(&self.goal, unit);
        if (unmet.subject, &unmet.reason) != (self.unmet.subject, &self.unmet.reason) {
            (self.since, self.reported) = (elapsed, false);
        }
        self.unmet = unmet;
        let now = steps(&self.goal, unit);
        if !matches!(self.goal, Goal::Suspended | Goal::Stopping | Goal::Finished | Goal::Resized | Goal::Deleted) {
            // The stages of a pod are cleared if it is lost.
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

    /// Records an error of the watch.
    pub fn disconnected(&mut self, error: &str, elapsed: Duration) {
        let earlier = self.outage.take().filter(|outage| elapsed.saturating_sub(outage.last) < RECONNECTED_AFTER);
        let (first, reported) = earlier.map_or((elapsed, false), |outage| (outage.first, outage.reported));
        self.outage = Some(Outage { error: one_line(error), first, last: elapsed, reported });
    }

    /// What the wait is for: the unmet condition, or the API server.
    pub fn waiting_for(&self, elapsed: Duration) -> String {
        match &self.outage {
            Some(outage) if outage.persists(elapsed) => format!("waiting for the API server: {}", outage.error),
            _ => self.unmet.message(),
        }
    }

    /// A line for the unmet condition or outage if it persists and is not reported yet.
    pub fn persisting(&mut self, elapsed: Duration) -> Option<String> {
        let outage = self.outage.as_mut().filter(|outage| outage.persists(elapsed));
        let reported = match outage {
            Some(outage) => &mut outage.reported,
            None if elapsed.saturating_sub(self.since) >= PERSISTS_AFTER => &mut self.reported,
            None => return None,
        };
        if std::mem::replace(reported, true) {
            return None;
        }
        Some(at(elapsed, &self.waiting_for(elapsed)))
    }

    /// The progress in one line without the name of the unit, for a terminal.
    pub fn line(&self, elapsed: Duration) -> String {
        let mut parts: Vec<_> = self.passed.iter().map(|(step, at)| format!("{step} {}", seconds(*at))).collect();
        let outage = self.outage.as_ref().is_some_and(|outage| outage.persists(elapsed));
        if outage || elapsed.saturating_sub(self.since) >= PERSISTS_AFTER {
            parts.push(self.waiting_for(elapsed));
        }
        format!("{}  {}", seconds(elapsed), if parts.is_empty() { "requested".to_owned() } else { parts.join(", ") })
    }
}

impl Outage {
    fn persists(&self, elapsed: Duration) -> bool {
        self.last.saturating_sub(self.first) >= PERSISTS_AFTER && elapsed.saturating_sub(self.last) < RECONNECTED_AFTER
    }
}

/// The steps that a unit has passed: the stages of its start, or its phase.
fn steps(goal: &Goal, unit: &ComputingUnit) -> Vec<&'static str> {
    let Some(status) = unit.status.as_ref().filter(|_| is_current(unit)) else { return vec![] };
    if !matches!(goal, Goal::Ready | Goal::Condition { .. } | Goal::JsonPath { .. }) {
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
    use crate::testing::{self, condition};

    fn unit(status: Value) -> ComputingUnit {
        serde_json::from_value(testing::unit(status)).unwrap()
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn each_stage_is_reported_once_with_its_time() {
        let mut report = Report::new(Goal::Ready, &unit(Value::Null));
        let t = "2026-01-01T00:00:00Z";
        let first = unit(json!({"phase": "Pending", "stages": {"accepted": t, "scheduled": t}}));
        assert_eq!(report.observe(&first, ms(140)), ["   0.1s  accepted", "   0.1s  scheduled"]);
        assert_eq!(report.observe(&first, ms(200)), [""; 0]);
        let second = unit(json!({"phase": "Starting", "stages": {"accepted": t, "scheduled": t, "podReady": t}}));
        assert_eq!(report.observe(&second, ms(12_300)), ["  12.3s  pod ready"]);
        assert_eq!(
            report.line(ms(12_400)),
            "12.4s  accepted 0.1s, scheduled 0.1s, pod ready 12.3s, waiting for the operator: the unit \
             is not reconciled yet; check that the operator is running and watches this namespace"
        );
    }

    #[test]
    fn unmet_condition_that_persists_is_reported_once() {
        let mut report = Report::new(Goal::Ready, &unit(Value::Null));
        assert_eq!(report.persisting(ms(1_900)), None);
        assert!(report.persisting(ms(2_000)).unwrap().contains("waiting for the operator"));
        assert_eq!(report.persisting(ms(3_000)), None);
        let with_reason = |reason| {
            unit(
                json!({"conditions": [condition("Accepted", "True", "Accepted"), condition("PodReady", "False", reason)]}),
            )
        };
        report.observe(&with_reason("Unschedulable"), ms(4_000));
        assert_eq!(report.persisting(ms(5_000)), None, "it does not persist yet");
        report.observe(&with_reason("Unschedulable"), ms(5_500));
        assert_eq!(
            report.persisting(ms(6_000)).unwrap(),
            "   6.0s  waiting for the pod: Unschedulable: about Unschedulable"
        );
        assert_eq!(report.persisting(ms(60_000)), None);
        report.observe(&with_reason("ImagePullFailed"), ms(61_000));
        assert!(report.persisting(ms(64_000)).unwrap().contains("ImagePullFailed"));
    }

    #[test]
    fn outage_of_the_api_server_is_reported_until_it_ends() {
        let mut report = Report::new(Goal::Ready, &unit(Value::Null));
        report.observe(&unit(Value::Null), ms(100));
        report.disconnected("refused", ms(500));
        assert_eq!(report.persisting(ms(1_000)), None, "a single error is not an outage");
        report.disconnected("refused\nagain", ms(2_600));
        assert_eq!(report.persisting(ms(2_700)).unwrap(), "   2.7s  waiting for the API server: refused again");
        assert_eq!(report.persisting(ms(2_800)), None);
        assert!(report.line(ms(2_900)).contains("waiting for the API server"));
        report.observe(&unit(Value::Null), ms(3_000));
        assert!(report.waiting_for(ms(3_000)).starts_with("waiting for the operator"));
        report.disconnected("refused", ms(4_000));
        report.disconnected("refused", ms(6_000));
        assert!(report.waiting_for(ms(7_000)).starts_with("waiting for the API server"));
        assert!(report.waiting_for(ms(60_000)).starts_with("waiting for the operator"), "no error for a while");
    }

    #[test]
    fn phases_are_the_steps_of_other_goals() {
        let mut report = Report::new(Goal::Suspended, &unit(json!({"phase": "Ready", "observedGeneration": 0})));
        assert_eq!(
            report.observe(&unit(json!({"phase": "Ready", "observedGeneration": 0})), ms(10)),
            [""; 0],
            "an earlier generation"
        );
        let suspending = unit(json!({"phase": "Suspending", "observedGeneration": 1}));
        assert_eq!(report.observe(&suspending, ms(100)), ["   0.1s  Suspending"]);
        assert_eq!(report.observe(&unit(json!({"phase": "Suspended"})), ms(1_100)), ["   1.1s  Suspended"]);
    }
}
