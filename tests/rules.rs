//! Validation rules of the CRDs: accepted objects, and rejected objects with the message of the rule.

use std::collections::{BTreeMap, BTreeSet};

use computing_unit_api as api;
use kube::core::cel::Validator;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Cases {
    bases: BTreeMap<String, Value>,
    rules: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    message: String,
    kind: String,
    from: Option<Value>,
    accepted: Vec<Value>,
    rejected: Vec<Value>,
}

fn cases() -> Cases {
    serde_saphyr::from_str(include_str!("rules.yaml")).expect("rules.yaml is valid")
}

/// An object with a JSON merge patch applied.
fn merged(base: &Value, patch: &Value) -> Value {
    let mut merged = base.clone();
    json_patch::merge(&mut merged, patch);
    merged
}

fn schemas() -> BTreeMap<String, Value> {
    let of = |crd: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        serde_json::to_value(crd).expect("a CRD is serialized")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            .clone()
    };
    api::crds().iter().map(|crd| (crd.spec.names.kind.clone(), of(crd))).collect()
}

/// Messages of the rules that an object violates.
fn messages(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<String> {
    match Validator::new().validate(schema, object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_vec().into_iter().map(|error| error.message).collect(),
    }
}

#[test]
fn rules_accept_and_reject_the_listed_objects() {
    let (cases, schemas) = (cases(), schemas());
    for case in &cases.rules {
        let (base, schema) = (&cases.bases[&case.kind], &schemas[&case.kind]);
        let old = case.from.as_ref().map(|from| merged(base, from));
        for accepted in &case.accepted {
            let found = messages(schema, &merged(base, accepted), old.as_ref());
            assert!(found.is_empty(), "{}: {accepted} is rejected: {found:?}", case.message);
        }
        for rejected in &case.rejected {
            let found = messages(schema, &merged(base, rejected), old.as_ref());
            let only = matches!(found.as_slice(), [message] if message.contains(&case.message));
            assert!(only, "{}: {rejected}: {found:?}", case.message);
        }
    }
}

#[test]
fn size_of_a_unit_is_bounded() {
    let (cases, schemas) = (cases(), schemas());
    let found = |spec: Value| {
        let unit = merged(&cases.bases["ComputingUnit"], &serde_json::json!({"spec": spec}));
        messages(&schemas["ComputingUnit"], &unit, None)
    };
    let env = |count: usize, size: usize| -> Value {
        (0..count).map(|index| serde_json::json!({"name": format!("A{index:03}"), "value": "x".repeat(size)})).collect()
    };
    assert!(found(serde_json::json!({"env": env(16, 4092)})).is_empty());
    let too_large = found(serde_json::json!({"env": env(16, 4093)}));
    assert!(too_large.len() == 1 && too_large[0].contains("65536 characters"), "{too_large:?}");
    for list in ["limits", "requests"] {
        let named = |length: usize| found(serde_json::json!({"resources": {list: {"x".repeat(length): "1"}}}));
        assert!(named(253).is_empty());
        assert!(named(254)[0].contains("at most 253 characters"));
    }
}

#[test]
fn every_rule_has_a_test_case() {
    fn collect(schema: &Value, found: &mut BTreeSet<String>) {
        match schema {
            Value::Object(fields) => {
                for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                    found.insert(rule["message"].as_str().expect("a rule has a message").to_owned());
                }
                fields.values().for_each(|value| collect(value, found));
            }
            Value::Array(all) => all.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let listed = cases().rules;
    let mut found = BTreeSet::new();
    for schema in schemas().values() {
        collect(schema, &mut found);
    }
    for message in found {
        assert!(listed.iter().any(|case| message.contains(&case.message)), "no case for the rule {message:?}");
    }
}

#[test]
fn cuid_is_at_least_1() {
    let unit = &schemas()["ComputingUnit"];
    assert_eq!(unit["properties"]["spec"]["properties"]["cuid"]["minimum"], 1.0);
}
