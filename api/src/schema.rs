//! The CustomResourceDefinitions, generated from the Rust types and adapted to structural schemas.
//!
//! The descriptions of the fields are the doc comments of the Rust types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use crate::{ComputingUnit, ComputingUnitPool, quantity};

/// The timestamps that the operator can parse. The format `date-time` of the API server also accepts `9999-12-31T23:59:59Z`,
/// which clocks west of Greenwich would show in the year 10000, and offsets such as `+99:99`.
const TIMESTAMP: &str = "^([0-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// Both CustomResourceDefinitions.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut unit = ComputingUnit::crd();
    root(&mut unit, "Desired state of the unit.");
    let mut pool = ComputingUnitPool::crd();
    root(&mut pool, "Desired state of the pool.");
    // With the descriptions of Kubernetes' own types, the definition is too large for client-side `kubectl apply`.
    for path in [&["spec", "template"][..], &["spec", "volumeClaimTemplates", "[]", "spec"]] {
        if let Some(core) = schema(&mut pool).and_then(|root| field(root, path)) {
            for child in children(core) {
                visit(child, &mut |schema| schema.description = None);
            }
        }
    }
    // The types of Kubernetes have no bounds. Every watcher of units holds them in memory.
    for (name, length) in [("name", 128), ("value", 4096)] {
        if let Some(text) = schema(&mut unit).and_then(|root| field(root, &["spec", "env", "[]", name])) {
            text.max_length = Some(length);
        }
    }
    for (crd, length, size) in [(&mut unit, 253, 64), (&mut pool, 32_768, 256)] {
        if let Some(spec) = schema(crd).and_then(|root| field(root, &["spec"])) {
            visit(spec, &mut |schema| bound(schema, length, size));
        }
    }
    vec![unit, pool]
}

/// Moves the description of the kind, which kube derives for the spec, to the root of the schema.
fn root(crd: &mut CustomResourceDefinition, spec_description: &str) {
    let Some(root) = schema(crd) else { return };
    root.title = None;
    if let Some(spec) = field(root, &["spec"]) {
        root.description = spec.description.replace(spec_description.to_owned());
    }
    visit(root, &mut tidy);
    // An object without a status of the operator is not current. Clients would take it for one that has no conditions to
    // wait for.
    if let Some(status) = field(root, &["status"]) {
        status.default = Some(JSON(json!({"observedGeneration": -1})));
    }
}

fn tidy(schema: &mut JSONSchemaProps) {
    schema.description = schema.description.as_deref().map(paragraphs);
    // Otherwise the API server keeps a null: no default is applied, and CEL sees the field as present.
    schema.nullable = None;
    if schema.x_kubernetes_int_or_string == Some(true) {
        schema.any_of = None;
    }
    // A number or a name of a port, or else an amount. Neither has a format that bounds it.
    for (name, field) in schema.properties.iter_mut().flatten() {
        if field.x_kubernetes_int_or_string == Some(true) && name == "port" {
            (field.minimum, field.maximum) = (Some(1.0), Some(65535.0));
        } else {
            amount(field);
        }
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = schema.additional_properties.as_mut() {
        amount(value);
    }
    if schema.format.as_deref() == Some("date-time") {
        schema.pattern.get_or_insert_with(|| TIMESTAMP.to_owned());
    }
}

/// Bounds an amount of the pod template by what Kubernetes accepts.
fn amount(schema: &mut JSONSchemaProps) {
    if schema.x_kubernetes_int_or_string == Some(true) {
        schema.pattern.get_or_insert_with(|| quantity::PATTERN.to_owned());
        schema.minimum.get_or_insert(0.0);
    }
}

/// Bounds strings, and lists and maps, that have no bound yet.
fn bound(schema: &mut JSONSchemaProps, length: i64, size: i64) {
    match schema.type_.as_deref() {
        Some("string") if schema.enum_.is_none() && schema.format.is_none() => {
            schema.max_length.get_or_insert(length);
        }
        Some("array") => {
            schema.max_items.get_or_insert(size);
        }
        Some("object") if schema.additional_properties.is_some() => {
            schema.max_properties.get_or_insert(size);
        }
        _ => {}
    }
}

/// Joins the lines of each paragraph.
fn paragraphs(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn schema(crd: &mut CustomResourceDefinition) -> Option<&mut JSONSchemaProps> {
    crd.spec.versions.first_mut()?.schema.as_mut()?.open_api_v3_schema.as_mut()
}

/// The schema at a path of field names. `[]` selects the items of a list.
fn field<'a>(schema: &'a mut JSONSchemaProps, path: &[&str]) -> Option<&'a mut JSONSchemaProps> {
    path.iter().try_fold(schema, |schema, name| match (*name, schema.items.as_mut()) {
        ("[]", Some(JSONSchemaPropsOrArray::Schema(item))) => Some(&mut **item),
        (name, _) => schema.properties.as_mut()?.get_mut(name),
    })
}

fn visit(schema: &mut JSONSchemaProps, change: &mut impl FnMut(&mut JSONSchemaProps)) {
    change(schema);
    for child in children(schema) {
        visit(child, change);
    }
}

fn children(schema: &mut JSONSchemaProps) -> impl Iterator<Item = &mut JSONSchemaProps> {
    let fields = schema.properties.iter_mut().flat_map(|all| all.values_mut());
    let items: Box<dyn Iterator<Item = _>> = match schema.items.as_mut() {
        Some(JSONSchemaPropsOrArray::Schema(item)) => Box::new(std::iter::once(&mut **item)),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => Box::new(items.iter_mut()),
        None => Box::new(std::iter::empty()),
    };
    let values = match schema.additional_properties.as_mut() {
        Some(JSONSchemaPropsOrBool::Schema(value)) => Some(&mut **value),
        Some(JSONSchemaPropsOrBool::Bool(_)) | None => None,
    };
    fields.chain(items).chain(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_schema(mut check: impl FnMut(&CustomResourceDefinition, &mut JSONSchemaProps)) {
        for mut crd in crds() {
            let whole = crd.clone();
            visit(schema(&mut crd).unwrap(), &mut |schema| {
                check(&whole, schema);
            });
        }
    }

    #[test]
    fn descriptions_have_no_line_breaks_within_paragraphs() {
        every_schema(|_, schema| {
            let text = schema.description.clone().unwrap_or_default();
            assert!(!text.replace("\n\n", " ").contains('\n'), "{text}");
        });
        assert_eq!(paragraphs("a\nb\n\nc  d"), "a b\n\nc d");
    }

    #[test]
    fn formats_are_known_to_kubernetes() {
        every_schema(|crd, schema| {
            let format = schema.format.as_deref();
            let known = [None, Some("int32"), Some("int64"), Some("date-time")];
            assert!(known.contains(&format), "{:?}: {format:?}", crd.metadata.name);
        });
    }

    #[test]
    fn strings_lists_and_maps_are_bounded() {
        for mut crd in crds() {
            let spec = field(schema(&mut crd).unwrap(), &["spec"]).unwrap();
            visit(spec, &mut |schema| match schema.type_.as_deref() {
                Some("string") => {
                    let bounded = schema.max_length.is_some() || schema.enum_.is_some() || schema.format.is_some();
                    assert!(bounded, "{schema:?}");
                }
                Some("array") => assert!(schema.max_items.is_some(), "{schema:?}"),
                Some("object") if schema.additional_properties.is_some() => {
                    assert!(schema.max_properties.is_some(), "{schema:?}");
                }
                _ => {}
            });
        }
    }

    #[test]
    fn template_keeps_labels_and_annotations() {
        let mut pool = crds().remove(1);
        let root = schema(&mut pool).unwrap();
        for name in ["labels", "annotations"] {
            let found = field(root, &["spec", "template", "metadata", name]).unwrap();
            assert!(matches!(found.additional_properties, Some(JSONSchemaPropsOrBool::Schema(_))), "{name}");
        }
    }
}
