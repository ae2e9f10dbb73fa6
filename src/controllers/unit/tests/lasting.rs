//! Failures that last, and what is left of them.

use std::time::Duration;

use computing_unit_api::{ConditionType, Phase};
use kube::{core::Status, runtime::watcher::Event};
use serde_json::json;

use super::{
    api_server::now,
    call::{Answer, PODS, ROUTES, SERVICES, UNITS, create, delete, error, patch, read},
    scenario::Scenario,
    starts::is_open,
};
use crate::{
    controllers::unit::{blocked::Inputs, context::STATUS_DELAY, error_policy},
    k8s::overlay::OVERLAY_TTL,
};

/// Reconciles like the controller, with the delays after failures, for a minute.
async fn reconcile_for_a_minute(scenario: &mut Scenario) {
    for _ in 0..60 {
        scenario.watch();
        if let Err(error) = scenario.reconcile().await {
            error_policy(scenario.unit_in_cache(), &error, scenario.context.clone());
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn failure_that_usually_is_brief_is_reported_if_it_lasts() {
    let quota = "Operation cannot be fulfilled on resourcequotas \"q\": the words of the API server";
    let conflict = Answer::Fails(Box::new(Status::failure(quota, "Conflict").with_code(409)));
    for (what, answer, words) in [
        ("a conflict of a quota", conflict, "the words of the API server"),
        ("a busy API server", error(429), "the words of the API server"),
        ("a connection that breaks", Answer::Disconnects, "connection reset"),
        ("no response", Answer::Hangs, "no response of the API server within 20s"),
    ] {
        let mut scenario = Scenario::new();
        scenario.server.fault(create(PODS).answered(answer));
        scenario.reconcile().await.unwrap_err();
        assert!(scenario.condition(ConditionType::PodReady).is_none_or(|ready| ready.reason != "NotWritten"), "{what}");
        reconcile_for_a_minute(&mut scenario).await;
        let ready = scenario.condition(ConditionType::PodReady).unwrap();
        assert_eq!(ready.reason, "NotWritten", "{what}");
        assert!(ready.message.contains(words), "{what}: {}", ready.message);
        scenario.server.no_faults();
        tokio::time::advance(Duration::from_mins(1)).await;
        scenario.reconcile().await.unwrap();
        assert!(scenario.server.get(PODS, "ada").is_some(), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn write_of_a_withdrawal_that_is_rejected_is_sent_once() {
    let mut scenario = Scenario::ready().await;
    scenario.server.fault(patch(ROUTES).answered(error(403)));
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Suspended"));
    scenario.reconcile().await.unwrap();
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.server.count(&patch(ROUTES)), 1 + 1, "it was opened, and guarded once");
    assert_eq!(scenario.condition(ConditionType::RouteAccepted).unwrap().reason, "Forbidden");
}

#[tokio::test(start_paused = true)]
async fn pod_that_cannot_be_deleted_is_reported() {
    let mut scenario = Scenario::ready().await;
    scenario.server.fault(delete(PODS).answered(error(500)));
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Suspended"));
    scenario.reconcile().await.unwrap();
    scenario.watch();
    scenario.proxies_confirm();
    reconcile_for_a_minute(&mut scenario).await;
    let ready = scenario.condition(ConditionType::PodReady).unwrap();
    assert!(ready.reason == "NotWritten" && ready.message.contains("the words of the API server: 500"), "{ready:?}");
}

#[tokio::test(start_paused = true)]
async fn suspended_unit_reports_no_child_that_it_does_not_want() {
    let mut scenario = Scenario::new();
    scenario.server.fault(create(PODS).answered(error(403)));
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.condition(ConditionType::PodReady).unwrap().reason, "Forbidden");
    scenario.watch();
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Suspended"));
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.condition(ConditionType::PodReady).unwrap().reason, "Suspended");
    assert!(scenario.context.blocked.of("ada-uid", &Inputs::default()).all.is_empty());
}

#[tokio::test(start_paused = true)]
async fn service_that_leads_elsewhere_is_repaired() {
    let mut scenario = Scenario::ready().await;
    scenario.server.edit(SERVICES, |service| {
        service["spec"]["type"] = json!("ExternalName");
        service["spec"]["externalName"] = json!("elsewhere.example.org");
        service["spec"]["clusterIP"] = json!(null);
    });
    scenario.watch();
    let fields = json!([
        {"op": "add", "path": "/spec/type", "value": "ClusterIP"},
        {"op": "add", "path": "/spec/clusterIP", "value": "None"},
    ]);
    scenario.server.fault(patch(SERVICES).with(fields.clone()).answered(error(409)));
    scenario.reconcile().await.unwrap_err();
    assert_eq!(scenario.server.count(&patch(SERVICES).with(fields)), 1);
    tokio::time::advance(STATUS_DELAY).await;
}

#[tokio::test(start_paused = true)]
async fn label_of_somebody_else_survives_a_repair() {
    let mut scenario = Scenario::ready().await;
    scenario.server.edit(PODS, |pod| {
        pod["metadata"]["labels"].as_object_mut().unwrap().remove("app.kubernetes.io/name");
    });
    scenario.watch();
    // The watch event of this is on its way.
    scenario.server.edit(PODS, |pod| pod["metadata"]["labels"]["by"] = json!("somebody else"));
    scenario.reconcile().await.unwrap();
    let labels = scenario.server.get(PODS, "ada").unwrap()["metadata"]["labels"].clone();
    assert_eq!((&labels["by"], &labels["app.kubernetes.io/name"]), (&json!("somebody else"), &json!("computing-unit")));
}

#[tokio::test(start_paused = true)]
async fn pod_that_the_watch_has_not_reported_is_not_lost() {
    let scenario = Scenario::new();
    scenario.reconcile().await.unwrap();
    // The watch of pods is behind for longer than the overlay remembers the write.
    let unit = scenario.server.get(UNITS, "ada").unwrap();
    scenario.context.caches.scopes[0].units.apply(&Event::Apply(serde_json::from_value(unit).unwrap()));
    tokio::time::advance(OVERLAY_TTL).await;
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.unit().status.unwrap().last_failure, None);
    assert_eq!((scenario.server.count(&read(PODS)), scenario.server.count(&create(PODS))), (1, 1));
    // Then it is gone.
    scenario.server.remove(PODS, "ada");
    tokio::time::advance(OVERLAY_TTL).await;
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.unit().status.unwrap().last_failure.unwrap().reason, "PodLost");
}

#[tokio::test(start_paused = true)]
async fn finalizer_stays_while_there_is_a_route_that_the_watch_has_not_reported() {
    let mut scenario = Scenario::ready().await;
    scenario.edit(|unit| unit["metadata"]["deletionTimestamp"] = json!(now()));
    let route = scenario.context.caches.scopes[0].routes.get("units", "ada").unwrap();
    scenario.context.caches.scopes[0].routes.apply(&Event::Delete(route.as_ref().clone()));
    scenario.reconcile().await.unwrap();
    assert!(!is_open(&scenario), "the route is withdrawn");
    assert!(scenario.server.get(UNITS, "ada").is_some(), "the finalizer is kept meanwhile");
}

#[tokio::test(start_paused = true)]
async fn finalizer_is_removed_if_the_route_cannot_be_read() {
    let mut scenario = Scenario::new();
    scenario.reconcile().await.unwrap();
    scenario.server.fault(read(ROUTES).answered(error(403)));
    scenario.edit(|unit| unit["metadata"]["deletionTimestamp"] = json!(now()));
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.server.get(UNITS, "ada"), None);
}

#[tokio::test(start_paused = true)]
async fn time_at_a_scheduling_gate_does_not_count_toward_the_start_timeout() {
    let mut scenario = Scenario::new();
    scenario.reconcile().await.unwrap();
    scenario.server.edit(PODS, |pod| {
        pod["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        pod["spec"]["schedulingGates"] = json!([{"name": "example.org/queue"}]);
    });
    scenario.watch();
    scenario.reconcile().await.unwrap();
    tokio::time::advance(STATUS_DELAY).await;
    scenario.reconcile().await.unwrap();
    let ready = scenario.condition(ConditionType::PodReady).unwrap();
    assert!(ready.reason == "SchedulingGated" && ready.message.contains("example.org/queue"), "{ready:?}");
    scenario.server.edit(PODS, |pod| pod["spec"]["schedulingGates"] = json!(null));
    scenario.watch();
    scenario.reconcile().await.unwrap();
    tokio::time::advance(STATUS_DELAY).await;
    scenario.reconcile().await.unwrap();
    let status = scenario.unit().status.unwrap();
    assert!(status.stages.ungated.is_some() && status.phase == Some(Phase::Starting), "{status:?}");
    scenario.watch();
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.condition(ConditionType::Finished), None);
}
