//! Builds JSON patches that apply to the object with one UID only.
//!
//! Pure.

use json_patch::{AddOperation, Patch, PatchOperation, TestOperation, jsonptr::PointerBuf};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{Resource, api::ObjectMeta};
use serde_json::{Value, json};

/// The part of the spec that a patch replaces.
#[derive(Clone, Copy, Debug)]
pub enum Fields<'a> {
    /// Nothing: only labels and owners.
    None,
    /// The whole spec.
    Spec(&'a Value),
    /// Top-level fields of the spec.
    Of(&'a [(&'static str, Value)]),
}

/// The expected state of an object after its deletion was requested: one version later, and terminating.
pub fn terminating<K: Resource>(mut object: K) -> K {
    let meta = object.meta_mut();
    let version = meta.resource_version.as_deref().and_then(|version| version.parse::<u128>().ok());
    meta.resource_version = version.map(|version| (version + 1).to_string());
    meta.deletion_timestamp.get_or_insert_with(|| Time(Timestamp::now()));
    object
}

/// Replaces the labels and owners in which `wanted` differs from `current`, and `fields`. `add` replaces an existing value.
/// What others write in the meantime is kept: labels are set one by one, and owners only if they have not changed.
pub fn replacement(current: &ObjectMeta, wanted: &ObjectMeta, fields: Fields<'_>) -> Patch {
    let mut operations = vec![test(&["metadata", "uid"], json!(wanted.uid))];
    if current.owner_references != wanted.owner_references {
        if let Some(owners) = current.owner_references.as_ref().filter(|owners| !owners.is_empty()) {
            operations.push(test(&["metadata", "ownerReferences"], json!(owners)));
        }
        operations.push(add(&["metadata", "ownerReferences"], json!(wanted.owner_references)));
    }
    match &current.labels {
        Some(labels) if !labels.is_empty() => {
            let changed = wanted.labels.iter().flatten().filter(|(key, value)| labels.get(*key) != Some(value));
            operations.extend(changed.map(|(key, value)| add(&["metadata", "labels", key], json!(value))));
        }
        _ => operations.push(add(&["metadata", "labels"], json!(wanted.labels))),
    }
    match fields {
        Fields::None => {}
        Fields::Spec(spec) => operations.push(add(&["spec"], spec.clone())),
        Fields::Of(fields) => {
            operations.extend(fields.iter().map(|(field, value)| add(&["spec", field], value.clone())));
        }
    }
    Patch(operations)
}

/// An operation that fails the patch unless the value at `path` is `value`.
pub fn test(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Test(TestOperation { path: PointerBuf::from_tokens(path.iter().copied()), value })
}

/// An operation that sets the value at `path`.
pub fn add(path: &[&str], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(path.iter().copied()), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations(current: Value, wanted: Value) -> Value {
        let meta = |value| serde_json::from_value(value).unwrap();
        json!(replacement(&meta(current), &meta(wanted), Fields::None))
    }

    #[test]
    fn repair_sets_only_what_differs() {
        let owner = |uid: &str| json!({"apiVersion": "v1", "kind": "Node", "name": "n", "uid": uid});
        let both = json!([owner("own"), owner("other")]);
        assert_eq!(
            operations(
                json!({"labels": {"own/a": "changed", "other": "1"}, "ownerReferences": [owner("other")]}),
                json!({"uid": "u", "labels": {"own/a": "1", "other": "1"}, "ownerReferences": both}),
            ),
            json!([
                {"op": "test", "path": "/metadata/uid", "value": "u"},
                {"op": "test", "path": "/metadata/ownerReferences", "value": [owner("other")]},
                {"op": "add", "path": "/metadata/ownerReferences", "value": both},
                {"op": "add", "path": "/metadata/labels/own~1a", "value": "1"},
            ])
        );
        assert_eq!(
            operations(json!({}), json!({"uid": "u", "labels": {"a": "1"}, "ownerReferences": [owner("own")]})),
            json!([
                {"op": "test", "path": "/metadata/uid", "value": "u"},
                {"op": "add", "path": "/metadata/ownerReferences", "value": [owner("own")]},
                {"op": "add", "path": "/metadata/labels", "value": {"a": "1"}},
            ])
        );
    }
}
