//! A converged unit makes no request, whatever happens around it.

use computing_unit_api::names::TEMPLATE_HASH;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    call::{PODS, ROUTES, SERVICES, UNITS},
    scenario::{Scenario, waits_for_a_change},
};
use crate::controllers::unit::{decide, observe::observe};

/// How many allocations a converged reconcile may make.
const ALLOCATIONS: u64 = 640;

#[tokio::test(start_paused = true)]
async fn converged_unit_makes_no_request() {
    let scenario = Scenario::ready().await;
    for _ in 0..2 {
        let action = scenario.expect([]).await.unwrap();
        assert!(waits_for_a_change(&action), "{action:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn converged_unit_makes_no_request_after_an_irrelevant_change() {
    let mut scenario = Scenario::ready().await;
    let label = |object: &mut Value| object["metadata"]["labels"]["team"] = json!("blue");
    let annotate = |object: &mut Value| object["metadata"]["annotations"]["note"] = json!("seen");
    for collection in [UNITS, PODS, SERVICES, ROUTES] {
        scenario.server.edit(collection, label);
        scenario.server.edit(collection, annotate);
    }
    scenario.server.edit(UNITS, |unit| unit["metadata"]["finalizers"].as_array_mut().unwrap().push(json!("other")));
    scenario.server.edit(PODS, |pod| pod["status"]["podIP"] = json!("10.0.0.1"));
    scenario.watch();
    let action = scenario.expect([]).await.unwrap();
    assert!(waits_for_a_change(&action), "{action:?}");
}

/// The release before computed the hash of the template differently.
#[tokio::test(start_paused = true)]
async fn upgraded_operator_makes_no_request_for_a_unit_of_another_release() {
    let mut scenario = Scenario::new();
    scenario.server.edit(UNITS, |unit| unit["spec"]["updateStrategy"] = json!("Recreate"));
    scenario.watch();
    scenario.reconcile().await.unwrap();
    scenario.finish_start().await;
    for version in ["v1", "v99"] {
        scenario.server.edit(PODS, |pod| {
            pod["metadata"]["annotations"][TEMPLATE_HASH] = json!(format!("{version}-0123456789abcdef"));
        });
        scenario.watch();
        let action = scenario.expect([]).await.unwrap();
        assert!(waits_for_a_change(&action), "{version}: {action:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn restarted_operator_makes_no_request_for_a_converged_unit() {
    let before = Scenario::ready().await;
    let mut after = Scenario::new();
    for collection in [UNITS, PODS, SERVICES, ROUTES] {
        before.server.list(collection).into_iter().for_each(|object| after.server.put(collection, object));
    }
    after.pod_ready();
    let action = after.expect([]).await.unwrap();
    assert!(waits_for_a_change(&action), "{action:?}");
}

/// Every event of a converged unit costs such a reconcile, and a resync one for each unit.
#[tokio::test(start_paused = true)]
async fn converged_reconcile_makes_few_allocations() {
    let scenario = Scenario::ready().await;
    let unit = scenario.unit();
    let now = Timestamp::now();
    let reconcile = || {
        let snapshot = observe(&unit, &scenario.context, false, now).unwrap();
        decide(&snapshot).1
    };
    assert_eq!(reconcile(), []);
    let counted = allocation_counter::measure(|| drop(reconcile())).count_total;
    assert!(counted <= ALLOCATIONS, "{counted} allocations");
}
