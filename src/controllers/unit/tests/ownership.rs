//! An object that has the name of a child already.

use computing_unit_api::{ConditionType, names::FINALIZER};
use serde_json::{Value, json};

use super::{
    call::{Answer, PODS, SERVICES, already_exists, create, event, finalizers, missing, read, status},
    scenario::Scenario,
};
use crate::testing;

/// A Service of the unit's name whose controller is the unit with that UID, if any.
fn service(controller: Option<&str>) -> Value {
    let mut service = json!(testing::children().service);
    service["metadata"]["uid"] = json!("service-uid");
    match controller {
        Some(uid) => service["metadata"]["ownerReferences"][0]["uid"] = json!(uid),
        None => service["metadata"]["ownerReferences"] = json!([]),
    }
    service
}

fn owner(uid: &str) -> Value {
    service(Some(uid))
}

#[tokio::test(start_paused = true)]
async fn own_child_that_the_cache_lacks_is_adopted() {
    let mut scenario = Scenario::new();
    scenario.server.put(SERVICES, owner("ada-uid"));
    let calls = [finalizers(&[FINALIZER]), create(SERVICES), create(PODS), read(SERVICES), status("Starting")];
    scenario.expect(calls).await.unwrap();
    assert_eq!(scenario.condition(ConditionType::Accepted).unwrap().status, "True");
    scenario.watch();
    scenario.expect([]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn child_of_somebody_else_is_left_alone() {
    for (existing, type_, reason) in [
        (service(None), ConditionType::Accepted, "ChildNotOwned"),
        (owner("earlier-uid"), ConditionType::Ready, "ChildTerminating"),
    ] {
        let mut scenario = Scenario::new();
        scenario.server.put(SERVICES, existing);
        let before = scenario.server.get(SERVICES, "ada");
        let mut calls =
            vec![finalizers(&[FINALIZER]), create(SERVICES), create(PODS), read(SERVICES), status("Starting")];
        calls.extend((type_ == ConditionType::Accepted).then(|| event(reason)));
        scenario.expect(calls).await.unwrap();
        let condition = scenario.condition(type_).unwrap();
        assert_eq!((&*condition.status, &*condition.reason), ("False", reason), "{}", condition.message);
        scenario.expect([]).await.unwrap();
        assert_eq!(scenario.server.get(SERVICES, "ada"), before);

        scenario.server.remove(SERVICES, "ada");
        scenario.watch();
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        scenario.reconcile().await.unwrap();
        assert_eq!(scenario.condition(ConditionType::Accepted).unwrap().status, "True");
        assert!(scenario.server.get(SERVICES, "ada").is_some(), "created when the name is free");
    }
}

#[tokio::test(start_paused = true)]
async fn child_that_was_deleted_meanwhile_is_created() {
    let scenario = Scenario::new();
    let calls = [
        finalizers(&[FINALIZER]),
        create(SERVICES).answered(already_exists()),
        create(PODS),
        read(SERVICES).answered(Answer::Fails(Box::new(missing("ada")))),
        create(SERVICES),
        status("Starting"),
    ];
    scenario.expect(calls).await.unwrap();
}
