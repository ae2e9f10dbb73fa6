//! What comes of each error of the API server in each write to the unit itself.

use computing_unit_api::{Reason, names::FINALIZER};
use serde_json::json;

use super::{
    api_server::now,
    call::{
        Answer, Call, PODS, ROUTES, SERVICES, UNITS, create, delete, error, event, events, failed_test, finalizers,
        merge, patch, publication, read,
    },
    outcomes::{
        FAILURES, Failure,
        Result::{self, Done, Events, Retries},
        check,
    },
    scenario::{Scenario, waits_for_a_change},
    starts::is_open,
};
use crate::{
    controllers::unit::{
        blocked::{Inputs, Write},
        context::STATUS_DELAY,
    },
    metrics::Outcome::{Conflict, Forbidden, Invalid, Other, Throttled, Timeout, Unavailable},
};

/// What comes of each failure, whichever write to the unit it is.
const RESULTS: [Result; 9] = [
    Events(Forbidden),
    Done,
    Retries(Conflict),
    Events(Other),
    Events(Invalid),
    Retries(Throttled),
    Events(Unavailable),
    Events(Timeout),
    Retries(Unavailable),
];

fn steps() -> [(&'static str, Call); 5] {
    [
        ("add the finalizer", merge()),
        ("remove the finalizer", merge()),
        ("publish the status", publication()),
        ("delete the unit", delete(UNITS)),
        ("follow the schedule", merge()),
    ]
}

/// A unit whose next reconcile takes that step.
async fn before(step: &str) -> Scenario {
    match step {
        "add the finalizer" | "publish the status" => Scenario::new(),
        "remove the finalizer" => {
            let mut scenario = Scenario::ready().await;
            terminate(&mut scenario);
            scenario.reconcile().await.unwrap();
            scenario.watch();
            scenario.proxies_confirm();
            scenario
        }
        "delete the unit" => expired().await,
        "follow the schedule" => super::schedule::due("suspend").await,
        _ => unreachable!("{step}"),
    }
}

fn terminate(scenario: &mut Scenario) {
    scenario.edit(|unit| unit["metadata"]["deletionTimestamp"] = json!(now()));
}

/// A unit that has been finished for its TTL.
async fn expired() -> Scenario {
    let mut scenario = Scenario::new();
    let past = "2026-01-01T00:00:00Z";
    let lifecycle = json!({"shutdownTime": past, "ttlSecondsAfterFinished": 60});
    scenario.edit(|unit| unit["spec"]["lifecycle"] = lifecycle);
    scenario.reconcile().await.unwrap();
    scenario.edit(|unit| {
        for condition in unit["status"]["conditions"].as_array_mut().unwrap() {
            condition["lastTransitionTime"] = json!(past);
        }
    });
    scenario
}

#[tokio::test(start_paused = true)]
async fn unit_write_that_fails_is_retried_or_means_that_the_unit_is_gone() {
    for (step, call) in steps() {
        for (failure, result) in FAILURES.into_iter().zip(RESULTS) {
            let mut scenario = before(step).await;
            scenario.server.fault(call.clone().answered(failure.answer()));
            if failure == Failure::Code(404) {
                let what = format!("{step}: {failure:?}");
                let action = scenario.reconcile().await.unwrap();
                assert!(waits_for_a_change(&action), "{what}");
                // The watch event of the deletion is on its way.
                assert!(waits_for_a_change(&scenario.expect([]).await.unwrap()), "{what}");
                continue;
            }
            check(step, &mut scenario, call.clone(), None, failure, result).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failing_status_does_not_stop_a_deletion() {
    for failure in FAILURES.into_iter().filter(|failure| *failure != Failure::Code(404)) {
        let mut scenario = Scenario::ready().await;
        scenario.server.fault(publication().answered(failure.answer()));
        terminate(&mut scenario);
        scenario.reconcile().await.unwrap();
        assert!(!is_open(&scenario), "{failure:?}: before the status is due");
        scenario.watch();
        tokio::time::advance(STATUS_DELAY).await;
        scenario.reconcile().await.unwrap();
        scenario.proxies_confirm();
        scenario.reconcile().await.unwrap();
        assert_eq!(scenario.server.get(UNITS, "ada"), None, "{failure:?}");
        assert_eq!(scenario.server.count(&publication()) - published_when_ready().await, 1, "{failure:?}: not retried");
    }
}

/// How many statuses a start publishes.
async fn published_when_ready() -> usize {
    Scenario::ready().await.server.count(&publication())
}

#[tokio::test(start_paused = true)]
async fn children_and_finalizer_are_removed_at_once_if_there_is_no_route_to_withdraw() {
    let mut scenario = Scenario::new();
    scenario.reconcile().await.unwrap();
    scenario.watch();
    terminate(&mut scenario);
    scenario.expect([read(ROUTES), delete(PODS), delete(SERVICES), finalizers(&[])]).await.unwrap();
    assert_eq!(scenario.server.get(UNITS, "ada"), None);
}

#[tokio::test(start_paused = true)]
async fn deletion_does_not_wait_for_a_route_that_the_operator_may_not_withdraw() {
    let mut scenario = Scenario::ready().await;
    scenario.server.fault(patch(ROUTES).answered(error(403)));
    scenario.server.fault(publication().answered(error(403)));
    scenario.server.fault(events().answered(error(403)));
    terminate(&mut scenario);
    let before = scenario.server.count(&patch(ROUTES));
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.server.count(&patch(ROUTES)) - before, 1);
    assert_eq!(scenario.server.get(UNITS, "ada"), None);
}

/// The response to a create in a namespace that is being deleted.
fn namespace_terminating() -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "pods \"ada\" is forbidden: unable to create new content in namespace units because it is being terminated",
        "details": {"name": "ada", "kind": "pods", "causes": [
            {"reason": "NamespaceTerminating", "message": "namespace units is being terminated", "field": "metadata.namespace"},
        ]},
    });
    Answer::Fails(Box::new(serde_json::from_value(status).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn unit_of_a_namespace_that_is_being_deleted_gets_no_orderly_withdrawal() {
    let mut scenario = Scenario::ready().await;
    // The pod is deleted first, and the operator tries to restore its Service meanwhile.
    scenario.server.remove(SERVICES, "ada");
    scenario.watch();
    scenario.server.fault(create(SERVICES).answered(namespace_terminating()));
    scenario.reconcile().await.unwrap();
    let blocked = scenario.context.blocked.of("ada-uid", &Inputs::default());
    assert_eq!(blocked.find(Write::Service).map(|blocked| blocked.reason), Some(Reason::NamespaceTerminating));
    terminate(&mut scenario);
    scenario.expect([delete(ROUTES), delete(PODS), finalizers(&[])]).await.unwrap();
    assert_eq!(scenario.server.get(UNITS, "ada"), None);
}

#[tokio::test(start_paused = true)]
async fn abandoned_withdrawal_does_not_wait_for_its_event() {
    let mut scenario = Scenario::ready().await;
    scenario.server.fault(events().answered(Answer::Hangs));
    scenario.server.fault(publication().answered(error(500)));
    scenario.edit(|unit| unit["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
    let reconcile = scenario.reconcile();
    let removed = async {
        while scenario.server.get(UNITS, "ada").is_some() {
            tokio::task::yield_now().await;
        }
    };
    // The clock does not advance while a task is ready, so this is before the timeout of the Event.
    tokio::select! { biased; _ = reconcile => panic!("the Event timed out first"), () = removed => {} }
}

#[tokio::test(start_paused = true)]
async fn failing_status_does_not_stop_a_suspension() {
    let mut scenario = Scenario::ready().await;
    scenario.server.fault(publication().answered(error(403)));
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Suspended"));
    scenario.reconcile().await.unwrap_err();
    scenario.reconcile().await.unwrap();
    scenario.watch();
    scenario.proxies_confirm();
    scenario.reconcile().await.unwrap();
    scenario.watch();
    scenario.reconcile().await.unwrap();
    assert!(scenario.server.get(PODS, "ada").is_some_and(|pod| !pod["metadata"]["deletionTimestamp"].is_null()));
    scenario.server.no_faults();
    scenario.server.remove(PODS, "ada");
    scenario.watch();
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.server.get(UNITS, "ada").unwrap()["status"]["phase"], "Suspended", "retried");
}

#[tokio::test(start_paused = true)]
async fn pod_is_not_replaced_before_the_status_records_it() {
    let mut scenario = Scenario::ready().await;
    scenario.server.fault(publication().answered(error(403)));
    scenario.edit(|unit| {
        unit["spec"]["updateStrategy"] = json!("Recreate");
        unit["spec"]["env"] = json!([{"name": "A", "value": "b"}]);
    });
    scenario.reconcile().await.unwrap_err();
    scenario.reconcile().await.unwrap();
    assert!(is_open(&scenario));
    assert_eq!(scenario.server.count(&delete(PODS)), 0);
}

#[tokio::test(start_paused = true)]
async fn failing_events_do_not_stop_a_start() {
    for answer in [error(403), error(500), Answer::Hangs, Answer::Disconnects] {
        let mut scenario = Scenario::new();
        scenario.server.fault(events().answered(answer.clone()));
        scenario.reconcile().await.unwrap();
        for _ in 0..2 {
            scenario.pod_ready();
            scenario.reconcile().await.unwrap();
            scenario.route_accepted();
            scenario.proxies_confirm();
        }
        scenario.reconcile().await.unwrap();
        assert_eq!(scenario.server.get(UNITS, "ada").unwrap()["status"]["phase"], "Ready", "{answer:?}");
        assert_eq!(scenario.server.count(&event("Ready")), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn failing_step_does_not_stop_the_others() {
    for failure in FAILURES {
        let scenario = Scenario::new();
        scenario.server.fault(create(SERVICES).answered(failure.answer()));
        let _ = scenario.reconcile().await;
        let unit = scenario.server.get(UNITS, "ada").unwrap();
        assert_eq!(unit["metadata"]["finalizers"], json!([FINALIZER]), "{failure:?}");
        assert!(scenario.server.get(PODS, "ada").is_some(), "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn repair_of_another_object_is_retried_as_a_conflict() {
    let mut scenario = Scenario::ready().await;
    scenario.server.edit(ROUTES, |route| route["spec"]["hostnames"] = json!(["a.example.org"]));
    scenario.watch();
    let other = Answer::Fails(Box::new(failed_test()));
    scenario.server.fault(patch(ROUTES).answered(other));
    check("repair", &mut scenario, patch(ROUTES), Some(Write::HTTPRoute), Failure::Code(422), Retries(Conflict)).await;
    assert!(scenario.unit().status.is_some_and(|status| status.phase == Some(computing_unit_api::Phase::Ready)));
    assert_eq!(scenario.server.count(&event(Reason::ChildRefused.as_str())), 0);
}

#[tokio::test(start_paused = true)]
async fn quota_is_reported_in_the_words_of_the_api_server() {
    let scenario = Scenario::new();
    let words = "pods \"ada\" is forbidden: exceeded quota: team, requested: pods=1, used: pods=5, limited: pods=5";
    let status = kube::core::Status::failure(words, "Forbidden").with_code(403);
    scenario.server.fault(create(PODS).answered(Answer::Fails(Box::new(status))));
    scenario.reconcile().await.unwrap();
    let ready = scenario.condition(computing_unit_api::ConditionType::PodReady).unwrap();
    assert_eq!(ready.reason, "Forbidden");
    assert!(ready.message.ends_with(words), "{}", ready.message);
    assert_eq!(scenario.server.count(&event("Forbidden")), 1);
}
