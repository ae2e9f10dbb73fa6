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

/// Replaces labels, owners and `fields`. `add` replaces an existing value.
pub fn replacement(meta: &ObjectMeta, fields: Fields<'_>) -> Patch {
    let mut operations = vec![
        test(&["metadata", "uid"], json!(meta.uid)),
        add(&["metadata", "ownerReferences"], json!(meta.owner_references)),
        add(&["metadata", "labels"], json!(meta.labels)),
    ];
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
