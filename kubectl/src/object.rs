//! The unit that the flags describe.
//!
//! Pure. What the API server checks is left to it; only what could not be sent is refused here.

use std::collections::BTreeMap;

use computing_unit_operator::api::{ComputingUnit, ComputingUnitSpec, Quantity, Resources};
use k8s_openapi::api::core::v1::EnvVar;

use crate::{args::Args, refusal::Failure};

/// Builds the unit.
pub fn unit(args: &Args) -> Result<ComputingUnit, Failure> {
    let amount = |flag: &'static str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => {
            let quantity = Quantity(text.clone());
            match quantity.value() {
                Some(value) if value > 0.0 => Ok(Some(quantity)),
                _ => Err(Failure::Amount { flag, text: text.clone() }),
            }
        }
    };
    let mut limits = BTreeMap::new();
    limits.extend(amount("--cpu", &args.cpu)?.map(|cpu| ("cpu".to_owned(), cpu)));
    limits.extend(amount("--memory", &args.memory)?.map(|memory| ("memory".to_owned(), memory)));
    limits.extend(args.gpu.map(|count| (args.gpu_resource.clone(), Quantity(count.to_string()))));
    let spec = ComputingUnitSpec {
        cuid: args.cuid,
        pool_name: args.pool.clone().unwrap_or_else(|| "default".to_owned()),
        owner: args.owner.clone(),
        image: args.image.clone(),
        resources: (!limits.is_empty()).then(|| Resources { limits, requests: BTreeMap::new() }),
        shared_memory: amount("--shared-memory", &args.shared_memory)?,
        env: args
            .env
            .iter()
            .map(|variable| EnvVar {
                name: variable.name.clone(),
                value: Some(variable.value.clone()),
                ..EnvVar::default()
            })
            .collect(),
        env_from: vec![],
    };
    Ok(ComputingUnit::new(&args.name, spec))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    fn spec(line: &str) -> Result<serde_json::Value, Failure> {
        let args = Args::parse_from(std::iter::once("x").chain(line.split_whitespace()));
        unit(&args).map(|unit| serde_json::to_value(unit.spec).unwrap())
    }

    #[test]
    fn every_flag_has_its_field() {
        let line =
            "a --cuid 42 --pool p --image i --cpu 2 --memory 4Gi --gpu 1 --shared-memory 1Gi --env K=V --owner ada";
        assert_eq!(
            spec(line).unwrap(),
            json!({
                "cuid": 42, "poolName": "p", "owner": "ada", "image": "i", "sharedMemory": "1Gi",
                "resources": {"limits": {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"}},
                "env": [{"name": "K", "value": "V"}],
            })
        );
        assert_eq!(spec("a").unwrap(), json!({"poolName": "default"}));
        assert_eq!(
            spec("a --gpu 2 --gpu-resource amd.com/gpu").unwrap()["resources"]["limits"],
            json!({"amd.com/gpu": "2"})
        );
    }

    #[test]
    fn an_amount_that_is_none_is_named_by_its_flag() {
        for line in ["a --cpu many", "a --memory 4GB", "a --shared-memory 0", "a --cpu=-1"] {
            let flag = line.split([' ', '=']).nth(1).unwrap();
            assert!(spec(line).unwrap_err().to_string().starts_with(flag), "{line}");
        }
    }
}
