//! Objects as JSON and YAML.

use serde::Serialize;
use serde_json::{
    Value,
    ser::{PrettyFormatter, Serializer},
};

impl From<Error> for crate::error::Error {
    fn from(error: Error) -> Self {
        Self::Print(error.to_string())
    }
}

/// An object cannot be serialized.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// As JSON.
    #[error("cannot serialize the object as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// As YAML.
    #[error("cannot serialize the object as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// A value as YAML, without a newline at the end.
///
/// # Errors
/// If it cannot be serialized.
pub fn yaml(value: &Value) -> Result<String, Error> {
    Ok(serde_saphyr::to_string(value)?.trim_end().to_owned())
}

/// A value as indented JSON, without a newline at the end.
///
/// # Errors
/// If it cannot be serialized.
pub fn json(value: &Value) -> Result<String, Error> {
    let mut text = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    ")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unit() -> Value {
        json!({
            "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnit",
            "metadata": {"name": "ada", "uid": "u"},
            "spec": {
                "poolName": "default", "cuid": 42, "resources": {"limits": {"cpu": "2"}},
                "env": [{"name": "A", "value": "yes"}, {"name": "B", "value": "a: b\n# c"}],
            },
            "status": {"phase": "Pending"},
        })
    }

    #[test]
    fn yaml_is_sorted_and_survives_a_round_trip() {
        let yaml = yaml(&unit()).unwrap();
        let keys: Vec<_> = yaml.lines().filter(|line| !line.starts_with([' ', '-', '#'])).collect();
        assert_eq!(
            keys,
            ["apiVersion: texera.apache.org/v1alpha1", "kind: ComputingUnit", "metadata:", "spec:", "status:"],
            "{yaml}"
        );
        assert!(yaml.contains("cpu: \"2\""), "a number would have another type:\n{yaml}");
        assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), unit(), "{yaml}");
    }

    #[test]
    fn json_is_indented() {
        let json = json(&unit()).unwrap();
        assert!(json.starts_with("{\n    \"apiVersion\""), "{json}");
    }
}
