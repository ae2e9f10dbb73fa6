//! A time of the schedule, and the deletion of a unit that has been suspended for long, request by request.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    call::{PODS, ROUTES, SERVICES, UNITS, create, delete, error, event, finalizers, merge, publication, read, status},
    scenario::Scenario,
    starts::guard,
};
use crate::metrics::Outcome;

/// The minute that has begun last.
fn last_minute() -> String {
    let second = Timestamp::now().as_second();
    Timestamp::from_second(second - second % 60).unwrap().to_string()
}

/// A unit for which a change to `list` is due. The next one is far away.
pub(super) async fn due(list: &str) -> Scenario {
    let time = Timestamp::now() - SignedDuration::from_mins(2);
    let cron = time.strftime("%M %H * * *").to_string();
    let schedule = json!({"timeZone": "Etc/UTC", list: [cron]});
    let mut scenario =
        Scenario::ready_of(|pool| pool.spec.lifecycle.schedule = serde_json::from_value(schedule).unwrap()).await;
    let second = time.as_second() - time.as_second() % 60;
    let missed = Timestamp::from_second(second).unwrap().to_string();
    let next = if list == "suspend" { "nextSuspend" } else { "nextResume" };
    scenario.edit(|unit| unit["status"]["schedule"] = json!({next: missed}));
    scenario
}

#[tokio::test(start_paused = true)]
async fn unit_is_suspended_by_one_more_write_and_no_second_time() {
    let mut scenario = due("suspend").await;
    let mode = json!({"metadata": {"uid": "ada-uid", "resourceVersion": scenario.version()}, "spec": {"operatingMode": "Suspended"}});
    let route = scenario.uid(ROUTES);
    scenario
        .expect([merge().with(mode), event("Schedule"), status("Suspending"), event("Suspending"), guard(&route)])
        .await
        .unwrap();
    scenario.watch();
    scenario.expect([]).await.unwrap();
    // A person resumes it.
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Running"));
    scenario.reconcile().await.unwrap();
    scenario.watch();
    assert_eq!(scenario.unit().spec.operating_mode, computing_unit_api::OperatingMode::Running);
    assert_eq!(scenario.server.count(&merge()), 2, "the finalizer, and the mode");
}

#[tokio::test(start_paused = true)]
async fn running_unit_is_not_resumed_and_the_next_time_is_recorded_by_one_write() {
    let scenario = due("resume").await;
    scenario.expect([publication()]).await.unwrap();
    let next = scenario.unit().status.unwrap().schedule.unwrap().next_resume.unwrap().0;
    assert!(next > Timestamp::now());
}

#[tokio::test(start_paused = true)]
async fn person_who_resumes_an_expired_unit_at_the_same_time_comes_first() {
    let mut scenario = Scenario::of_pool(|pool| pool.spec.lifecycle.ttl_seconds_after_suspended = Some(60));
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Suspended"));
    scenario.reconcile().await.unwrap();
    scenario.watch();
    let expire = |unit: &mut Value| {
        let past = "2026-01-01T00:00:00Z";
        for condition in unit["status"]["conditions"].as_array_mut().unwrap() {
            condition["lastTransitionTime"] = json!(past);
        }
        unit["status"]["expiresAt"] = json!(last_minute());
    };
    scenario.edit(expire);
    // It was not announced.
    scenario.expect([publication(), event("SuspendedTooLong")]).await.unwrap();
    scenario.watch();
    scenario.expect([]).await.unwrap();
    scenario.edit(expire);
    let version = json!({"preconditions": {"uid": "ada-uid", "resourceVersion": scenario.version()}});
    scenario.server.expect(vec![delete(UNITS).with(version).answered(error(409))]);
    assert!(scenario.reconcile().await.is_err_and(|error| error.outcome() == Outcome::Conflict));
    scenario.server.verify();
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Running"));
    scenario.expect([create(PODS), status("Starting")]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn expired_unit_is_deleted_after_a_restart_of_the_operator() {
    let mut scenario = Scenario::of_pool(|pool| pool.spec.lifecycle.ttl_seconds_after_suspended = Some(60));
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Suspended"));
    scenario.reconcile().await.unwrap();
    scenario.edit(|unit| {
        let past = "2026-01-01T00:00:00Z";
        let conditions = unit["status"]["conditions"].as_array_mut().unwrap();
        for condition in conditions.iter_mut() {
            condition["lastTransitionTime"] = json!(past);
        }
        let expiring = json!({"type": "Expiring", "status": "True", "reason": "SuspendedTooLong", "message": "",
                              "lastTransitionTime": past});
        conditions.push(expiring);
        unit["status"]["expiresAt"] = json!(last_minute());
    });
    let service = delete(SERVICES);
    let end = [delete(UNITS), event("Expired"), read(PODS), read(ROUTES), service, finalizers(&[])];
    scenario.expect(end).await.unwrap();
}
