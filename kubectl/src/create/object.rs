//! The object for the options. The API server validates it and applies defaults.

use std::collections::BTreeMap;

use computing_unit_api::{ComputingUnit, ComputingUnitSpec, OperatingMode, Quantity, Resources};
use k8s_openapi::api::core::v1::EnvVar;

use super::args::UnitArgs;

/// The unit `name` for the request. The last of several environment variables of the same name takes precedence.
pub fn unit(name: &str, namespace: Option<&str>, args: &UnitArgs) -> ComputingUnit {
    let mut unit = ComputingUnit::new(
        name,
        ComputingUnitSpec {
            operating_mode: OperatingMode::Running,
            cuid: args.cuid,
            pool_name: args.pool.clone(),
            owner: args.owner.clone(),
            image: args.image.clone(),
            resources: resources(args),
            shared_memory: args.shared_memory.clone(),
            env: env(&args.env),
            env_from: Vec::new(),
            ..ComputingUnitSpec::default()
        },
    );
    unit.metadata.namespace = namespace.map(str::to_owned);
    unit
}

fn resources(args: &UnitArgs) -> Option<Resources> {
    let limits: BTreeMap<_, _> = [
        ("cpu", args.cpu.clone()),
        ("memory", args.memory.clone()),
        (args.gpu_resource.as_str(), args.gpu.map(|count| Quantity(count.to_string()))),
    ]
    .into_iter()
    .filter_map(|(key, amount)| Some((key.to_owned(), amount?)))
    .collect();
    (!limits.is_empty()).then(|| Resources { limits, requests: BTreeMap::new() })
}

fn env(given: &[(String, String)]) -> Vec<EnvVar> {
    let mut all: Vec<EnvVar> = Vec::new();
    for (name, value) in given {
        match all.iter_mut().find(|earlier| earlier.name == *name) {
            Some(earlier) => earlier.value = Some(value.clone()),
            None => all.push(EnvVar { name: name.clone(), value: Some(value.clone()), value_from: None }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::create::args::Cli;

    fn object(line: &str) -> Value {
        let Cli { args, connection } = Cli::parse_from(["x"].into_iter().chain(line.split_whitespace()));
        serde_json::to_value(unit(&args.name, connection.namespace.as_deref(), &args.unit)).unwrap()
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
             --env A=1 --env B=x=y --env A=2",
        );
        assert_eq!(unit["metadata"], json!({"name": "ada", "namespace": "team"}));
        assert_eq!(
            unit["spec"],
            json!({
                "cuid": 42, "poolName": "big", "image": "r", "owner": "u", "sharedMemory": "1Gi",
                "resources": {"limits": {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"}},
                "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "x=y"}],
            })
        );
    }

    #[test]
    fn gpu_resource_is_configurable() {
        let unit = object("ada --gpu 2 --gpu-resource amd.com/gpu");
        assert_eq!(unit["spec"]["resources"], json!({"limits": {"amd.com/gpu": "2"}}));
    }
}
