//! What a unit's status means to someone who waits for it: the stages it has passed, what it waits for, and whether
//! waiting is over. Pure; time comes in as the time since the unit was created.

use std::time::Duration;

use computing_unit_operator::{
    api::{ComputingUnit, Phase, Stages},
    status::types,
    validate::reasons,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// How long the same thing may keep a unit before it is worth a line.
const LASTS: Duration = Duration::from_secs(2);

/// How long after its last error the API server counts as away; longer than the pause before it is asked again.
const FORGOTTEN: Duration = Duration::from_secs(45);

/// Reasons of `Accepted` that pass only when someone changes the unit, or what stands in its way.
const HOPELESS: &[&str] = &[
    reasons::POOL_NOT_ACCEPTED,
    reasons::IMAGE_NOT_OFFERED,
    reasons::REFERENCE_NOT_ALLOWED,
    reasons::LIMIT_EXCEEDED,
    reasons::KEY_CONFLICT,
    reasons::KEY_CONFLICT_ELSEWHERE,
    reasons::CHILD_NOT_OWNED,
    reasons::CHILD_REFUSED,
];

const STAGES: [&str; 5] = ["accepted", "scheduled", "pod ready", "route accepted", "reachable"];

/// What a unit waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// Who has to act.
    what: &'static str,
    /// One word; may be empty.
    reason: String,
    /// A sentence.
    message: String,
}

impl Blocker {
    /// `waiting for the pod: Unschedulable: 0/1 nodes are available`.
    pub fn sentence(&self) -> String {
        let Self { what, reason, message } = self;
        let parts = [reason.as_str(), message.as_str()].into_iter().filter(|part| !part.is_empty());
        let why = parts.map(one_line).collect::<Vec<_>>().join(": ");
        format!("waiting for {what}: {why}")
    }
}

/// Waiting is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The unit answers, at its URL where the operator knows one.
    Ready(Option<String>),
    /// The unit failed, or may not run as it is; reason and message.
    Failed(String),
    /// It is being deleted.
    Deleted,
}

/// Whether a unit as it is now ends the wait.
pub fn verdict(unit: &ComputingUnit) -> Option<Verdict> {
    if unit.metadata.deletion_timestamp.is_some() {
        return Some(Verdict::Deleted);
    }
    let status = unit.status.as_ref()?;
    match status.phase? {
        Phase::Ready => return Some(Verdict::Ready(status.url.clone())),
        Phase::Terminating => return Some(Verdict::Deleted),
        Phase::Failed | Phase::Finished | Phase::Suspending | Phase::Suspended => {
            return Some(Verdict::Failed(why(unit, types::READY)));
        }
        Phase::Pending | Phase::Starting | Phase::NotReady => {}
    }
    let accepted = condition(unit, types::ACCEPTED)?;
    (accepted.status == "False" && HOPELESS.contains(&accepted.reason.as_str()))
        .then(|| Verdict::Failed(why(unit, types::ACCEPTED)))
}

/// What a unit that is not Ready waits for.
pub fn blocker(unit: &ComputingUnit) -> Blocker {
    let ready = condition(unit, types::READY);
    let missing = [
        (types::ACCEPTED, "the unit to be accepted"),
        (types::POD_READY, "the pod"),
        (types::ROUTE_ACCEPTED, "the route"),
        (types::REACHABLE, "the gateway"),
    ]
    .into_iter()
    .filter_map(|(type_, what)| Some((condition(unit, type_)?, what)))
    .find(|(condition, _)| condition.status != "True");
    // `Ready` says what is missing; where that is none of the others, it is the only one to know.
    let found = match (ready, missing) {
        (Some(ready), Some((condition, _))) if ready.reason != condition.reason => Some((ready, "the unit")),
        (_, Some(missing)) => Some(missing),
        (Some(ready), None) => Some((ready, "the unit")),
        (None, None) => None,
    };
    match found {
        Some((condition, what)) => {
            Blocker { what, reason: condition.reason.clone(), message: condition.message.clone() }
        }
        None => Blocker {
            what: "the operator",
            reason: String::new(),
            message: "it has not looked at the unit yet; check that it runs, and that it watches this namespace"
                .to_owned(),
        },
    }
}

/// A condition of that type, unless it speaks of an earlier generation of the spec.
fn condition<'a>(unit: &'a ComputingUnit, type_: &str) -> Option<&'a Condition> {
    let condition = unit.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == type_)?;
    let current = condition.observed_generation.zip(unit.metadata.generation).is_none_or(|(seen, now)| seen >= now);
    current.then_some(condition)
}

fn why(unit: &ComputingUnit, type_: &str) -> String {
    condition(unit, type_).map_or_else(
        || "the operator does not say why".to_owned(),
        |condition| format!("{}: {}", condition.reason, one_line(&condition.message)),
    )
}

/// Messages come from elsewhere: no line breaks, and nothing that a terminal would obey.
fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What has been said of a unit so far.
#[derive(Debug)]
pub struct Report {
    passed: [Option<Duration>; STAGES.len()],
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
    /// Nothing is said yet of `unit`, which was just created.
    pub fn new(unit: &ComputingUnit) -> Self {
        Self { passed: [None; STAGES.len()], blocker: blocker(unit), since: Duration::ZERO, told: false, away: None }
    }

    /// Takes in a state of the unit, seen `elapsed` after its creation. Returns a line for each stage newly passed.
    pub fn see(&mut self, unit: &ComputingUnit, elapsed: Duration) -> Vec<String> {
        self.away = None;
        let blocker = blocker(unit);
        if (blocker.what, &blocker.reason) != (self.blocker.what, &self.blocker.reason) {
            (self.since, self.told) = (elapsed, false);
        }
        self.blocker = blocker;
        let stages = unit.status.as_ref().map(|status| &status.stages);
        let mut lines = Vec::new();
        for ((name, passed), before) in STAGES.iter().zip(passed(stages)).zip(&mut self.passed) {
            if passed && before.is_none() {
                lines.push(at(elapsed, name));
            }
            *before = passed.then(|| before.unwrap_or(elapsed));
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
        let passed = STAGES.iter().zip(self.passed).filter_map(|(stage, at)| Some(format!("{stage} {}", seconds(at?))));
        let mut parts: Vec<_> = passed.collect();
        let away = self.away.as_ref().is_some_and(|away| away.lasts(elapsed));
        if away || elapsed.saturating_sub(self.since) >= LASTS {
            parts.push(self.waits_for(elapsed));
        }
        format!(
            "{name} {}: {}",
            seconds(elapsed),
            if parts.is_empty() { "created".to_owned() } else { parts.join(", ") }
        )
    }
}

impl Away {
    fn lasts(&self, elapsed: Duration) -> bool {
        self.last.saturating_sub(self.first) >= LASTS && elapsed.saturating_sub(self.last) < FORGOTTEN
    }
}

fn passed(stages: Option<&Stages>) -> [bool; STAGES.len()] {
    stages.map_or([false; STAGES.len()], |stages| {
        [&stages.accepted, &stages.scheduled, &stages.pod_ready, &stages.route_accepted, &stages.reachable]
            .map(Option::is_some)
    })
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
        let mut report = Report::new(&unit(Value::Null));
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
        let mut report = Report::new(&unit(Value::Null));
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
        let mut report = Report::new(&unit(Value::Null));
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
    fn the_first_condition_that_does_not_hold_is_what_a_unit_waits_for() {
        let waits = |conditions: &[Value]| blocker(&unit(json!({"conditions": conditions}))).sentence();
        let accepted = says("Accepted", "True", "Accepted");
        let pod = says("PodReady", "True", "PodReady");
        for (conditions, sentence) in [
            (vec![says("Accepted", "False", "PoolNotFound")], "waiting for the unit to be accepted: PoolNotFound: "),
            (
                vec![says("RouteAccepted", "Unknown", "Pending"), accepted.clone(), pod.clone()],
                "waiting for the route: ",
            ),
            (
                vec![accepted.clone(), pod.clone(), says("Reachable", "False", "ProbeFailed")],
                "waiting for the gateway: ProbeFailed: ",
            ),
            (
                vec![accepted.clone(), says("PodReady", "False", "PodMissing"), says("Ready", "False", "Forbidden")],
                "waiting for the unit: Forbidden: ",
            ),
            (vec![accepted, pod, says("Ready", "False", "Forbidden")], "waiting for the unit: Forbidden: "),
        ] {
            let said = waits(&conditions);
            assert!(said.starts_with(sentence), "{said}");
        }
    }

    #[test]
    fn messages_cannot_play_with_the_terminal() {
        let mut condition = says("PodReady", "False", "Odd");
        condition["message"] = json!("a\n\u{1b}[2Jb");
        assert_eq!(blocker(&unit(json!({"conditions": [condition]}))).sentence(), "waiting for the pod: Odd: a [2Jb");
    }

    #[test]
    fn waiting_ends_where_the_unit_is_ready_or_cannot_become_so() {
        let of = |status: Value| verdict(&unit(status));
        let refused = |reason| of(json!({"phase": "Pending", "conditions": [says("Accepted", "False", reason)]}));
        assert_eq!(of(Value::Null), None);
        assert_eq!(of(json!({"phase": "Ready", "url": "http://u"})), Some(Verdict::Ready(Some("http://u".into()))));
        assert_eq!(of(json!({"phase": "Terminating"})), Some(Verdict::Deleted));
        assert_eq!(
            of(json!({"phase": "Failed", "conditions": [says("Ready", "False", "StartTimeout")]})),
            Some(Verdict::Failed("StartTimeout: about StartTimeout".into()))
        );
        assert_eq!(
            of(json!({"phase": "Finished", "conditions": [says("Ready", "False", "ShutdownTime")]})),
            Some(Verdict::Failed("ShutdownTime: about ShutdownTime".into()))
        );
        assert_eq!(refused("PoolNotFound"), None);
        for reason in HOPELESS {
            assert_eq!(refused(reason), Some(Verdict::Failed(format!("{reason}: about {reason}"))));
        }
        let mut leaving = unit(json!({"phase": "Ready"}));
        leaving.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(verdict(&leaving), Some(Verdict::Deleted));
    }

    #[test]
    fn a_refusal_of_an_earlier_generation_is_no_refusal() {
        let mut edited =
            unit(json!({"phase": "Pending", "conditions": [says("Accepted", "False", "ImageNotOffered")]}));
        edited.metadata.generation = Some(2);
        assert_eq!(verdict(&edited), None);
    }
}
