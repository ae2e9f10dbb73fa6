use http::Response;
use k8s_openapi::{
    api::{apps::v1::Deployment, coordination::v1::Lease, discovery::v1::EndpointSlice},
    jiff::Timestamp,
};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{Check, Context, Level, checks, definitions, operator, replicas, routing, units};
use crate::{
    cu::operators,
    object::{Pool, Unit},
    testing,
};

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn is(check: &Check, level: Level, message: &str) {
    assert_eq!(check.level, level, "{check:?}");
    assert!(check.message.contains(message), "{check:?}");
    assert_eq!(check.remedy.is_some(), matches!(level, Level::Warn | Level::Fail), "{check:?}");
}

#[test]
fn deployment_needs_available_replicas() {
    let of = |replicas: i32, available: i32| -> Check {
        let deployment: Deployment = from(json!({
            "metadata": {"name": "cuo", "namespace": "system"},
            "spec": {"replicas": replicas, "selector": {}, "template": {}}, "status": {"availableReplicas": available},
        }));
        replicas::check("Operator".into(), &deployment, " --context=c")
    };
    is(&of(2, 2), Level::Ok, "2 of 2");
    is(&of(2, 1), Level::Warn, "1 of 2");
    is(&of(2, 0), Level::Fail, "0 of 2");
    is(&of(0, 0), Level::Fail, "scaled to 0");
    assert!(of(0, 0).remedy.unwrap().ends_with("kubectl scale deployment cuo --replicas=2 -n system --context=c"));
}

#[tokio::test]
async fn operator_with_other_names_and_labels_is_found_and_a_missing_one_says_what_was_searched() {
    let deployment = |container: Value| {
        json!({"metadata": {"name": "cuo", "namespace": "infra"}, "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": "cuo"}}, "template": {"spec": {"containers": [container]}},
        }, "status": {"availableReplicas": 1}})
    };
    for container in [
        json!({"name": "a", "image": "registry.example.org/mirror/computing-unit-operator@sha256:ab"}),
        json!({"name": "a", "image": "own:1", "command": ["/computing-unit-operator"]}),
        json!({"name": "a", "image": "own:1", "env": [{"name": "CU_WATCH_NAMESPACES", "value": "team"}]}),
    ] {
        let checks = answered(|request| match request {
            _ if request.starts_with("GET /apis/apps") && request.contains("labelSelector") => {
                Ok(json!({"kind": "DeploymentList", "metadata": {}, "items": []}))
            }
            _ if request.starts_with("GET /apis/apps") => {
                Ok(json!({"kind": "DeploymentList", "metadata": {}, "items": [
                    deployment(json!({"name": "b", "image": "computing-unit-engine:1"})), deployment(container.clone()),
                ]}))
            }
            _ => discovery(request).ok_or(404),
        })
        .await;
        let operators: Vec<_> = checks.iter().filter(|check| check.subject.starts_with("Operator infra/")).collect();
        assert_eq!(operators.len(), 1, "{checks:#?}");
        is(operators[0], Level::Ok, "1 of 1");
    }
}

#[test]
fn lease_is_that_of_the_command_line_or_of_the_variable() {
    let of = |container: Value| -> Deployment {
        from(json!({"spec": {"selector": {}, "template": {"spec": {"containers": [container]}}}}))
    };
    let lease = |container| operators::option(&of(container), "--lease-name", "CU_LEASE_NAME").map(str::to_owned);
    assert_eq!(lease(json!({"name": "a", "args": ["run", "--lease-name=mine"]})).as_deref(), Some("mine"));
    let env = json!({"name": "a", "args": ["--lease-names=x"], "env": [{"name": "CU_LEASE_NAME", "value": "cuo"}]});
    assert_eq!(lease(env).as_deref(), Some("cuo"));
    assert_eq!(lease(json!({"name": "a"})), None);
}

#[test]
fn lease_must_be_renewed_in_time() {
    let of = |spec: Value| operator::held(Some(&from::<Lease>(json!({"spec": spec}))), "system/cuo", now(), "");
    let held = |renewed: &str| json!({"holderIdentity": "cuo-1", "leaseDurationSeconds": 15, "renewTime": renewed});
    is(&of(held("2026-01-01T00:59:50.000000Z")), Level::Ok, "cuo-1 leads");
    is(&of(held("2026-01-01T00:50:00.000000Z")), Level::Fail, "cuo-1 has not renewed Lease system/cuo for 10m");
    is(&of(json!({"holderIdentity": ""})), Level::Fail, "nobody holds");
    is(&operator::held(None, "system/cuo", now(), ""), Level::Fail, "does not exist");
}

#[test]
fn problems_of_the_operator_are_repeated() {
    is(&operator::reported("cuo-1", "ok\n"), Level::Ok, "no problem");
    is(&operator::reported("cuo-1", "ok\nwatch of pods in team: forbidden\n"), Level::Warn, "watch of pods in team");
}

#[test]
fn version_of_the_operator_is_compared() {
    let of = |labels: Value| {
        let deployment = json!({"metadata": {"labels": labels}, "spec": {"selector": {}, "template": {}}});
        operator::released(&from(deployment))
    };
    is(&of(json!({"app.kubernetes.io/version": env!("CARGO_PKG_VERSION")})), Level::Ok, "are v");
    is(&of(json!({"app.kubernetes.io/version": "9.9.9"})), Level::Warn, "the operator is v9.9.9");
    is(&of(json!({})), Level::Warn, "unknown");
}

#[test]
fn fields_of_the_crds_are_compared() {
    let known = computing_unit_api::crds().remove(0);
    is(&definitions::compared(&known, &known), Level::Ok, "this release");
    let changed = |change: fn(&mut serde_json::Map<String, Value>)| {
        let mut crd = serde_json::to_value(&known).unwrap();
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        change(crd.pointer_mut(spec).unwrap().as_object_mut().unwrap());
        definitions::compared(&known, &from(crd))
    };
    is(&changed(|fields| drop(fields.remove("env"))), Level::Warn, "older than this plugin, and has no field spec.env");
    is(
        &changed(|fields| drop(fields.insert("later".into(), json!({"type": "string"})))),
        Level::Warn,
        "newer than this plugin",
    );
}

#[test]
fn gateway_must_be_programmed_and_have_an_address() {
    let of = |status: Value| {
        let gateway: DynamicObject = from(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": "shared", "namespace": "gateways"}, "spec": {}, "status": status,
        }));
        routing::programmed(&gateway, "")
    };
    let condition = |type_: &str, status: &str, reason: &str| json!({"type": type_, "status": status, "reason": reason, "message": "m"});
    let accepted = condition("Accepted", "True", "Accepted");
    let programmed = condition("Programmed", "True", "Programmed");
    is(
        &of(json!({"conditions": [accepted, programmed], "addresses": [{"value": "10.0.0.1"}]})),
        Level::Ok,
        "at 10.0.0.1",
    );
    is(&of(json!({"conditions": [accepted, programmed]})), Level::Fail, "no address");
    let unassigned = of(json!({"conditions": [accepted, condition("Programmed", "False", "AddressNotAssigned")]}));
    is(&unassigned, Level::Fail, "Programmed is False: AddressNotAssigned");
    assert!(unassigned.remedy.unwrap().contains("baseURL"));
    is(
        &of(json!({"conditions": [condition("Accepted", "Unknown", "Pending")]})),
        Level::Fail,
        "Accepted is Unknown: Pending",
    );
    is(&of(json!({})), Level::Fail, "no controller has reported");
}

#[test]
fn a_proxy_must_be_ready() {
    let gateway: DynamicObject =
        from(json!({"metadata": {"name": "shared", "namespace": "gateways"}, "spec": {"gatewayClassName": "eg"}}));
    let slice = |labels: Value, ready: bool| -> EndpointSlice {
        from(json!({
            "metadata": {"labels": labels}, "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
        }))
    };
    let own = || json!({"gateway.envoyproxy.io/owning-gateway-name": "shared", "gateway.envoyproxy.io/owning-gateway-namespace": "gateways"});
    let of = |slices| routing::serving("Proxies".into(), &gateway, slices);
    is(&of(vec![slice(own(), true)]), Level::Ok, "1 proxy is ready");
    is(&of(vec![slice(json!({"gateway.envoyproxy.io/owning-gatewayclass": "eg"}), true)]), Level::Ok, "1 proxy");
    is(&of(vec![slice(own(), false)]), Level::Fail, "no proxy is ready");
    is(&of(vec![slice(json!({}), true)]), Level::Warn, "no proxies of Envoy Gateway");
}

fn pool(status: Value, created: &str) -> Pool {
    from(json!({
        "metadata": {"name": "default", "namespace": "team", "creationTimestamp": created, "generation": 1},
        "spec": {
            "gatewayRef": {"name": "shared", "namespace": "gateways"},
            "routing": {"type": "Host", "host": {"domain": "u"}}, "template": {},
        },
        "status": status,
    }))
}

#[test]
fn pool_must_be_reconciled_and_ready() {
    let of = |status, created| units::pool_check(&pool(status, created), now(), "");
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-01T00:59:59Z");
    let ready =
        |status: &str| json!({"observedGeneration": 1, "conditions": [testing::condition("Ready", status, "Overlap")]});
    is(&of(ready("True"), old), Level::Ok, "ready");
    is(&of(ready("False"), old), Level::Fail, "Overlap: about Overlap");
    is(
        &of(json!({"observedGeneration": 0, "conditions": [testing::condition("Ready", "True", "Ready")]}), old),
        Level::Warn,
        "last change",
    );
    is(&of(Value::Null, old), Level::Fail, "has not reconciled it");
    is(&of(Value::Null, new), Level::Warn, "yet");
}

#[test]
fn units_must_be_reconciled() {
    let unit = |name: &str, status: Value| -> Unit {
        let mut unit = testing::named(name, status);
        unit["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        from(unit)
    };
    let conditions = || json!([testing::condition("Ready", "True", "Ready")]);
    let of = |all: &[Unit]| units::units_check(all, now(), "namespace \"team\"", "-n team");
    is(&of(&[]), Level::Ok, "0 of 0");
    is(&of(&[unit("ada", json!({"phase": "Ready", "conditions": conditions()}))]), Level::Ok, "1 of 1");
    is(&of(&[unit("ada", json!({"observedGeneration": -1}))]), Level::Fail, "has not reconciled ada");
    is(&of(&[unit("ada", json!({"phase": "Failed", "conditions": conditions()}))]), Level::Warn, "failed: ada");
}

/// Answers every request by its path: a body, or a status code.
async fn answered(answer: impl Fn(&str) -> Result<Value, u16>) -> Vec<Check> {
    let (connection, mut server) = testing::server();
    let mut context = Context { connection, namespace: Some("team".into()), operator_namespace: None };
    context.connection.request_timeout = std::time::Duration::from_secs(5);
    let serve = async {
        loop {
            let (request, response) = server.next().await;
            let (code, body) = match answer(&request) {
                Ok(body) => (200, body),
                Err(code) => (
                    code,
                    json!({"kind": "Status", "status": "Failure", "code": code, "message":
                    format!("x is forbidden: User \"eve\" cannot list {request}")}),
                ),
            };
            let body = kube::client::Body::from(body.to_string().into_bytes());
            response.send_response(Response::builder().status(code).body(body).unwrap());
        }
    };
    tokio::select! {
        checks = checks(&context) => checks,
        () = serve => unreachable!(),
    }
}

fn discovery(request: &str) -> Option<Value> {
    let resources = |names: &[&str]| {
        let all: Vec<_> = names
            .iter()
            .map(|name| json!({"name": name, "singularName": "", "namespaced": true, "kind": "K", "verbs": []}))
            .collect();
        json!({"kind": "APIResourceList", "groupVersion": "v", "resources": all})
    };
    match request {
        "GET /version" => Some(json!({
            "major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "", "buildDate": "",
            "goVersion": "", "compiler": "", "platform": "",
        })),
        "GET /apis/texera.apache.org/v1alpha1" => Some(resources(&["computingunits", "computingunitpools"])),
        "GET /apis/gateway.networking.k8s.io/v1" => Some(resources(&["gateways", "httproutes"])),
        _ => None,
    }
}

#[tokio::test]
async fn missing_crds_fail_and_nothing_that_needs_them_is_checked() {
    let checks = answered(|request| match request {
        "GET /version" => Ok(discovery(request).unwrap()),
        _ if request.starts_with("GET /apis/apps") => {
            Ok(json!({"kind": "DeploymentList", "metadata": {}, "items": []}))
        }
        _ => Err(404),
    })
    .await;
    let subject = |subject: &str| checks.iter().find(|check| check.subject == subject).unwrap();
    is(subject("API texera.apache.org/v1alpha1"), Level::Fail, "does not serve computingunits and computingunitpools");
    assert!(subject("API texera.apache.org/v1alpha1").remedy.as_ref().unwrap().contains("kubectl apply --server-side"));
    is(subject("API gateway.networking.k8s.io/v1"), Level::Fail, "does not serve gateways and httproutes");
    is(subject("Operator"), Level::Fail, "no Deployment in any namespace has the labels");
    assert!(checks.iter().all(|check| check.subject != "Pools"), "{checks:?}");
}

#[tokio::test]
async fn user_without_rights_gets_a_table_without_failures() {
    let checks = answered(|request| discovery(request).ok_or(403)).await;
    assert!(checks.iter().all(|check| matches!(check.level, Level::Ok | Level::Skip)), "{checks:#?}");
    let operator = checks.iter().find(|check| check.subject == "Operator").unwrap();
    assert!(operator.message.starts_with("user \"eve\" cannot list"), "{operator:?}");
}
