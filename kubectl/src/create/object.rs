//! The objects for the options and the manifest. The API server validates them and applies defaults.

use computing_unit_api::{ComputingUnit, Quantity};
use kube::Resource;
use serde_json::{Map, Value, json};

use super::{args::Args, more::MoreArgs};
use crate::error::Error;

/// The units for the request: those of a manifest, or a new one, changed by the options.
///
/// # Errors
/// If an option does not fit the manifest.
pub fn units(args: &Args, manifest: Option<Vec<Value>>, namespace: Option<&str>) -> Result<Vec<Value>, Error> {
    let mut units = match manifest {
        Some(units) => units,
        None => vec![json!({
            "apiVersion": ComputingUnit::api_version(&()), "kind": ComputingUnit::kind(&()),
            "spec": {"poolName": "default"},
        })],
    };
    if units.len() > 1 && args.name.is_some() {
        return Err(Error::message(format!("the manifest has {} units: NAME is for one", units.len())));
    }
    for unit in &mut units {
        placed(unit, namespace)?;
        set(unit, args);
        let name = unit["metadata"]["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            return Err(Error::message("the manifest has a unit without metadata.name: give NAME"));
        }
    }
    Ok(units)
}

/// Sets the namespace. That of the option has to be that of the manifest, like in kubectl.
fn placed(unit: &mut Value, namespace: Option<&str>) -> Result<(), Error> {
    let own = unit["metadata"]["namespace"].as_str();
    match (own, namespace) {
        (Some(own), Some(given)) if own != given => Err(Error::message(format!(
            "the namespace from the provided object {own:?} does not match the namespace {given:?}. You must pass \
             '--namespace={own}' to perform this operation."
        ))),
        (None, Some(given)) => {
            unit["metadata"]["namespace"] = json!(given);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn set(unit: &mut Value, args: &Args) {
    let (options, more) = (&args.unit, &args.more);
    if let Some(name) = &args.name {
        unit["metadata"]["name"] = json!(name);
    }
    for (field, pairs) in [("labels", &more.labels), ("annotations", &more.annotations)] {
        for (key, value) in pairs {
            unit["metadata"][field][key] = json!(value);
        }
    }
    let spec = &mut unit["spec"];
    let fields = [
        ("cuid", options.cuid.map(|cuid| json!(cuid))),
        ("poolName", options.pool.as_ref().map(|pool| json!(pool))),
        ("owner", options.owner.as_ref().map(|owner| json!(owner))),
        ("image", options.image.as_ref().map(|image| json!(image))),
        ("sharedMemory", options.shared_memory.as_ref().map(|size| json!(size))),
        ("updateStrategy", more.update_strategy.map(|strategy| json!(strategy.as_str()))),
        ("operatingMode", more.suspended.then(|| json!("Suspended"))),
    ];
    for (field, value) in fields {
        put(spec, field, value);
    }
    let limits = [
        ("cpu", options.cpu.clone()),
        ("memory", options.memory.clone()),
        (options.gpu_resource.as_str(), options.gpu.map(|count| Quantity(count.to_string()))),
    ];
    for (name, amount) in limits.into_iter().filter_map(|(name, amount)| Some((name, amount?))) {
        spec["resources"]["limits"][name] = json!(amount);
    }
    for (name, amount) in &options.requests {
        spec["resources"]["requests"][name] = json!(amount);
    }
    environment(spec, more);
    lifecycle(spec, more);
}

/// The last of several environment variables of the same name takes precedence.
fn environment(spec: &mut Value, more: &MoreArgs) {
    for (name, value) in &more.env {
        let entry = json!({"name": name, "value": value});
        let all = list(spec, "env");
        match all.iter_mut().find(|earlier| earlier["name"] == entry["name"]) {
            Some(earlier) => *earlier = entry,
            None => all.push(entry),
        }
    }
    if !more.env_from.is_empty() {
        list(spec, "envFrom").extend(more.env_from.iter().cloned());
    }
}

fn lifecycle(spec: &mut Value, more: &MoreArgs) {
    let fields = [
        ("idleTimeout", more.idle_timeout.map(|timeout| json!(timeout))),
        ("idleAction", more.idle_action.map(|action| json!(action.as_str()))),
        ("shutdownTime", more.shutdown_time.map(|time| json!(time.to_string()))),
        ("ttlSecondsAfterFinished", more.ttl_seconds_after_finished.map(|seconds| json!(seconds))),
    ];
    for (field, value) in fields {
        if value.is_some() {
            put(&mut spec["lifecycle"], field, value);
        }
    }
}

fn put(object: &mut Value, field: &str, value: Option<Value>) {
    if let Some(value) = value {
        object[field] = value;
    }
}

/// The list in a field, which is created if it is absent.
fn list<'a>(spec: &'a mut Value, field: &str) -> &'a mut Vec<Value> {
    let value = &mut spec[field];
    if !value.is_array() {
        *value = Value::Array(vec![]);
    }
    match value {
        Value::Array(list) => list,
        _ => unreachable!("it was made a list"),
    }
}

/// Reads the units of a manifest: documents of YAML or JSON, or a list.
///
/// # Errors
/// If it is invalid, or has objects of other kinds.
pub fn parse(text: &str) -> Result<Vec<Value>, Error> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| Error::message(format!("invalid manifest: {error}")))?;
    let mut units = vec![];
    for document in documents {
        match document["items"].as_array() {
            Some(items) if document["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => {
                units.extend(items.iter().cloned());
            }
            _ => units.push(document),
        }
    }
    for unit in &units {
        let is = |field: &str, expected: &str| unit[field].as_str() == Some(expected);
        if !is("kind", &ComputingUnit::kind(&())) || !is("apiVersion", &ComputingUnit::api_version(&())) {
            return Err(Error::message(format!(
                "the manifest has an object of kind {} of {}: only ComputingUnit of {} is possible",
                unit["kind"],
                unit["apiVersion"],
                ComputingUnit::api_version(&())
            )));
        }
        if ["metadata", "spec"].iter().any(|field| !unit[*field].is_null() && !unit[*field].is_object()) {
            return Err(Error::message("metadata and spec of a unit must be objects"));
        }
    }
    if units.is_empty() {
        return Err(Error::message("the manifest has no unit"));
    }
    // Fields of the API server, which an exported object has, are not for a new one.
    Ok(units.into_iter().map(new).collect())
}

fn new(mut unit: Value) -> Value {
    if let Some(fields) = unit.as_object_mut() {
        fields.remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "finalizers"] {
                metadata.remove(field);
            }
        }
        fields.entry("spec").or_insert_with(|| Value::Object(Map::new()));
    }
    unit
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::create::args::Cli;

    fn created(line: &str, manifest: Option<&str>) -> Result<Vec<Value>, String> {
        let Cli { args, connection } = Cli::parse_from(["x"].into_iter().chain(line.split_whitespace()));
        let manifest = manifest.map(parse).transpose().map_err(|error| error.to_string())?;
        units(&args, manifest, connection.namespace.as_deref()).map_err(|error| error.to_string())
    }

    fn object(line: &str) -> Value {
        created(line, None).unwrap().remove(0)
    }

    #[test]
    fn name_alone_sets_only_the_default_pool() {
        assert_eq!(
            object("ada"),
            json!({
                "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnit",
                "metadata": {"name": "ada"}, "spec": {"poolName": "default"},
            })
        );
    }

    #[test]
    fn options_set_their_fields() {
        let unit = object(
            "ada -n team --cuid 42 --pool big --image r --cpu 2 --memory 4Gi --gpu 1 --shared-memory 1Gi --owner u \
             --env A=1 --env B=x=y --env A=2 --requests cpu=1,memory=1Gi --labels a=b,c=d -l e=f --annotations x/y=z,w \
             --env-from secret/s --env-from P_=configmap/c --idle-timeout 30m --idle-action delete \
             --shutdown-time 2026-01-31T18:00:00Z --ttl-seconds-after-finished 60 --update-strategy recreate --suspended",
        );
        assert_eq!(
            unit["metadata"],
            json!({
                "name": "ada", "namespace": "team", "labels": {"a": "b", "c": "d", "e": "f"}, "annotations": {"x/y": "z,w"},
            })
        );
        assert_eq!(
            unit["spec"],
            json!({
                "cuid": 42, "poolName": "big", "image": "r", "owner": "u", "sharedMemory": "1Gi",
                "resources": {
                    "limits": {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"}, "requests": {"cpu": "1", "memory": "1Gi"},
                },
                "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "x=y"}],
                "envFrom": [{"secretRef": {"name": "s"}}, {"prefix": "P_", "configMapRef": {"name": "c"}}],
                "lifecycle": {
                    "idleTimeout": "30m", "idleAction": "Delete", "shutdownTime": "2026-01-31T18:00:00Z",
                    "ttlSecondsAfterFinished": 60,
                },
                "updateStrategy": "Recreate", "operatingMode": "Suspended",
            })
        );
        // Also for the typed object.
        serde_json::from_value::<ComputingUnit>(unit).unwrap();
    }

    #[test]
    fn options_change_a_manifest() {
        let manifest = "
apiVersion: texera.apache.org/v1alpha1
kind: ComputingUnit
metadata: {name: ada, namespace: team, uid: u, resourceVersion: '5', labels: {a: b}}
spec: {cuid: 7, env: [{name: A, value: '1'}], later: field}
status: {phase: Ready}
";
        let unit = created("bob -f x --cuid 8 --env A=2 --env B=3 -l c=d", Some(manifest)).unwrap().remove(0);
        assert_eq!(unit["metadata"], json!({"name": "bob", "namespace": "team", "labels": {"a": "b", "c": "d"}}));
        assert_eq!(
            unit["spec"],
            json!({"cuid": 8, "later": "field", "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]}),
            "the API server decides about fields that the plugin does not know"
        );
        assert!(unit.get("status").is_none());
        let error = created("-f x -n other", Some(manifest)).unwrap_err();
        assert!(error.contains("does not match the namespace \"other\""), "{error}");
        let two = [manifest, manifest].join("---");
        assert_eq!(created("-f x", Some(&two)).unwrap().len(), 2);
        assert!(created("eve -f x", Some(&two)).unwrap_err().contains("has 2 units"));
        let json =
            r#"{"kind": "List", "items": [{"apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnit"}]}"#;
        assert_eq!(created("eve -f x", Some(json)).unwrap()[0]["metadata"], json!({"name": "eve"}));
        for (text, expected) in [
            ("kind: Pod", "only ComputingUnit"),
            ("", "no unit"),
            ("a: [", "invalid manifest"),
            (json, "without metadata.name"),
        ] {
            let error = created("-f x", Some(text)).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn gpu_resource_is_configurable() {
        let unit = object("ada --gpu 2 --gpu-resource amd.com/gpu");
        assert_eq!(unit["spec"]["resources"], json!({"limits": {"amd.com/gpu": "2"}}));
    }
}
