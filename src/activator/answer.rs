//! What is said of a unit that has no route: status, words and, where asking again helps, when.
//!
//! Pure. It tells phase, stages and a reason in one word, never the messages of conditions: those are for whoever may read
//! the unit.

use computing_unit_api::{ComputingUnit, Phase, Stages};
use http::StatusCode;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::situation::{Situation, situation};
use crate::metrics::ActivatorOutcome;

/// An answer in words.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Where the unit is, in one word of a closed set.
    pub state: &'static str,
    /// What is counted.
    pub outcome: ActivatorOutcome,
    /// The status code.
    pub status: StatusCode,
    /// When to ask again, in seconds.
    pub retry_after: Option<u32>,
    /// A few words.
    pub title: String,
    /// A sentence.
    pub detail: String,
    /// What the page's link is called.
    pub action: &'static str,
    /// The stages that the present start has passed.
    pub stages: Stages,
    /// Name and phase of the unit.
    pub unit: Option<(String, Option<Phase>)>,
}

impl Answer {
    /// No unit has this address, or nobody may know of it.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            state: "unknown",
            outcome: ActivatorOutcome::Unknown,
            status: StatusCode::NOT_FOUND,
            retry_after: None,
            title: "No such unit".to_owned(),
            detail: "No computing unit has this address. It may have been deleted.".to_owned(),
            action: "",
            stages: Stages::default(),
            unit: None,
        }
    }

    /// The pool has its units looked up by host name, and the request came without that of the unit whose key it carries.
    #[must_use]
    pub fn misdirected() -> Self {
        Self {
            state: "misdirected",
            outcome: ActivatorOutcome::Misdirected,
            status: StatusCode::MISDIRECTED_REQUEST,
            title: "Not authorized for this unit".to_owned(),
            detail: "The gateway's authorization did not answer with the host name of the unit whose key the request \
                     carries. Whoever runs the gateway finds in the pool's spec.routing.query.lookupDomain what it has \
                     to answer; its SecurityPolicy needs recomputeRoute, and host among headersToBackend."
                .to_owned(),
            ..Self::unknown()
        }
    }

    /// The operator has not seen the units yet.
    #[must_use]
    pub fn not_yet() -> Self {
        Self {
            state: "starting",
            outcome: ActivatorOutcome::Starting,
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: Some(1),
            title: "One moment".to_owned(),
            detail: "What is known of this unit is being read.".to_owned(),
            action: "Ask again",
            ..Self::unknown()
        }
    }

    /// What is said of `unit`. `starts`: a request has asked for its start, which is under way.
    #[must_use]
    pub fn of(unit: &ComputingUnit, starts: bool) -> Self {
        let name = unit.name_any();
        let phase = unit.status.as_ref().and_then(|status| status.phase);
        let reason = reason(unit);
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let (state, outcome, status, retry_after, title, detail, action) = match situation(unit) {
            Situation::Gone => return Self::unknown(),
            Situation::Suspended if !starts => (
                "suspended",
                ActivatorOutcome::Suspended,
                unavailable,
                None,
                format!("{name} is suspended"),
                format!(
                    "It is started by whoever may change it: kubectl patch computingunit {name} --type merge --patch \
                     '{{\"spec\":{{\"operatingMode\":\"Running\"}}}}'"
                ),
                "Ask again",
            ),
            Situation::Suspending => (
                "suspending",
                ActivatorOutcome::Suspending,
                unavailable,
                Some(2),
                format!("{name} is being suspended"),
                "It cannot be started before that is over.".to_owned(),
                "Ask again",
            ),
            Situation::Suspended | Situation::Starting => (
                "starting",
                ActivatorOutcome::Starting,
                unavailable,
                Some(2),
                format!("{name} is starting"),
                progress(phase, reason.as_deref()),
                "Open it now",
            ),
            Situation::Ready => (
                "ready",
                ActivatorOutcome::Ready,
                unavailable,
                Some(1),
                format!("{name} is ready"),
                "The gateway is about to send requests to it.".to_owned(),
                "Open it now",
            ),
            Situation::Failed => (
                "failed",
                ActivatorOutcome::Ended,
                unavailable,
                None,
                format!("{name} did not start"),
                format!(
                    "{}It is not tried again until somebody changes it or suspends and resumes it.",
                    reason.map(|reason| format!("Reason: {reason}. ")).unwrap_or_default()
                ),
                "Ask again",
            ),
            Situation::Finished => (
                "finished",
                ActivatorOutcome::Ended,
                StatusCode::GONE,
                None,
                format!("{name} has finished"),
                "It has run to its end, or its time is over.".to_owned(),
                "Ask again",
            ),
        };
        // Those of an earlier start say nothing of this one.
        let earlier = matches!(phase, None | Some(Phase::Suspended | Phase::Suspending));
        let stages = unit.status.as_ref().filter(|_| !earlier).map(|status| status.stages.clone()).unwrap_or_default();
        Self { state, outcome, status, retry_after, title, detail, action, stages, unit: Some((name, phase)) }
    }

    /// Whether the unit will be reachable by itself.
    #[must_use]
    pub const fn passes(&self) -> bool {
        self.retry_after.is_some()
    }

    /// As problem details (RFC 9457).
    #[must_use]
    pub fn problem(&self) -> Value {
        let mut problem = json!({
            "type": format!("urn:computing-unit:{}", self.state),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "state": self.state,
        });
        if let Some((name, phase)) = &self.unit {
            problem["unit"] = json!(name);
            problem["phase"] = json!(phase);
            problem["stages"] = json!(self.stages);
            problem["action"] = json!(self.action);
        }
        if let Some(seconds) = self.retry_after {
            problem["retryAfter"] = json!(seconds);
        }
        problem
    }
}

fn progress(phase: Option<Phase>, reason: Option<&str>) -> String {
    let trouble = reason.filter(|reason| ["Unschedulable", "ImagePullFailed", "CrashLoop"].contains(reason));
    match (trouble, phase) {
        (Some(reason), _) => format!("It takes longer than usual: {reason}."),
        (None, Some(Phase::NotReady)) => "It is being made reachable again.".to_owned(),
        (None, _) => "It opens here as soon as it is ready.".to_owned(),
    }
}

/// Why the unit is not ready, in one word.
fn reason(unit: &ComputingUnit) -> Option<String> {
    let conditions = &unit.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status != "True")?;
    Some(ready.reason.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activator::situation::tests::unit;
    use computing_unit_api::OperatingMode;

    #[test]
    fn every_situation_has_an_answer() {
        use OperatingMode::{Running, Suspended};
        for (mode, phase, starts, state, status, retry_after) in [
            (Suspended, Phase::Suspended, false, "suspended", 503, None),
            (Suspended, Phase::Suspended, true, "starting", 503, Some(2)),
            (Suspended, Phase::Suspending, true, "suspending", 503, Some(2)),
            (Running, Phase::Pending, false, "starting", 503, Some(2)),
            (Running, Phase::NotReady, false, "starting", 503, Some(2)),
            (Running, Phase::Ready, false, "ready", 503, Some(1)),
            (Running, Phase::Failed, false, "failed", 503, None),
            (Running, Phase::Finished, false, "finished", 410, None),
            (Running, Phase::Terminating, false, "unknown", 404, None),
        ] {
            let answer = Answer::of(&unit(mode, Some(phase), 2), starts);
            let seen = (answer.state, answer.status.as_u16(), answer.retry_after);
            assert_eq!(seen, (state, status, retry_after), "{mode:?} {phase:?}");
        }
    }

    #[test]
    fn a_problem_tells_unit_phase_and_stages_and_no_message_of_a_condition() {
        let mut unit = unit(OperatingMode::Running, Some(Phase::Failed), 2);
        let condition = json!({"type": "Ready", "status": "False", "reason": "StartTimeout",
            "message": "password=hunter2", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        unit.status.as_mut().unwrap().conditions.push(serde_json::from_value(condition).unwrap());
        let problem = Answer::of(&unit, false).problem();
        assert_eq!(
            (&problem["unit"], &problem["phase"], &problem["status"]),
            (&json!("ada"), &json!("Failed"), &json!(503))
        );
        assert_eq!(problem["stages"]["scheduled"], "2026-01-01T00:00:01Z");
        assert!(problem["detail"].as_str().unwrap().contains("StartTimeout"), "{problem}");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
        assert!(Answer::unknown().problem().get("unit").is_none());
    }
}
