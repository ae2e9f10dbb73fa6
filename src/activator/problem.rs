//! Describes why a request did not reach its unit: HTTP status, texts, and when to retry.
//!
//! Pure. It contains phase, stages and the reason of a condition, but never the message of a condition: that is for
//! users who may read the unit.

use computing_unit_api::{ComputingUnit, ConditionType, Conditions, Phase, Reason, Severity, Stages};
use http::StatusCode;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{
    not_started,
    state::{State, state},
};
use crate::metrics::{ActivatorOutcome, NotStarted};

/// The page opens the unit by itself, so its link only loads the page again.
const RELOAD: &str = "Reload";

/// The description of one response, which is rendered as a page or as problem details (RFC 9457).
#[derive(Clone, Debug)]
pub struct Problem {
    /// The state of the unit, one of a fixed set of words.
    pub state: &'static str,
    /// The label of the request's metric.
    pub outcome: ActivatorOutcome,
    /// Why the request does not start its unit, which is suspended.
    pub not_started: Option<NotStarted>,
    pub status: StatusCode,
    /// When to retry, in seconds. `None` if a retry does not help.
    pub retry_after: Option<u32>,
    pub title: String,
    pub detail: String,
    /// A command that the detail refers to.
    pub command: Option<String>,
    /// The text of the page's link.
    pub action: &'static str,
    /// The stages of the current start.
    pub stages: Stages,
    /// Name and phase of the unit.
    pub unit: Option<(String, Option<Phase>)>,
}

impl Problem {
    /// No unit has the key, or the pool has no activator.
    pub fn not_found() -> Self {
        Self {
            state: "unknown",
            outcome: ActivatorOutcome::Unknown,
            not_started: None,
            status: StatusCode::NOT_FOUND,
            retry_after: None,
            title: "Unit not found".to_owned(),
            detail: "No computing unit has this URL. It may have been deleted.".to_owned(),
            command: None,
            action: "",
            stages: Stages::default(),
            unit: None,
        }
    }

    /// The pool has `lookup: Host`, and the host name of the request does not belong to the unit that has its key.
    pub fn misdirected() -> Self {
        Self {
            state: "misdirected",
            outcome: ActivatorOutcome::Misdirected,
            status: StatusCode::MISDIRECTED_REQUEST,
            title: "Not authorized for this unit".to_owned(),
            detail:
                "The external authorization did not set the Host header to the internal host name of the unit whose \
                     key the request carries. Administrators: see spec.routing.query.lookupDomain of the pool for \
                     the host name. The SecurityPolicy needs recomputeRoute, and host in headersToBackend."
                    .to_owned(),
            ..Self::not_found()
        }
    }

    /// The watches have not listed all units yet.
    pub fn not_synced() -> Self {
        Self {
            state: "starting",
            outcome: ActivatorOutcome::Starting,
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: Some(1),
            title: "The activator is starting".to_owned(),
            detail: "The list of units is not complete yet.".to_owned(),
            action: RELOAD,
            ..Self::not_found()
        }
    }

    /// Describes `unit`, which is suspended, to a client whose request does not start it.
    pub fn not_started(unit: &ComputingUnit, reason: NotStarted, retry_after: Option<u32>) -> Self {
        let detail = not_started::explanation(reason, &unit.namespace().unwrap_or_default(), &unit.name_any());
        let suspended = Self::of(unit, false);
        let command = suspended.command.filter(|_| matches!(reason, NotStarted::Never | NotStarted::NotIdle));
        Self { not_started: Some(reason), retry_after, detail, command, ..Self::of(unit, false) }
    }

    /// Describes `unit`. `waking` is whether it is being started because of a request.
    pub fn of(unit: &ComputingUnit, waking: bool) -> Self {
        let name = unit.name_any();
        let phase = unit.status.as_ref().and_then(|status| status.phase);
        let reason = reason(unit);
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let (state, outcome, status, retry_after, title, detail) = match state(unit) {
            State::Deleted => return Self::not_found(),
            State::Suspended if !waking => (
                "suspended",
                ActivatorOutcome::Suspended,
                unavailable,
                None,
                format!("{name} is suspended"),
                "Its owner or an administrator can start it with this command:".to_owned(),
            ),
            State::Suspending => (
                "suspending",
                ActivatorOutcome::Suspending,
                unavailable,
                Some(2),
                format!("{name} is being suspended"),
                "It can be started again when this is complete.".to_owned(),
            ),
            State::Suspended | State::Starting => (
                "starting",
                ActivatorOutcome::Starting,
                unavailable,
                Some(2),
                format!("{name} is starting"),
                progress(phase, reason.as_deref()),
            ),
            State::Ready => (
                "ready",
                ActivatorOutcome::Ready,
                unavailable,
                Some(1),
                format!("{name} is ready"),
                "The gateway will route requests to it in a moment.".to_owned(),
            ),
            State::Failed => (
                "failed",
                ActivatorOutcome::Ended,
                unavailable,
                None,
                format!("{name} has failed"),
                format!(
                    "{}It is not retried until its spec changes, or until it is suspended and resumed. Its owner or an \
                     administrator can find the cause with this command:",
                    reason.map(|reason| format!("Reason: {reason}. ")).unwrap_or_default()
                ),
            ),
            State::Finished => (
                "finished",
                ActivatorOutcome::Ended,
                StatusCode::GONE,
                None,
                format!("{name} has finished"),
                "It has completed, or it has reached its time limit.".to_owned(),
            ),
        };
        // The status has the stages of the previous start until the operator has reconciled this one.
        let previous = matches!(phase, None | Some(Phase::Suspended | Phase::Suspending));
        let stages = unit.status.as_ref().filter(|_| !previous).map(|status| status.stages.clone()).unwrap_or_default();
        let command = command(unit, state);
        let unit = Some((name, phase));
        Self {
            state,
            outcome,
            not_started: None,
            status,
            retry_after,
            title,
            detail,
            command,
            action: RELOAD,
            stages,
            unit,
        }
    }

    /// Whether the unit will be reachable without further action.
    pub const fn is_transient(&self) -> bool {
        self.retry_after.is_some()
    }

    /// The problem details.
    pub fn to_json(&self) -> Value {
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
            problem["command"] = json!(self.command);
        }
        if let Some(seconds) = self.retry_after {
            problem["retryAfter"] = json!(seconds);
        }
        if let Some(reason) = self.not_started {
            problem["notStarted"] = json!(reason.as_str());
        }
        problem
    }
}

/// The command that the detail of a state refers to. It can be pasted as it is.
fn command(unit: &ComputingUnit, state: &str) -> Option<String> {
    let (name, namespace) = (unit.name_any(), unit.namespace().unwrap_or_default());
    match state {
        "suspended" => Some(format!(
            "kubectl patch computingunit {name} -n {namespace} --type merge --patch \
             '{{\"spec\":{{\"operatingMode\":\"Running\"}}}}'"
        )),
        "failed" => Some(format!("kubectl describe computingunit {name} -n {namespace}")),
        _ => None,
    }
}

/// In words of people who use a unit. The reason is for those whom they ask.
fn progress(phase: Option<Phase>, reason: Option<&str>) -> String {
    let problem = |reason: &str| Reason::parse(reason).is_some_and(|reason| reason.severity() == Severity::Problem);
    let slow = reason.filter(|reason| problem(reason));
    match (slow, phase) {
        (Some(reason), _) => {
            let waits_for = match Reason::parse(reason) {
                Some(Reason::Unschedulable) => "It is waiting for free capacity in the cluster",
                _ => "It cannot start at the moment",
            };
            format!("{waits_for} ({reason}). If this lasts, ask its owner or an administrator.")
        }
        (None, Some(Phase::NotReady)) => "It is not reachable at the moment.".to_owned(),
        (None, _) => "It is reachable as soon as all stages are complete.".to_owned(),
    }
}

/// The reason of the condition Ready, or of the one that explains its absence, unless the unit is Ready.
fn reason(unit: &ComputingUnit) -> Option<String> {
    let conditions = &unit.status.as_ref()?.conditions;
    let summary = conditions.summary().filter(|_| conditions.holding(ConditionType::Ready).is_none())?;
    Some(summary.reason.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activator::state::tests::unit;
    use computing_unit_api::OperatingMode;

    #[test]
    fn each_state_has_a_problem() {
        use OperatingMode::{Running, Suspended};
        for (mode, phase, waking, state, status, retry_after) in [
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
            let problem = Problem::of(&unit(mode, Some(phase), 2), waking);
            let actual = (problem.state, problem.status.as_u16(), problem.retry_after);
            assert_eq!(actual, (state, status, retry_after), "{mode:?} {phase:?}");
        }
    }

    #[test]
    fn command_of_a_suspended_unit_can_be_pasted() {
        let mut unit = unit(OperatingMode::Suspended, Some(Phase::Suspended), 2);
        unit.metadata.namespace = Some("units".to_owned());
        let command = Problem::of(&unit, false).command.unwrap();
        let patch = r#"'{"spec":{"operatingMode":"Running"}}'"#;
        assert_eq!(command, format!("kubectl patch computingunit ada -n units --type merge --patch {patch}"));
        assert_eq!(Problem::of(&unit, true).command, None);
    }

    #[test]
    fn start_that_needs_intervention_is_named() {
        for (reason, named) in [("VolumeMountFailed", true), ("Unschedulable", true), ("PodStarting", false)] {
            let text = progress(Some(Phase::Starting), Some(reason));
            assert_eq!(text.contains(reason), named, "{text}");
        }
    }

    #[test]
    fn problem_details_contain_phase_and_stages_but_no_message_of_a_condition() {
        let mut unit = unit(OperatingMode::Running, Some(Phase::Failed), 2);
        let condition = json!({"type": "Ready", "status": "False", "reason": "StartTimeout",
            "message": "password=hunter2", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        unit.status.as_mut().unwrap().conditions.push(serde_json::from_value(condition).unwrap());
        let problem = Problem::of(&unit, false).to_json();
        assert_eq!(
            (&problem["unit"], &problem["phase"], &problem["status"]),
            (&json!("ada"), &json!("Failed"), &json!(503))
        );
        assert_eq!(problem["stages"]["scheduled"], "2026-01-01T00:00:01Z");
        assert!(problem["detail"].as_str().unwrap().contains("StartTimeout"), "{problem}");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
        assert!(Problem::not_found().to_json().get("unit").is_none());
    }
}
