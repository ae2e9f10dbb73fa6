//! The CustomResourceDefinitions, made from the Rust types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use super::{ComputingUnit, ComputingUnitPool};

/// Both definitions, in the order in which they are to be installed.
///
/// The texts inside the pool's pod template are left out: they are Kubernetes' own, and with them the definition is
/// too large for `kubectl apply`.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut pool = ComputingUnitPool::crd();
    for version in &mut pool.spec.versions {
        if let Some(template) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()).and_then(template) {
            for child in template.properties.iter_mut().flatten().map(|(_, child)| child) {
                strip_descriptions(child);
            }
        }
    }
    vec![ComputingUnit::crd(), pool]
}

fn template(schema: &mut JSONSchemaProps) -> Option<&mut JSONSchemaProps> {
    schema.properties.as_mut()?.get_mut("spec")?.properties.as_mut()?.get_mut("template")
}

fn strip_descriptions(schema: &mut JSONSchemaProps) {
    schema.description = None;
    for child in schema.properties.iter_mut().flatten().map(|(_, child)| child) {
        strip_descriptions(child);
    }
    match schema.items.as_mut() {
        Some(JSONSchemaPropsOrArray::Schema(items)) => strip_descriptions(items),
        Some(JSONSchemaPropsOrArray::Schemas(all)) => all.iter_mut().for_each(strip_descriptions),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = schema.additional_properties.as_mut() {
        strip_descriptions(values);
    }
}
