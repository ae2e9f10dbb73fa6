//! When the status is published, and the Events of its transitions.

use std::time::Duration;

use computing_unit_api::ConditionType;
use kube::runtime::controller::Action;
use serde_json::json;

use super::{
    call::{
        Answer, Call, PODS, ROUTES, SERVICES, UNITS, already_exists, create, error, event, missing, publication, read,
        status,
    },
    scenario::{Scenario, waits_for_a_change},
    starts::{first_calls, guard, guarded_route, open},
};
use crate::{
    controllers::unit::{MAX_ROUNDS, context::STATUS_DELAY},
    k8s::error::Error,
    metrics::Outcome,
};

#[tokio::test(start_paused = true)]
async fn progress_of_a_start_is_published_after_a_delay() {
    let mut scenario = Scenario::new();
    scenario.expect(first_calls()).await.unwrap();
    scenario.pod_ready();
    scenario.expect([guarded_route()]).await.unwrap();
    scenario.route_accepted();
    let action = scenario.expect([]).await.unwrap();
    assert_eq!(action, Action::requeue(STATUS_DELAY));
    tokio::time::advance(STATUS_DELAY.saturating_sub(Duration::from_millis(10))).await;
    scenario.expect([]).await.unwrap();
    assert_eq!(scenario.condition(ConditionType::PodReady).unwrap().status, "False");
    tokio::time::advance(Duration::from_millis(10)).await;
    scenario.expect([status("Starting")]).await.unwrap();
    assert_eq!(scenario.condition(ConditionType::PodReady).unwrap().status, "True");
    scenario.expect([]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn transition_publishes_the_progress_that_is_held_back() {
    let mut scenario = Scenario::new();
    scenario.expect(first_calls()).await.unwrap();
    scenario.finish_start().await;
    tokio::time::advance(STATUS_DELAY).await;
    let action = scenario.expect([]).await.unwrap();
    assert!(waits_for_a_change(&action), "{action:?}");
}

#[tokio::test(start_paused = true)]
async fn unit_is_ready_before_the_controller_has_written_the_status_of_its_route() {
    let mut scenario = Scenario::new();
    scenario.expect(first_calls()).await.unwrap();
    scenario.pod_ready();
    scenario.expect([guarded_route()]).await.unwrap();
    scenario.proxies_confirm();
    scenario.expect([open(&scenario.uid(ROUTES))]).await.unwrap();
    scenario.proxies_confirm();
    scenario.expect([status("Ready"), event("Ready")]).await.unwrap();
    assert_eq!(scenario.condition(ConditionType::RouteAccepted).unwrap().status, "True");
    // What the controller writes afterwards costs no write.
    scenario.route_accepted();
    tokio::time::advance(STATUS_DELAY).await;
    assert!(waits_for_a_change(&scenario.expect([]).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn change_that_is_undone_in_time_is_not_published() {
    let mut scenario = Scenario::ready().await;
    let node = scenario.server.get(PODS, "ada").unwrap()["spec"]["nodeName"].clone();
    scenario.server.edit(PODS, |pod| pod["spec"]["nodeName"] = json!("another"));
    scenario.watch();
    assert_eq!(scenario.expect([]).await.unwrap(), Action::requeue(STATUS_DELAY));
    scenario.server.edit(PODS, |pod| pod["spec"]["nodeName"] = node);
    scenario.watch();
    scenario.expect([]).await.unwrap();
    tokio::time::advance(STATUS_DELAY).await;
    assert!(waits_for_a_change(&scenario.expect([]).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn unit_that_is_not_ready_any_more_is_published_at_once() {
    let mut scenario = Scenario::ready().await;
    scenario.server.edit(PODS, |pod| pod["status"]["conditions"][0]["status"] = json!("False"));
    scenario.watch();
    scenario.expect([status("NotReady"), event("NotReady")]).await.unwrap();
    scenario.pod_ready();
    scenario.expect([status("Ready"), event("Ready")]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lost_pod_is_published_before_the_next_one_is_created() {
    let mut scenario = Scenario::ready().await;
    scenario.server.remove(PODS, "ada");
    scenario.watch();
    let calls = [read(PODS), guard(&scenario.uid(ROUTES)), status("Pending"), event("PodLost")];
    scenario.expect(calls).await.unwrap();
    scenario.expect([]).await.unwrap();
    assert_eq!(scenario.condition(ConditionType::PodReady).unwrap().reason, "Restarting");
}

#[tokio::test(start_paused = true)]
async fn rejected_unit_is_published_at_once_with_an_event() {
    let mut scenario = Scenario::new();
    scenario.edit(|unit| unit["spec"]["poolName"] = json!("other"));
    scenario.expect([status("Pending"), event("PoolNotFound")]).await.unwrap();
    scenario.expect([]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn status_that_was_held_back_and_cannot_be_written_is_not_retried_at_once() {
    let mut scenario = Scenario::new();
    scenario.expect(first_calls()).await.unwrap();
    scenario.pod_ready();
    scenario.reconcile().await.unwrap();
    tokio::time::advance(STATUS_DELAY).await;
    scenario.server.fault(publication().answered(error(500)));
    scenario.reconcile().await.unwrap_err();
    let action = scenario.expect([]).await.unwrap();
    assert_ne!(action, Action::requeue(Duration::from_millis(10)));
}

#[tokio::test(start_paused = true)]
async fn api_server_that_contradicts_itself_ends_the_reconcile_after_some_rounds() {
    // It has an object and does not have it.
    let scenario = Scenario::new();
    scenario.server.fault(create(SERVICES).answered(already_exists()));
    scenario.server.fault(read(SERVICES).answered(Answer::Fails(Box::new(missing("ada")))));
    does_not_converge(&scenario, &create(SERVICES)).await;

    // It accepts a status and discards it.
    let mut scenario = Scenario::new();
    scenario.edit(|unit| unit["spec"]["poolName"] = json!("missing"));
    let unit = scenario.server.get(UNITS, "ada").unwrap();
    scenario.server.fault(publication().answered(Answer::Returns(unit)));
    does_not_converge(&scenario, &publication()).await;
}

async fn does_not_converge(scenario: &Scenario, request: &Call) {
    let error = scenario.reconcile().await.unwrap_err();
    assert!(matches!(error, Error::NotConverged { rounds: MAX_ROUNDS }), "{error}");
    assert_eq!(scenario.outcomes(Outcome::NotConverged), 1);
    let sent = scenario.server.count(request);
    assert!((2..=MAX_ROUNDS).contains(&sent), "{sent}");
}
