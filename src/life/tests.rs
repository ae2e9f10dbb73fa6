//! What becomes of a unit in each situation, and what its status keeps of it.

use std::sync::Arc;

use k8s_openapi::jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{Phase, Restarts},
    desired,
    obstacles::Remembered,
    plan::Wanted,
    status::{Facts, status},
    testing,
};

const MADE: &str = "2026-01-01T00:00:00Z";

/// A unit whose status is written as the operator would.
struct Case {
    observed: Observed,
    wanted: Wanted,
}

impl Case {
    /// A unit that was just made, from a pool with a `startTimeout` of 60 s.
    fn new() -> Self {
        let unit = testing::accepted(testing::query_routing());
        let mut pool = unit.pool.as_ref().clone();
        pool.spec.start_timeout = crate::api::Duration::from_secs(60);
        let observed = Observed {
            unit: unit.object.clone(),
            pool: Some(Arc::new(pool)),
            overlapped: None,
            claims: std::collections::BTreeMap::new(),
            pod: Child::Absent,
            leaving: None,
            pod_made: false,
            service: Child::Absent,
            route: Child::Absent,
            endpoint_ready: false,
            gateway: None,
            obstacles: Remembered::default(),
            activity: None,
            unconfirmed: false,
            now: testing::time(MADE).0,
        };
        Self { observed, wanted: Ok(desired::children(&unit)) }
    }

    /// With a pod that is ready, which its status knows.
    fn ready() -> Self {
        let mut case = Self::new();
        case.pod(&json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}));
        case.write();
        case
    }

    /// With a pod that is starting, which its status knows.
    fn starting() -> Self {
        let mut case = Self::new();
        case.pod(&json!({"phase": "Running"}));
        case.write();
        case
    }

    fn pod(&mut self, status: &Value) {
        self.pod_of("Always", status);
    }

    fn pod_of(&mut self, policy: &str, status: &Value) {
        let mut pod = desired::children(&testing::accepted(testing::query_routing())).pod;
        pod.metadata.creation_timestamp = match self.observed.pod.owned() {
            Some(pod) => pod.metadata.creation_timestamp.clone(),
            None => Some(Time(self.observed.now)),
        };
        pod.spec.as_mut().unwrap().restart_policy = Some(policy.to_owned());
        pod.status = serde_json::from_value(status.clone()).unwrap();
        self.observed.pod = Child::Owned(Arc::new(pod));
    }

    /// Somebody deletes the pod, which takes until `leaving` is cleared.
    fn delete_pod(&mut self) {
        let Child::Owned(pod) = std::mem::take(&mut self.observed.pod) else { panic!("there is no pod") };
        let mut pod = pod.as_ref().clone();
        pod.metadata.deletion_timestamp = Some(Time(self.observed.now));
        self.observed.leaving = Some(Arc::new(pod));
        self.observed.pod = Child::Leaving;
    }

    fn pod_gone(&mut self) {
        (self.observed.pod, self.observed.leaving) = (Child::Absent, None);
    }

    fn edit(&mut self, change: impl FnOnce(&mut crate::api::ComputingUnit)) {
        let unit = Arc::make_mut(&mut self.observed.unit);
        unit.metadata.generation = unit.metadata.generation.map(|generation| generation + 1);
        change(unit);
    }

    fn mode(&mut self, mode: crate::api::OperatingMode) {
        self.edit(|unit| unit.spec.operating_mode = mode);
    }

    fn later(&mut self, seconds: i64) {
        self.observed.now += SignedDuration::from_secs(seconds);
    }

    fn status(&self) -> ComputingUnitStatus {
        status(Facts { observed: &self.observed, wanted: &self.wanted, probe: None })
    }

    /// Writes the status, as it comes back from the API server.
    fn write(&mut self) -> ComputingUnitStatus {
        let written: ComputingUnitStatus =
            serde_json::from_value(serde_json::to_value(self.status()).unwrap()).unwrap();
        Arc::make_mut(&mut self.observed.unit).status = Some(written.clone());
        written
    }

    fn life(&self) -> Life {
        life(&self.observed)
    }

    fn lost(&self) -> Failure {
        match self.life() {
            Life::Unwritten(News::Lost(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    fn ends(&self) -> End {
        match self.life() {
            Life::Unwritten(News::Finished(end)) => end,
            other => panic!("{other:?}"),
        }
    }
}

fn failed() -> Value {
    json!({"phase": "Failed", "containerStatuses": [{
        "name": "engine", "image": "engine:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 3, "reason": "Error", "message": "out of cheese\n"}},
    }]})
}

fn evicted() -> Value {
    json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."})
}

#[test]
fn a_first_start_and_a_resumed_one_do_not_wait() {
    assert_eq!(Case::new().life(), Life::Runs);
    let mut case = Case::ready();
    case.mode(crate::api::OperatingMode::Suspended);
    case.write();
    case.delete_pod();
    assert_eq!(case.life(), Life::Runs);
    // Resumed before the status has said that the pod is gone.
    case.mode(crate::api::OperatingMode::Running);
    assert_eq!(case.life(), Life::Runs, "a pod that the operator stopped is not lost");
    assert_eq!(case.write().restarts, None);
    case.pod_gone();
    assert_eq!(case.life(), Life::Runs);
}

#[test]
fn a_pod_that_vanishes_is_written_down_and_waited_for() {
    for vanish in [Case::pod_gone as fn(&mut Case), Case::delete_pod] {
        let mut case = Case::ready();
        case.later(5);
        vanish(&mut case);
        assert_eq!(case.lost().reason, LOST);
        let written = case.write();
        let next = Some(Time(case.observed.now + SignedDuration::from_secs(10)));
        assert_eq!(written.restarts, Some(Restarts { count: 1, next }));
        assert_eq!((written.phase, written.pod_name), (Some(Phase::Pending), None));
        assert!(matches!(case.life(), Life::Waits(_)), "it counts once");
        case.pod_gone();
        case.later(9);
        assert!(matches!(case.life(), Life::Waits(_)));
        case.later(1);
        assert_eq!(case.life(), Life::Runs);
    }
}

#[test]
fn the_delay_grows_until_a_pod_was_ready_for_long_enough() {
    let mut case = Case::ready();
    for (count, delay) in [(1, 10), (2, 20), (3, 40)] {
        case.pod_gone();
        let before = case.observed.now;
        let restarts = case.write().restarts.unwrap();
        assert_eq!((restarts.count, restarts.next.unwrap().0.duration_since(before).as_secs()), (count, delay));
        case.later(delay);
        case.pod(&json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}));
        assert_eq!(case.write().restarts, Some(Restarts { count, next: None }));
    }
    assert_eq!(next(&case.observed), Some(case.observed.now + SignedDuration::from_secs(600)));
    case.later(600);
    let mut written = Case { observed: case.observed.clone(), wanted: case.wanted.clone() };
    assert_eq!(written.write().restarts, None);
    assert!(written.status().last_failure.is_some(), "that stays");
    case.pod_gone();
    assert_eq!(case.status().restarts.unwrap().count, 1, "also where it was not written in time");
}

#[test]
fn a_pod_that_is_gone_before_any_status_named_it_meets_the_delay() {
    let mut case = Case::new();
    case.write();
    assert_eq!(case.life(), Life::Runs);
    case.observed.pod_made = true;
    assert_eq!(case.lost().reason, LOST);
}

#[test]
fn a_pod_that_has_ended_is_removed_once_its_end_is_written() {
    for (policy, status, reason) in
        [("Always", failed(), POD_FAILED), ("Always", evicted(), EVICTED), ("Never", evicted(), EVICTED)]
    {
        let mut case = Case::ready();
        case.pod_of(policy, &status);
        assert_eq!(case.lost().reason, reason);
        let written = case.write();
        assert_eq!((written.phase, written.pod_name), (Some(Phase::Pending), None));
        assert_eq!(case.life(), Life::Spent, "{policy} {status}");
        case.delete_pod();
        assert!(matches!(case.life(), Life::Waits(_)));
    }
}

#[test]
fn a_unit_that_is_not_restarted_ends_with_its_pod() {
    let mut case = Case::ready();
    case.pod_of("Never", &failed());
    let end = case.ends();
    assert_eq!((end.reason.as_str(), end.failed()), (POD_FAILED, true));
    let written = case.write();
    let failure = written.last_failure.unwrap();
    assert_eq!((failure.container.as_deref(), failure.exit_code), (Some("engine"), Some(3)));
    assert!(failure.message.contains("out of cheese"), "{failure:?}");
    assert_eq!(written.phase, Some(Phase::Failed));
    assert!(matches!(case.life(), Life::Finished(_)));
    // Edited before the pod is gone: that very pod is not the next end.
    case.edit(|_| ());
    assert_eq!(case.life(), Life::Spent);
    case.delete_pod();
    assert_eq!(case.life(), Life::Runs);
    case.pod_gone();
    assert_eq!(case.life(), Life::Runs);
    assert!(case.write().conditions.iter().all(|condition| condition.type_ != types::FINISHED));

    for policy in ["Never", "OnFailure"] {
        let mut case = Case::ready();
        case.pod_of(policy, &json!({"phase": "Succeeded"}));
        assert_eq!(case.ends().reason, POD_SUCCEEDED);
        let written = case.write();
        assert_eq!((written.phase, written.last_failure), (Some(Phase::Finished), None));
        case.pod_gone();
        assert!(matches!(case.life(), Life::Finished(_)), "its absence is no loss");
    }
}

#[test]
fn a_start_that_takes_too_long_is_given_up() {
    let mut case = Case::starting();
    case.pod(&json!({"phase": "Pending", "containerStatuses": [{
        "name": "engine", "image": "engine:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
    }]}));
    case.later(59);
    assert_eq!(case.life(), Life::Runs);
    case.later(1);
    let end = case.ends();
    assert!(end.reason == START_TIMEOUT && end.message.contains("no such image"), "{end:?}");
    let written = case.write();
    assert_eq!((written.phase, written.pod_name), (Some(Phase::Failed), None));
    assert!(case.observed.resting());
    case.edit(|_| ());
    assert_eq!(case.life(), Life::Spent, "the pod of the start that was given up goes first");
    case.pod_gone();
    assert_eq!(case.life(), Life::Runs);

    let mut case = Case::ready();
    case.later(59);
    case.pod(&json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}));
    case.later(60);
    assert_eq!(case.life(), Life::Runs, "it was Ready");
}

fn shut_at(case: &mut Case, time: Option<&str>) {
    let lifecycle = json!({"shutdownTime": time});
    case.edit(|unit| unit.spec.lifecycle = serde_json::from_value(lifecycle).unwrap());
}

#[test]
fn a_time_limit_ends_a_unit_until_it_is_moved() {
    let mut case = Case::new();
    shut_at(&mut case, Some("2025-12-31T00:00:00Z"));
    assert_eq!(case.ends().reason, SHUTDOWN_TIME);
    assert_eq!(case.write().phase, Some(Phase::Finished), "it was never started");

    let mut case = Case::ready();
    shut_at(&mut case, Some("2026-01-01T00:01:00Z"));
    assert_eq!(next(&case.observed), Some(testing::time("2026-01-01T00:01:00Z").0));
    case.later(60);
    assert_eq!(case.ends().reason, SHUTDOWN_TIME);
    assert_eq!(case.write().phase, Some(Phase::Suspending), "its pod is there");
    assert_eq!(case.observed.closing_since(), Some(case.observed.now));
    case.later(-30);
    assert!(matches!(case.life(), Life::Finished(_)), "a clock that is set back undoes nothing");
    case.delete_pod();
    case.pod_gone();
    assert_eq!(case.write().phase, Some(Phase::Finished));
    case.later(3600);
    shut_at(&mut case, Some("2026-01-02T00:00:00Z"));
    assert_eq!(case.life(), Life::Runs);
    assert_eq!(case.write().restarts, None);

    let mut case = Case::ready();
    Arc::make_mut(case.observed.pool.as_mut().unwrap()).spec.lifecycle.max_age =
        Some(crate::api::Duration::from_secs(60));
    assert_eq!(next(&case.observed), Some(testing::time("2026-01-01T00:01:00Z").0));
    case.later(60);
    assert_eq!(case.ends().reason, MAX_AGE);
    // A unit that is suspended grows old as well.
    case.mode(crate::api::OperatingMode::Suspended);
    case.pod_gone();
    assert_eq!(case.write().phase, Some(Phase::Finished));
}

#[test]
fn a_finished_unit_is_deleted_after_the_shorter_time() {
    for (own, pools, after) in [
        (None, None, None),
        (Some(5), None, Some(5)),
        (None, Some(7), Some(7)),
        (Some(5), Some(7), Some(5)),
        (Some(9), Some(7), Some(7)),
    ] {
        let mut case = Case::new();
        shut_at(&mut case, Some("2025-12-31T00:00:00Z"));
        case.edit(|unit| unit.spec.lifecycle.as_mut().unwrap().ttl_seconds_after_finished = own);
        let pool = Arc::make_mut(case.observed.pool.as_mut().unwrap());
        pool.spec.lifecycle.ttl_seconds_after_finished = pools;
        assert_eq!(expires(&case.observed), None, "its end is not written");
        case.write();
        let began = case.observed.now;
        assert_eq!(expires(&case.observed).map(|time| time.duration_since(began).as_secs()), after);
        case.later(after.unwrap_or(1_000_000));
        assert_eq!(expired(&case.observed), after.is_some());
    }
}

#[test]
fn a_pod_whose_node_does_not_answer_is_told_of() {
    let mut case = Case::ready();
    case.delete_pod();
    case.write();
    assert_eq!(stuck(&case.observed), None);
    assert_eq!(next(&case.observed).unwrap().duration_since(case.observed.now).as_secs(), 10);
    case.later(30);
    let words = stuck(&case.observed).unwrap();
    assert!(words.contains("kubectl delete pod ada -n units --force"), "{words}");
    let written = case.write();
    let said = written.conditions.iter().find(|condition| condition.type_ == types::POD_READY).unwrap();
    assert_eq!(said.reason, LOST);
}

#[test]
fn a_unit_that_rests_says_the_same_whenever_it_is_looked_at() {
    let ends: [fn() -> Case; 3] = [
        || {
            let mut case = Case::starting();
            case.later(60);
            case
        },
        || {
            let mut case = Case::ready();
            case.pod_of("Never", &failed());
            case
        },
        || {
            let mut case = Case::ready();
            shut_at(&mut case, Some(MADE));
            case
        },
    ];
    for end in ends {
        let mut case = end();
        case.write();
        case.delete_pod();
        case.pod_gone();
        let at_rest = case.write();
        for seconds in [1, 60, 86_400] {
            case.later(seconds);
            assert_eq!(case.status(), at_rest);
        }
        assert_eq!(next(&case.observed), None, "and nothing is waited for");
    }
}
