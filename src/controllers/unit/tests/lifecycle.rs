//! A whole life, request by request, and what it costs: see "What a unit costs" in `docs/design.md`.

use serde_json::json;

use super::{
    api_server::now,
    call::{PODS, ROUTES, SERVICES, UNITS, create, delete, delete_only, error, event, finalizers, read, status},
    scenario::{Scenario, waits_for_a_change},
    starts::{first_calls, guard, is_open},
};
use crate::controllers::unit::pod_events::Finding;

#[tokio::test(start_paused = true)]
async fn start_costs_seven_writes() {
    let mut scenario = Scenario::new();
    let action = scenario.expect(first_calls()).await.unwrap();
    assert!(!waits_for_a_change(&action), "the cache is behind: {action:?}");
    // Before the watch events of its own writes, and after them.
    scenario.expect([]).await.unwrap();
    scenario.watch();
    scenario.expect([]).await.unwrap();
    scenario.finish_start().await;
    assert_eq!(scenario.server.writes(), 7);
}

#[tokio::test(start_paused = true)]
async fn deletion_costs_five_writes_and_withdraws_the_route_before_the_finalizer_is_removed() {
    let mut scenario = Scenario::ready().await;
    let before = scenario.server.writes();
    scenario.edit(|unit| unit["metadata"]["deletionTimestamp"] = json!(now()));
    let route = scenario.uid(ROUTES);
    scenario.expect([guard(&route)]).await.unwrap();
    assert!(!is_open(&scenario));
    scenario.expect([]).await.unwrap();
    scenario.watch();
    scenario.expect([]).await.unwrap();
    assert!(scenario.server.get(PODS, "ada").is_some(), "serves until every proxy has withdrawn the route");
    scenario.proxies_confirm();
    let [pod, service] = [PODS, SERVICES].map(|collection| scenario.uid(collection));
    let children = [delete_only(ROUTES, &route), delete_only(PODS, &pod), delete_only(SERVICES, &service)];
    let action = scenario.expect(children.into_iter().chain([finalizers(&[])])).await.unwrap();
    assert!(waits_for_a_change(&action), "{action:?}");
    assert_eq!(scenario.server.get(UNITS, "ada"), None);
    assert_eq!(scenario.server.writes() - before, 5);
    // Before the watch event of the deletion.
    scenario.expect([]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn children_that_cannot_be_deleted_do_not_keep_the_finalizer() {
    for code in [403, 404, 409, 500] {
        let mut scenario = Scenario::ready().await;
        for collection in [ROUTES, PODS, SERVICES] {
            scenario.server.fault(delete(collection).answered(error(code)));
        }
        scenario.edit(|unit| unit["metadata"]["deletionTimestamp"] = json!(now()));
        scenario.reconcile().await.unwrap();
        scenario.proxies_confirm();
        assert!(waits_for_a_change(&scenario.reconcile().await.unwrap()), "{code}");
        assert_eq!(scenario.server.get(UNITS, "ada"), None, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn children_are_orphaned_if_the_deletion_says_so() {
    let mut scenario = Scenario::ready().await;
    scenario.edit(|unit| {
        unit["metadata"]["deletionTimestamp"] = json!(now());
        unit["metadata"]["finalizers"].as_array_mut().unwrap().push(json!("orphan"));
    });
    scenario.reconcile().await.unwrap();
    scenario.proxies_confirm();
    scenario.expect([finalizers(&["orphan"])]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn suspension_costs_five_writes_and_deletes_the_pod_last() {
    let mut scenario = Scenario::ready().await;
    let before = scenario.server.writes();
    suspend(&mut scenario).await;
    assert_eq!(scenario.server.writes() - before, 5);
    assert!(scenario.server.get(SERVICES, "ada").is_some());
    scenario.expect([]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn resume_costs_five_writes() {
    let mut scenario = Scenario::ready().await;
    suspend(&mut scenario).await;
    let before = scenario.server.writes();
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Running"));
    scenario.expect([create(PODS), status("Starting")]).await.unwrap();
    scenario.finish_start().await;
    assert_eq!(scenario.server.writes() - before, 5);
}

#[tokio::test(start_paused = true)]
async fn resumed_unit_has_no_condition_of_its_suspension() {
    let mut scenario = Scenario::ready().await;
    let types = |scenario: &Scenario| {
        let unit = scenario.unit();
        let conditions = unit.status.unwrap().conditions;
        let outdated = conditions.iter().find(|condition| condition.observed_generation != unit.metadata.generation);
        assert_eq!(outdated, None);
        conditions
            .into_iter()
            .map(|condition| (condition.type_, condition.status, condition.reason))
            .collect::<Vec<_>>()
    };
    let before = types(&scenario);
    for _ in 0..3 {
        suspend(&mut scenario).await;
        assert!(types(&scenario).iter().any(|(type_, status, _)| type_ == "Suspended" && status == "True"));
        scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Running"));
        scenario.expect([create(PODS), status("Starting")]).await.unwrap();
        let starting = types(&scenario);
        assert!(
            !starting.iter().any(|(type_, _, reason)| type_ == "Suspended" || reason == "Suspended"),
            "{starting:?}"
        );
        scenario.finish_start().await;
        assert_eq!(types(&scenario), before);
    }
}

async fn suspend(scenario: &mut Scenario) {
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Suspended"));
    let (route, pod) = (scenario.uid(ROUTES), scenario.uid(PODS));
    scenario.expect([status("Suspending"), event("Suspending"), guard(&route)]).await.unwrap();
    scenario.watch();
    scenario.expect([]).await.unwrap();
    scenario.proxies_confirm();
    scenario.expect([delete_only(ROUTES, &route)]).await.unwrap();
    assert!(scenario.server.get(PODS, "ada").is_some_and(|pod| pod["metadata"]["deletionTimestamp"].is_null()));
    scenario.expect([]).await.unwrap();
    scenario.watch();
    scenario.expect([delete_only(PODS, &pod)]).await.unwrap();
    scenario.watch();
    scenario.expect([]).await.unwrap();
    scenario.server.remove(PODS, "ada");
    scenario.watch();
    scenario.expect([read(PODS), read(ROUTES), status("Suspended"), event("Suspended")]).await.unwrap();
    scenario.watch();
}

#[tokio::test(start_paused = true)]
async fn deleted_unit_leaves_nothing_in_the_operators_memory() {
    let mut scenario = Scenario::ready().await;
    scenario.edit(|unit| unit["metadata"]["deletionTimestamp"] = json!(now()));
    scenario.reconcile().await.unwrap();
    assert!(scenario.context.prober.report("ada-uid").is_some());
    scenario.context.pod_events.record("ada-uid", "pod", Finding::Nothing);
    scenario.server.remove(UNITS, "ada");
    scenario.watch();
    assert_eq!(scenario.context.prober.report("ada-uid"), None);
    assert_eq!(scenario.context.held_statuses.held("ada-uid"), None);
    assert_eq!(scenario.context.pod_events.of("ada-uid"), None);
    assert_eq!(scenario.context.keys.release("ada-uid", None), []);
}
