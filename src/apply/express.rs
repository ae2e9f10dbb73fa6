//! Writes as patches, and what is known of an object by a write alone.
//!
//! Pure.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{Resource, api::ObjectMeta};
use serde_json::{Value, json};

/// An object as it is known to be once it was deleted: later than it was seen, and going.
pub(super) fn leaving<K: Resource>(mut object: K) -> K {
    let meta = object.meta_mut();
    let version = meta.resource_version.as_deref().and_then(|version| version.parse::<u128>().ok());
    meta.resource_version = version.map(|version| (version + 1).to_string());
    meta.deletion_timestamp.get_or_insert_with(|| Time(Timestamp::now()));
    object
}

/// A JSON patch that applies to the object with the UID in `meta` only.
pub(crate) fn replacement(meta: &ObjectMeta, fields: &[(&str, Value)]) -> Value {
    // `add` replaces what is there.
    let mut operations = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": meta.uid}),
        json!({"op": "add", "path": "/metadata/ownerReferences", "value": meta.owner_references}),
        json!({"op": "add", "path": "/metadata/labels", "value": meta.labels}),
    ];
    operations.extend(fields.iter().map(|(field, value)| {
        let path = if field.is_empty() { "/spec".to_owned() } else { format!("/spec/{field}") };
        json!({"op": "add", "path": path, "value": value})
    }));
    Value::Array(operations)
}
