//! A pod whose node does not get as far as starting its containers: only the Events of the pod say why.

use std::time::Duration;

use computing_unit_api::{ConditionType, Reason};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use super::{
    call::{EVENTS, PODS, error, event, list_events, publication},
    outcomes::FAILURES,
    scenario::{Scenario, waits_for_a_change},
    starts::first_calls,
};

const WORDS: &str = "MountVolume.SetUp failed for volume \"s\" : secret \"nothere\" not found";

/// A pod that its node has been setting up for that long.
async fn set_up_for(seconds: i64) -> Scenario {
    let mut scenario = Scenario::new();
    scenario.expect(first_calls()).await.unwrap();
    set_up(&mut scenario, seconds);
    scenario
}

fn set_up(scenario: &mut Scenario, seconds: i64) {
    let since = Timestamp::now() - SignedDuration::from_secs(seconds);
    let condition = |type_: &str, status: &str, message: Value| json!({"type": type_, "status": status, "message": message, "lastTransitionTime": since.to_string()});
    let container = json!({
        "name": "engine", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ContainerCreating"}},
    });
    scenario.server.edit(PODS, |pod| {
        pod["spec"]["nodeName"] = json!("node-1");
        pod["status"] = json!({"phase": "Pending", "containerStatuses": [container], "conditions": [
            condition("PodScheduled", "True", Value::Null),
            condition("PodReadyToStartContainers", "False", Value::Null),
            condition("Ready", "False", json!("containers with unready status: [engine]")),
        ]});
    });
    scenario.watch();
}

/// The kubelet records an Event about a pod.
fn record(scenario: &Scenario, name: &str, pod: &str, note: &str) {
    scenario.server.put(
        EVENTS,
        json!({
            "metadata": {"name": name, "namespace": "units", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "regarding": {"kind": "Pod", "name": "ada", "uid": pod}, "type": "Warning",
            "reason": "FailedMount", "note": note, "eventTime": null,
        }),
    );
}

fn pod_ready(scenario: &Scenario) -> (String, String) {
    let condition = scenario.condition(ConditionType::PodReady).unwrap();
    (condition.reason, condition.message)
}

#[tokio::test(start_paused = true)]
async fn start_that_takes_less_than_five_seconds_lists_no_events() {
    let mut scenario = set_up_for(2).await;
    let action = scenario.expect([]).await.unwrap();
    assert!(!waits_for_a_change(&action) && action != Action::requeue(Duration::from_millis(10)), "{action:?}");
    scenario.finish_start().await;
    tokio::time::advance(Duration::from_mins(1)).await;
    scenario.expect([]).await.unwrap();
    assert_eq!(scenario.server.count(&list_events()), 0);
}

#[tokio::test(start_paused = true)]
async fn failure_of_the_node_is_published_at_once_in_its_own_words() {
    let mut scenario = set_up_for(6).await;
    record(&scenario, "other", "another-pod", "of an earlier pod");
    record(&scenario, "own", &scenario.uid(PODS), WORDS);
    scenario.expect([list_events(), publication(), event("VolumeMountFailed")]).await.unwrap();
    let (reason, message) = pod_ready(&scenario);
    assert_eq!(reason, Reason::VolumeMountFailed);
    assert_eq!(message, format!("pod \"ada\" on node \"node-1\" cannot be set up (FailedMount): {WORDS}"));
    let ready = scenario.condition(ConditionType::Ready).unwrap();
    assert_eq!((ready.reason, ready.message), (reason, message));
    scenario.watch();
    scenario.expect([]).await.unwrap();
    // The Secret is created.
    scenario.finish_start().await;
    assert_eq!(scenario.server.count(&list_events()), 1);
    assert_eq!(pod_ready(&scenario).0, Reason::PodReady);
}

#[tokio::test(start_paused = true)]
async fn events_are_listed_again_at_growing_intervals_and_for_each_pod() {
    let mut scenario = set_up_for(6).await;
    let mut at = Vec::new();
    for second in 0..200 {
        let before = scenario.server.count(&list_events());
        scenario.reconcile().await.unwrap();
        scenario.watch();
        at.extend((scenario.server.count(&list_events()) > before).then_some(second));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(at, [0, 15, 45, 105, 165]);
    // A change of the message is no transition, and is published later.
    record(&scenario, "own", &scenario.uid(PODS), WORDS);
    tokio::time::advance(Duration::from_mins(1)).await;
    scenario.reconcile().await.unwrap();
    assert_eq!(pod_ready(&scenario).0, Reason::VolumeMountFailed);
    scenario.server.edit(PODS, |pod| pod["metadata"]["uid"] = json!("next-pod"));
    set_up(&mut scenario, 6);
    let before = scenario.server.count(&list_events());
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.server.count(&list_events()) - before, 1);
}

#[tokio::test(start_paused = true)]
async fn start_timeout_has_the_words_too() {
    let mut scenario = set_up_for(6).await;
    record(&scenario, "own", &scenario.uid(PODS), WORDS);
    scenario.reconcile().await.unwrap();
    scenario.server.edit(PODS, |pod| pod["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z"));
    scenario.watch();
    scenario.reconcile().await.unwrap();
    let failure = scenario.unit().status.unwrap().last_failure.unwrap();
    assert!(failure.reason == "StartTimeout" && failure.message.ends_with(WORDS), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn events_that_cannot_be_listed_are_reported_and_fail_no_reconcile() {
    for failure in FAILURES {
        let mut scenario = set_up_for(6).await;
        scenario.server.fault(list_events().answered(failure.answer()));
        scenario.reconcile().await.unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
        scenario.watch();
        scenario.reconcile().await.unwrap();
        let (reason, message) = pod_ready(&scenario);
        assert_eq!(reason, Reason::ContainersNotReady, "{failure:?}");
        assert!(message.starts_with("containers with unready status: [engine]; the Events"), "{failure:?}: {message}");
        assert_eq!(scenario.server.count(&list_events()), 1, "{failure:?}");
        scenario.finish_start().await;
    }
    let mut scenario = set_up_for(6).await;
    scenario.server.fault(list_events().answered(error(403)));
    scenario.reconcile().await.unwrap();
    tokio::time::advance(Duration::from_secs(10)).await;
    scenario.reconcile().await.unwrap();
    assert!(pod_ready(&scenario).1.ends_with(": the words of the API server: 403"), "{:?}", pod_ready(&scenario));
    // The permission is granted.
    scenario.server.no_faults();
    record(&scenario, "own", &scenario.uid(PODS), WORDS);
    tokio::time::advance(Duration::from_secs(5)).await;
    scenario.reconcile().await.unwrap();
    assert_eq!(pod_ready(&scenario).0, Reason::VolumeMountFailed);
    scenario.watch();
}

#[tokio::test(start_paused = true)]
async fn unit_that_is_to_have_no_pod_lists_no_events() {
    let mut scenario = set_up_for(6).await;
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Suspended"));
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.server.count(&list_events()), 0);
}
