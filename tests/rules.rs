//! Each rule of the definitions lets through what it should and refuses the rest, with its own sentence and no other.

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
    says: String,
    kind: String,
    from: Option<Value>,
    accepted: Vec<Value>,
    refused: Vec<Value>,
}

fn cases() -> Cases {
    serde_saphyr::from_str(include_str!("rules.yaml")).expect("rules.yaml reads")
}

/// RFC 7396.
fn merged(base: &Value, patch: &Value) -> Value {
    let (Value::Object(base), Value::Object(patch)) = (base, patch) else {
        return patch.clone();
    };
    let mut all = base.clone();
    for (name, value) in patch {
        match value {
            Value::Null => drop(all.remove(name)),
            value => drop(all.insert(name.clone(), merged(base.get(name).unwrap_or(&Value::Null), value))),
        }
    }
    Value::Object(all)
}

fn schemas() -> BTreeMap<String, Value> {
    let of = |crd: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        serde_json::to_value(crd).expect("a definition is JSON")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            .clone()
    };
    api::crds().iter().map(|crd| (crd.spec.names.kind.clone(), of(crd))).collect()
}

/// What the rules say against an object.
fn messages(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<String> {
    match Validator::new().validate(schema, object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_vec().into_iter().map(|error| error.message).collect(),
    }
}

#[test]
fn each_rule_accepts_and_refuses_as_listed() {
    let (cases, schemas) = (cases(), schemas());
    for case in &cases.rules {
        let (base, schema) = (&cases.bases[&case.kind], &schemas[&case.kind]);
        let old = case.from.as_ref().map(|from| merged(base, from));
        for accepted in &case.accepted {
            let found = messages(schema, &merged(base, accepted), old.as_ref());
            assert!(found.is_empty(), "{}: {accepted} is refused: {found:?}", case.says);
        }
        for refused in &case.refused {
            let found = messages(schema, &merged(base, refused), old.as_ref());
            let said = matches!(found.as_slice(), [message] if message.contains(&case.says));
            assert!(said, "{}: {refused}: {found:?}", case.says);
        }
    }
}

#[test]
fn each_rule_is_listed() {
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
        assert!(listed.iter().any(|case| message.contains(&case.says)), "no case for the rule {message:?}");
    }
}

#[test]
fn a_cuid_starts_at_1() {
    let unit = &schemas()["ComputingUnit"];
    assert_eq!(unit["properties"]["spec"]["properties"]["cuid"]["minimum"], 1.0);
}
