//! Mutating admission: what the operator writes is not what the API server stores.

use computing_unit_api::ConditionType;
use serde_json::{Value, json};

use super::{
    call::{PODS, ROUTES, SERVICES, create, patch, resize, status},
    scenario::{Scenario, waits_for_a_change},
    starts::{first_calls, guarded_route, open},
};

type Policy = fn(&str, &mut Value);

/// Somebody's filter comes first.
fn filter(path: &str, object: &mut Value) {
    if path.starts_with(ROUTES) {
        for rule in object["spec"]["rules"].as_array_mut().unwrap() {
            let filters = rule["filters"].as_array_mut().unwrap();
            if !filters.iter().any(|filter| filter["requestHeaderModifier"]["remove"] == json!(["x-team"])) {
                filters.push(json!({"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-team"]}}));
            }
        }
    }
}

/// Each write differs from the last one.
fn counter(path: &str, object: &mut Value) {
    if path.starts_with(ROUTES) {
        let version = object["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_owned();
        object["spec"]["hostnames"] = json!([format!("v{version}.example.org")]);
    }
}

fn label(path: &str, object: &mut Value) {
    if path.starts_with(PODS) || path.starts_with(SERVICES) {
        object["metadata"]["labels"]["texera.apache.org/unit"] = json!("another");
    }
}

fn ports(path: &str, object: &mut Value) {
    if path.starts_with(SERVICES) {
        object["spec"]["ports"][0]["name"] = json!("http-mesh");
    }
}

fn requests(path: &str, object: &mut Value) {
    if path.starts_with(PODS) {
        object["spec"]["containers"][0]["resources"]["requests"] = json!({"cpu": "20m"});
    }
}

async fn started(policy: Policy) -> Scenario {
    let mut scenario = Scenario::new();
    scenario.server.admission(policy);
    scenario.edit(|unit| unit["spec"]["resources"] = json!({"limits": {"cpu": "1"}}));
    scenario.reconcile().await.unwrap();
    scenario.pod_ready();
    scenario.reconcile().await.unwrap();
    scenario.route_accepted();
    scenario.proxies_confirm();
    scenario.reconcile().await.unwrap();
    scenario.route_accepted();
    scenario.proxies_confirm();
    scenario.reconcile().await.unwrap();
    scenario.watch();
    scenario
}

#[tokio::test(start_paused = true)]
async fn write_that_admission_undoes_is_not_repeated() {
    for (what, policy, kind) in [
        ("a filter", filter as Policy, "HTTPRoute"),
        ("a counter", counter, "HTTPRoute"),
        ("a label", label, "Service"),
        ("ports", ports, "Service"),
        ("requests", requests, "requests.cpu is 20m instead of 1"),
    ] {
        let scenario = started(policy).await;
        let condition = scenario.condition(ConditionType::Overridden).expect(what);
        assert_eq!((&*condition.status, &*condition.reason), ("True", "ChangedByAdmission"), "{what}");
        assert!(condition.message.contains(kind), "{what}: {}", condition.message);
        assert_eq!(json!(scenario.unit().status)["phase"], "Ready", "{what}");
        let before = scenario.server.writes();
        for _ in 0..3 {
            let action = scenario.expect([]).await.unwrap();
            assert!(waits_for_a_change(&action), "{what}: {action:?}");
        }
        assert_eq!(scenario.server.writes(), before, "{what}");
    }
}

/// Somebody removes the headers that requests have to match, and with them the guard.
fn unguard(path: &str, object: &mut Value) {
    if path.starts_with(ROUTES) {
        for each in object["spec"]["rules"][0]["matches"].as_array_mut().unwrap() {
            each.as_object_mut().unwrap().remove("headers");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn guard_that_admission_removes_is_not_written_again() {
    let mut scenario = Scenario::ready().await;
    scenario.server.admission(unguard);
    let before = scenario.server.count(&patch(ROUTES));
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Suspended"));
    for _ in 0..3 {
        scenario.reconcile().await.unwrap();
        scenario.watch();
    }
    assert_eq!(scenario.server.count(&patch(ROUTES)) - before, 1);
}

#[tokio::test(start_paused = true)]
async fn edit_of_a_child_that_admission_changes_is_repaired() {
    let mut scenario = started(filter).await;
    let route = scenario.uid(ROUTES);
    scenario.server.edit(ROUTES, |route| route["spec"]["hostnames"] = json!(["elsewhere.example.org"]));
    scenario.watch();
    scenario.expect([open(&route)]).await.unwrap();
    scenario.watch();
    assert!(scenario.server.get(ROUTES, "ada").unwrap()["spec"].get("hostnames").is_none_or(Value::is_null));
}

#[tokio::test(start_paused = true)]
async fn restarted_operator_repeats_the_write_once() {
    let scenario = started(ports).await;
    scenario.context.admissions.forget("ada-uid");
    scenario.expect([patch(SERVICES)]).await.unwrap();
    scenario.expect([]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn resize_that_admission_undoes_is_not_repeated() {
    let mut scenario = started(requests).await;
    scenario.edit(|unit| unit["spec"]["resources"] = json!({"limits": {"cpu": "2"}}));
    scenario.expect([resize(), status("Ready")]).await.unwrap();
    scenario.watch();
    scenario.expect([]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn start_costs_no_further_write_under_admission_that_does_not_matter() {
    fn sidecar(path: &str, object: &mut Value) {
        if path.starts_with(PODS) {
            object["spec"]["containers"].as_array_mut().unwrap().insert(0, json!({"name": "mesh", "image": "mesh:1"}));
            object["metadata"]["labels"]["mesh"] = json!("on");
        }
    }
    let mut scenario = Scenario::new();
    scenario.server.admission(sidecar);
    scenario.expect(first_calls()).await.unwrap();
    scenario.pod_ready();
    scenario.expect([guarded_route()]).await.unwrap();
    scenario.route_accepted();
    scenario.proxies_confirm();
    scenario.expect([open(&scenario.uid(ROUTES))]).await.unwrap();
    assert!(scenario.condition(ConditionType::Overridden).is_none());
    assert!(scenario.server.count(&create(PODS)) == 1);
}
