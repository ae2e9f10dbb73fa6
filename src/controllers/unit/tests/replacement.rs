//! What comes of a change that the running pod cannot take up.

use std::time::Duration;

use computing_unit_api::{ComputingUnitPool, ConditionType};
use k8s_openapi::api::core::v1::EnvVar;
use kube::core::Status;
use serde_json::{Value, json};

use super::{
    api_server::now,
    call::{
        Answer, Call, PODS, ROUTES, UNITS, create, delete_only, dry_run, error, event, publication, resize, status,
    },
    scenario::Scenario,
    starts::{guard, is_open},
};
use crate::{
    controllers::unit::{context::STATUS_DELAY, rollout::Slot},
    testing,
};

/// The pool after that many changes of its template.
fn pool(changes: i64) -> ComputingUnitPool {
    let mut pool = testing::pool(testing::query_routing());
    pool.metadata.generation = Some(1 + changes);
    if changes > 0 {
        let variable = EnvVar { name: "CHANGE".to_owned(), value: Some(changes.to_string()), ..EnvVar::default() };
        pool.spec.template.spec.as_mut().unwrap().containers[0].env = Some(vec![variable]);
    }
    pool
}

/// A unit with the update strategy `Recreate` that is Ready, and 1 CPU.
async fn recreated() -> Scenario {
    let mut scenario = Scenario::new();
    scenario.edit(|unit| {
        unit["spec"]["updateStrategy"] = json!("Recreate");
        cpu(unit, "1");
    });
    scenario.reconcile().await.unwrap();
    scenario.finish_start().await;
    scenario
}

fn refusal(code: u16, message: &str) -> Answer {
    Answer::Fails(Box::new(Status::failure(message, "").with_code(code)))
}

fn cpu(unit: &mut Value, amount: &str) {
    unit["spec"]["resources"] = json!({"limits": {"cpu": amount}, "requests": {"cpu": amount}});
}

/// The pod is deleted once the route is withdrawn, and the next one is created.
async fn replaced(scenario: &mut Scenario, first: Vec<Call>) {
    let (route, pod) = (scenario.uid(ROUTES), scenario.uid(PODS));
    let rest = [status("Starting"), guard(&route)];
    scenario.expect(first.into_iter().chain(rest)).await.unwrap();
    scenario.watch();
    scenario.proxies_confirm();
    scenario.expect([delete_only(PODS, &pod), publication()]).await.unwrap();
    scenario.server.remove(PODS, "ada");
    scenario.watch();
    scenario.expect([create(PODS), publication()]).await.unwrap();
    scenario.watch();
}

#[tokio::test(start_paused = true)]
async fn next_pod_is_admitted_before_the_running_one_is_deleted() {
    let mut scenario = recreated().await;
    scenario.pool(pool(1));
    let nameless = dry_run(PODS).with(json!({"metadata": {"generateName": "ada-"}}));
    replaced(&mut scenario, vec![nameless]).await;
    assert_eq!(scenario.server.count(&dry_run(PODS)), 1);
}

#[tokio::test(start_paused = true)]
async fn running_pod_stays_if_the_api_server_does_not_accept_the_next() {
    for (what, answer) in [
        ("a limit range", refusal(403, "maximum memory usage per Container is 128Mi: the words of the API server")),
        ("a webhook", error(400)),
        ("an invalid template", error(422)),
        (
            "a quota without room",
            refusal(
                403,
                "exceeded quota: the words of the API server, requested: pods=1, used: pods=9, limited: pods=3",
            ),
        ),
    ] {
        let mut scenario = recreated().await;
        scenario.server.fault(dry_run(PODS).answered(answer));
        scenario.pool(pool(1));
        scenario.reconcile().await.unwrap();
        let pending = scenario.condition(ConditionType::UpdatePending).unwrap();
        assert_eq!(pending.reason, "ReplacementRefused", "{what}");
        assert!(pending.message.contains("the words of the API server"), "{what}: {}", pending.message);
        assert_eq!(scenario.condition(ConditionType::Ready).unwrap().status, "True", "{what}");
        assert_eq!(scenario.server.count(&event("ReplacementRefused")), 1, "{what}");
        assert!(is_open(&scenario) && scenario.server.get(PODS, "ada").is_some(), "{what}");
        assert_eq!(scenario.context.rollouts.slot(&scenario.unit()), Slot::NotRequested, "{what}: others go on");
        // At other events nothing is sent.
        scenario.watch();
        let before = scenario.server.writes();
        scenario.reconcile().await.unwrap();
        assert_eq!(scenario.server.writes(), before, "{what}");
        // The refusal is tried again later, and says nothing of another template.
        tokio::time::advance(Duration::from_secs(1)).await;
        scenario.reconcile().await.unwrap();
        assert_eq!((scenario.server.count(&dry_run(PODS)), scenario.server.writes()), (2, before + 1), "{what}");
        scenario.server.no_faults();
        scenario.pool(pool(2));
        replaced(&mut scenario, vec![dry_run(PODS)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn running_pod_is_replaced_if_only_it_fills_the_quota() {
    for answer in [
        refusal(403, "exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"),
        refusal(400, "admission webhook \"x\" does not support dry run"),
    ] {
        let mut scenario = recreated().await;
        scenario.pool(pool(1));
        replaced(&mut scenario, vec![dry_run(PODS).answered(answer)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn running_pod_stays_while_the_dry_run_fails() {
    let mut scenario = recreated().await;
    scenario.server.fault(dry_run(PODS).answered(error(500)));
    scenario.pool(pool(1));
    scenario.reconcile().await.unwrap_err();
    scenario.reconcile().await.unwrap();
    tokio::time::advance(STATUS_DELAY).await;
    // It is tried again first.
    scenario.reconcile().await.unwrap_err();
    scenario.reconcile().await.unwrap();
    let pending = scenario.condition(ConditionType::UpdatePending).unwrap();
    assert_eq!(pending.reason, "NotWritten");
    assert!(pending.message.contains("the words of the API server: 500"), "{}", pending.message);
    assert!(is_open(&scenario));
    scenario.server.no_faults();
    tokio::time::advance(Duration::from_mins(1)).await;
    scenario.watch();
    replaced(&mut scenario, vec![dry_run(PODS)]).await;
}

#[tokio::test(start_paused = true)]
async fn resize_that_a_quota_or_a_limit_range_refuses_replaces_no_pod() {
    for message in [
        "pods \"ada\" is forbidden: exceeded quota: q, requested: limits.cpu=1, used: limits.cpu=4, limited: limits.cpu=4",
        "pods \"ada\" is forbidden: maximum cpu usage per Container is 1, but limit is 2",
    ] {
        let mut scenario = recreated().await;
        scenario.server.fault(resize().answered(refusal(403, message)));
        scenario.edit(|unit| cpu(unit, "2"));
        scenario.reconcile().await.unwrap();
        assert_eq!(scenario.server.count(&dry_run(PODS)), 0, "the next pod would be refused too");
        assert!(is_open(&scenario) && scenario.server.get(PODS, "ada").is_some());
        let pending = scenario.condition(ConditionType::ResizePending).unwrap();
        assert_eq!((&*pending.reason, &*pending.message), ("Forbidden", message));
    }
}

#[tokio::test(start_paused = true)]
async fn refused_resize_says_nothing_about_later_amounts_or_a_later_pod() {
    let mut scenario = recreated().await;
    scenario.server.fault(resize().answered(error(422)));
    scenario.edit(|unit| cpu(unit, "500m"));
    replaced(&mut scenario, vec![dry_run(PODS)]).await;
    assert_eq!(scenario.server.count(&resize()), 1);
    scenario.server.no_faults();
    next_pod_is_ready(&mut scenario).await;
    scenario.edit(|unit| cpu(unit, "1500m"));
    scenario.expect([resize(), publication()]).await.unwrap();
    // Refused, and edited before the pod is replaced.
    scenario.watch();
    scenario.server.fault(resize().answered(error(422)));
    scenario.server.fault(dry_run(PODS).answered(error(422)));
    scenario.edit(|unit| cpu(unit, "400m"));
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.condition(ConditionType::UpdatePending).unwrap().reason, "ReplacementRefused");
    scenario.server.no_faults();
    scenario.edit(|unit| cpu(unit, "2"));
    scenario.expect([resize(), publication()]).await.unwrap();
    tokio::time::advance(STATUS_DELAY).await;
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.condition(ConditionType::UpdatePending), None);
}

fn is_there(scenario: &Scenario) -> bool {
    scenario.server.get(PODS, "ada").is_some()
}

/// The pod of the unit ends, and is not restarted.
fn fail_pod(scenario: &mut Scenario) {
    scenario.server.edit(PODS, |pod| {
        // The next pod is not created within the same second.
        pod["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        pod["spec"]["restartPolicy"] = json!("Never");
        pod["status"] = json!({"phase": "Failed"});
    });
    scenario.watch();
}

/// A unit whose pod failed after it was replaced for the first change of the pool.
async fn broken() -> Scenario {
    let mut scenario = recreated().await;
    scenario.pool(pool(1));
    replaced(&mut scenario, vec![dry_run(PODS)]).await;
    assert_eq!(scenario.context.rollouts.slot(&scenario.unit()), Slot::Granted);
    fail_pod(&mut scenario);
    scenario.reconcile().await.unwrap();
    scenario.watch();
    scenario.reconcile().await.unwrap();
    scenario.server.remove(PODS, "ada");
    scenario.watch();
    scenario.reconcile().await.unwrap();
    scenario.watch();
    assert_eq!(scenario.server.get(PODS, "ada"), None);
    scenario
}

/// From a pod that exists to Ready, with the route of the previous pod.
async fn next_pod_is_ready(scenario: &mut Scenario) {
    scenario.pod_ready();
    for _ in 0..6 {
        scenario.reconcile().await.unwrap();
        scenario.watch();
        if scenario.server.get(ROUTES, "ada").is_some() {
            scenario.route_accepted();
        }
        if scenario.context.prober.report("ada-uid").is_some() {
            scenario.proxies_confirm();
        }
    }
    let ready = scenario.condition(ConditionType::Ready).unwrap();
    assert_eq!(ready.status, "True", "{}: {}", ready.reason, ready.message);
}

#[tokio::test(start_paused = true)]
async fn unit_that_fails_in_a_rollout_keeps_its_slot_until_the_pool_is_corrected() {
    let mut scenario = broken().await;
    assert_eq!(scenario.unit().status.unwrap().phase, Some(computing_unit_api::Phase::Failed));
    assert_eq!(scenario.context.rollouts.slot(&scenario.unit()), Slot::Granted);
    assert!(scenario.unit().status.unwrap().rollout_slot, "also for the next process");
    assert!(!is_there(&scenario));
    // A change outside the template starts no unit.
    let mut other = pool(1);
    other.metadata.generation = Some(7);
    scenario.pool(other);
    scenario.reconcile().await.unwrap();
    assert!(!is_there(&scenario));
    scenario.pool(pool(2));
    scenario.reconcile().await.unwrap();
    assert!(is_there(&scenario));
    scenario.watch();
    next_pod_is_ready(&mut scenario).await;
    assert_eq!(scenario.condition(ConditionType::Finished), None);
    assert_eq!(scenario.context.rollouts.slot(&scenario.unit()), Slot::NotRequested);
    assert!(!scenario.unit().status.unwrap().rollout_slot);
}

#[tokio::test(start_paused = true)]
async fn unit_that_fails_by_itself_holds_up_no_rollout() {
    let mut scenario = recreated().await;
    fail_pod(&mut scenario);
    scenario.reconcile().await.unwrap();
    let status = scenario.unit().status.unwrap();
    assert_eq!((status.phase, status.rollout_slot), (Some(computing_unit_api::Phase::Failed), false));
    assert!(status.last_failure.unwrap().template_hash.is_some());
}

#[tokio::test(start_paused = true)]
async fn slot_of_a_unit_that_is_suspended_is_released() {
    let mut scenario = broken().await;
    scenario.server.edit(UNITS, |unit| unit["spec"]["operatingMode"] = json!("Suspended"));
    scenario.watch();
    for _ in 0..3 {
        scenario.reconcile().await.unwrap();
        scenario.watch();
    }
    assert_eq!(scenario.context.rollouts.slot(&scenario.unit()), Slot::NotRequested, "{}", now());
}
