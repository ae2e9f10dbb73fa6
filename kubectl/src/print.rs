//! Formats of results: the message of `kubectl create`, or the object.

use clap::ValueEnum;
use computing_unit_api::{ComputingUnit, GROUP};
use kube::ResourceExt;
use serde::Serialize;
use serde_json::{
    Value,
    ser::{PrettyFormatter, Serializer},
};

/// Output format of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
    /// Resource and name.
    Name,
}

/// Kind of dry run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// No dry run.
    None,
    /// The object is printed; no request is sent.
    Client,
    /// The API server validates the object and applies defaults, without persisting it.
    Server,
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

/// Resource and name, as `kubectl get -o name` prints them.
pub fn name(unit: &ComputingUnit) -> String {
    format!("computingunit.{GROUP}/{}", unit.name_any())
}

/// The message of `kubectl create`.
pub fn created(unit: &ComputingUnit, dry_run: Option<DryRun>) -> String {
    let suffix = match dry_run {
        None | Some(DryRun::None) => "",
        Some(DryRun::Client) => " (dry run)",
        Some(DryRun::Server) => " (server dry run)",
    };
    format!("{} created{suffix}", name(unit))
}

/// The unit in an output format, without a newline at the end.
///
/// # Errors
/// If it cannot be serialized.
pub fn object(unit: &ComputingUnit, output: Output) -> Result<String, Error> {
    if output == Output::Name { Ok(name(unit)) } else { text(&plain(unit)?, output) }
}

/// The unit without its managed fields, like `kubectl get`.
///
/// # Errors
/// If it cannot be serialized.
pub fn plain(unit: &ComputingUnit) -> Result<Value, Error> {
    let mut unit = unit.clone();
    unit.metadata.managed_fields = None;
    // The keys of a map are sorted, like in the output of kubectl.
    Ok(serde_json::to_value(&unit)?)
}

/// A value as JSON or YAML, without a newline at the end.
///
/// # Errors
/// If it cannot be serialized.
pub fn text(value: &Value, output: Output) -> Result<String, Error> {
    if output != Output::Json {
        return Ok(serde_saphyr::to_string(value)?.trim_end().to_owned());
    }
    let mut text = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    ")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unit() -> ComputingUnit {
        serde_json::from_value(json!({
            "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnit",
            "metadata": {"name": "ada", "uid": "u", "managedFields": [{"manager": "m"}]},
            "spec": {
                "poolName": "default", "cuid": 42, "resources": {"limits": {"cpu": "2"}},
                "env": [{"name": "A", "value": "yes"}, {"name": "B", "value": "a: b\n# c"}],
            },
            "status": {"phase": "Pending"},
        }))
        .unwrap()
    }

    #[test]
    fn created_message_is_that_of_kubectl() {
        assert_eq!(created(&unit(), None), "computingunit.texera.apache.org/ada created");
        assert_eq!(created(&unit(), Some(DryRun::Client)), "computingunit.texera.apache.org/ada created (dry run)");
        assert_eq!(
            created(&unit(), Some(DryRun::Server)),
            "computingunit.texera.apache.org/ada created (server dry run)"
        );
        assert_eq!(object(&unit(), Output::Name).unwrap(), "computingunit.texera.apache.org/ada");
    }

    #[test]
    fn yaml_is_sorted_and_survives_a_round_trip() {
        let yaml = object(&unit(), Output::Yaml).unwrap();
        let keys: Vec<_> = yaml.lines().filter(|line| !line.starts_with([' ', '-', '#'])).collect();
        assert_eq!(
            keys,
            ["apiVersion: texera.apache.org/v1alpha1", "kind: ComputingUnit", "metadata:", "spec:", "status:"],
            "{yaml}"
        );
        assert!(yaml.contains("cpu: \"2\""), "a number would have another type:\n{yaml}");
        let mut expected = unit();
        expected.metadata.managed_fields = None;
        assert_eq!(serde_saphyr::from_str::<ComputingUnit>(&yaml).unwrap(), expected, "{yaml}");
    }

    #[test]
    fn json_is_indented_and_has_no_managed_fields() {
        let json = object(&unit(), Output::Json).unwrap();
        assert!(json.starts_with("{\n    \"apiVersion\""), "{json}");
        assert!(!json.contains("managedFields"), "{json}");
    }
}
