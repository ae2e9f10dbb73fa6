//! Objects as the API server sends them, and typed.
//!
//! Commands decide on the typed object. They print the original, which may have fields and phases of another release.

use std::{borrow::Cow, ops::Deref};

use computing_unit_api::{ComputingUnit, ComputingUnitPool};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error};
use serde_json::Value;

/// A unit.
pub type Unit = Object<ComputingUnit>;
/// A pool.
pub type Pool = Object<ComputingUnitPool>;

/// An object, and its original.
#[derive(Clone, Debug)]
pub struct Object<K> {
    raw: Value,
    typed: K,
}

impl<K> Object<K> {
    /// The original without its managed fields, like `kubectl get`.
    pub fn plain(&self) -> Value {
        let mut raw = self.raw.clone();
        if let Some(metadata) = raw.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        raw
    }
}

impl<K> Deref for Object<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.typed
    }
}

impl<'de, K: Resource<DynamicType = ()> + DeserializeOwned> Deserialize<'de> for Object<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut raw = Value::deserialize(deserializer)?;
        let typed = serde_json::from_value(raw.clone()).map_err(D::Error::custom)?;
        if let Some(fields) = raw.as_object_mut() {
            // The items of a list may have neither.
            fields.entry("apiVersion").or_insert_with(|| Value::String(K::api_version(&()).into_owned()));
            fields.entry("kind").or_insert_with(|| Value::String(K::kind(&()).into_owned()));
        }
        Ok(Self { raw, typed })
    }
}

impl<K: Resource<DynamicType = ()>> Resource for Object<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind(dynamic: &()) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &()) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &()) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &()) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.typed.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.typed.meta_mut()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_and_phases_of_another_release_are_kept() {
        let unit: Unit = serde_json::from_value(json!({
            "metadata": {"name": "ada", "managedFields": []}, "spec": {"poolName": "p", "later": 1},
            "status": {"phase": "Later"},
        }))
        .unwrap();
        assert_eq!(
            unit.plain(),
            json!({
                "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnit", "metadata": {"name": "ada"},
                "spec": {"poolName": "p", "later": 1}, "status": {"phase": "Later"},
            })
        );
    }
}
