//! Children whose labels were edited, so that the watch reports them as deleted although they exist.

use computing_unit_api::{ConditionType, names::labels};
use serde_json::json;

use super::{
    api_server::now,
    call::{
        Call, PODS, ROUTES, SERVICES, UNITS, already_exists, create, delete, delete_only, error, event, finalizers,
        patch, read, status,
    },
    scenario::{Scenario, waits_for_a_change},
    starts::{guard, is_open},
};
use crate::k8s::overlay::OVERLAY_TTL;

impl Scenario {
    /// Somebody removes a label of the selector from a child.
    fn unlabel(&mut self, collection: &str) {
        self.server.edit(collection, |child| {
            child["metadata"]["labels"].as_object_mut().unwrap().remove(labels::MANAGED_BY);
        });
        self.watch();
    }
}

/// The labels of a child are restored.
fn relabelled(collection: &str) -> Call {
    patch(collection).with(json!([{
        "op": "add",
        "path": "/metadata/labels/app.kubernetes.io~1managed-by",
        "value": "computing-unit-operator",
    }]))
}

#[tokio::test(start_paused = true)]
async fn child_that_left_the_selector_is_repaired_at_once() {
    for (collection, found) in [
        (PODS, vec![read(PODS)]),
        (ROUTES, vec![create(ROUTES).answered(already_exists()), read(ROUTES)]),
        (SERVICES, vec![create(SERVICES).answered(already_exists()), read(SERVICES)]),
    ] {
        let mut scenario = Scenario::ready().await;
        let (uid, before) = (scenario.uid(collection), json!(scenario.unit().status));
        scenario.unlabel(collection);
        scenario.expect(found.into_iter().chain([relabelled(collection)])).await.unwrap();
        scenario.expect([]).await.unwrap();
        scenario.watch();
        let action = scenario.expect([]).await.unwrap();
        assert!(waits_for_a_change(&action), "{collection}: {action:?}");
        assert_eq!((scenario.uid(collection), json!(scenario.unit().status)), (uid, before), "{collection}");
        assert!(is_open(&scenario));
    }
}

#[tokio::test(start_paused = true)]
async fn pod_that_is_gone_is_looked_up_before_it_is_called_lost() {
    let mut scenario = Scenario::ready().await;
    scenario.server.remove(PODS, "ada");
    scenario.watch();
    let route = scenario.uid(ROUTES);
    scenario.expect([read(PODS), guard(&route), status("Pending"), event("PodLost")]).await.unwrap();
    scenario.expect([]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn failed_lookup_changes_nothing() {
    let mut scenario = Scenario::ready().await;
    let before = json!(scenario.unit().status);
    scenario.unlabel(PODS);
    scenario.server.fault(read(PODS).answered(error(500)));
    assert!(scenario.reconcile().await.is_err());
    assert_eq!(json!(scenario.unit().status), before);
    scenario.server.no_faults();
    scenario.expect([read(PODS), relabelled(PODS)]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn route_that_left_the_selector_is_withdrawn_before_the_finalizer_is_removed() {
    for collection in [PODS, ROUTES] {
        let mut scenario = Scenario::ready().await;
        scenario.server.edit(UNITS, |unit| unit["metadata"]["deletionTimestamp"] = json!(now()));
        scenario.unlabel(collection);
        let route = scenario.uid(ROUTES);
        scenario.expect([read(collection), guard(&route)]).await.unwrap();
        assert!(!is_open(&scenario));
        scenario.proxies_confirm();
        let children = [ROUTES, PODS, SERVICES].map(delete);
        scenario.expect(children.into_iter().chain([finalizers(&[])])).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn missing_permission_to_look_a_child_up_does_not_keep_the_finalizer() {
    let mut scenario = Scenario::ready().await;
    scenario.server.edit(UNITS, |unit| unit["metadata"]["deletionTimestamp"] = json!(now()));
    scenario.server.remove(ROUTES, "ada");
    scenario.watch();
    scenario.server.fault(read(ROUTES).answered(error(403)));
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.server.get(UNITS, "ada"), None);
}

#[tokio::test(start_paused = true)]
async fn unit_is_suspended_only_without_children_of_any_label() {
    let mut scenario = Scenario::ready().await;
    scenario.server.edit(UNITS, |unit| unit["spec"]["operatingMode"] = json!("Suspended"));
    scenario.unlabel(ROUTES);
    scenario.unlabel(PODS);
    let (route, pod) = (scenario.uid(ROUTES), scenario.uid(PODS));
    scenario
        .expect([read(PODS), read(ROUTES), status("Suspending"), event("Suspending"), guard(&route)])
        .await
        .unwrap();
    scenario.watch();
    scenario.proxies_confirm();
    scenario.expect([delete_only(ROUTES, &route)]).await.unwrap();
    scenario.watch();
    scenario.expect([delete_only(PODS, &pod)]).await.unwrap();
    // No watch reports the end of a pod without its labels.
    scenario.server.remove(PODS, "ada");
    scenario.watch();
    let action = scenario.expect([]).await.unwrap();
    assert!(!waits_for_a_change(&action), "{action:?}");
    tokio::time::advance(OVERLAY_TTL).await;
    scenario.expect([read(PODS), read(ROUTES), status("Suspended"), event("Suspended")]).await.unwrap();
    assert_eq!(scenario.condition(ConditionType::Suspended).unwrap().status, "True");
}
