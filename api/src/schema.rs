//! The CustomResourceDefinitions, made from the Rust types and put into the form that Kubernetes shows and limits.
//!
//! What a field means is written at the Rust types; nothing is said here.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use crate::{ComputingUnit, ComputingUnitPool};

/// Both definitions, in the order in which they are to be installed.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut unit = ComputingUnit::crd();
    root(&mut unit, "What is asked for.");
    let mut pool = ComputingUnitPool::crd();
    root(&mut pool, "What is offered.");
    // Kubernetes' own texts: with them the definition is too large for `kubectl apply`.
    for path in [&["spec", "template"][..], &["spec", "volumeClaimTemplates", "[]", "spec"]] {
        if let Some(theirs) = schema(&mut pool).and_then(|root| field(root, path)) {
            for child in children(theirs) {
                visit(child, &mut |schema| schema.description = None);
            }
        }
    }
    vec![unit, pool]
}

/// `kubectl explain` reads the text of the whole object first, which the Rust type has at its spec.
fn root(crd: &mut CustomResourceDefinition, of_spec: &str) {
    let Some(root) = schema(crd) else { return };
    root.title = None;
    if let Some(spec) = field(root, &["spec"]) {
        root.description = spec.description.replace(of_spec.to_owned());
    }
    visit(root, &mut tidy);
}

fn tidy(schema: &mut JSONSchemaProps) {
    schema.description = schema.description.as_deref().map(paragraphs);
    // Otherwise a null is kept, and neither defaulted nor seen as absent by the rules.
    schema.nullable = None;
    if schema.x_kubernetes_int_or_string == Some(true) {
        schema.any_of = None;
    }
}

/// Lines of a paragraph are joined: where rustdoc's source breaks them means nothing.
fn paragraphs(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn schema(crd: &mut CustomResourceDefinition) -> Option<&mut JSONSchemaProps> {
    crd.spec.versions.first_mut()?.schema.as_mut()?.open_api_v3_schema.as_mut()
}

/// The schema at a path of field names; `[]` stands for the items of a list.
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

    fn every_schema(mut look: impl FnMut(&CustomResourceDefinition, &mut JSONSchemaProps)) {
        for mut crd in crds() {
            let whole = crd.clone();
            visit(schema(&mut crd).unwrap(), &mut |schema| {
                look(&whole, schema);
            });
        }
    }

    #[test]
    fn texts_have_no_line_breaks_of_the_source() {
        every_schema(|_, schema| {
            let text = schema.description.clone().unwrap_or_default();
            assert!(!text.replace("\n\n", " ").contains('\n'), "{text}");
        });
        assert_eq!(paragraphs("a\nb\n\nc  d"), "a b\n\nc d");
    }

    #[test]
    fn formats_are_those_of_kubernetes() {
        every_schema(|crd, schema| {
            let format = schema.format.as_deref();
            let known = [None, Some("int32"), Some("int64"), Some("date-time")];
            assert!(known.contains(&format), "{:?}: {format:?}", crd.metadata.name);
        });
    }

    #[test]
    fn a_text_of_ours_has_an_end() {
        for (mut crd, outside) in
            crds().into_iter().zip([&["env", "envFrom"][..], &["template", "volumeClaimTemplates"]])
        {
            let spec = field(schema(&mut crd).unwrap(), &["spec"]).unwrap();
            spec.properties.as_mut().unwrap().retain(|name, _| !outside.contains(&name.as_str()));
            visit(spec, &mut |schema| match schema.type_.as_deref() {
                Some("string") => {
                    let ends = schema.max_length.is_some() || schema.enum_.is_some() || schema.format.is_some();
                    assert!(ends, "{schema:?}");
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
    fn the_template_keeps_labels_and_annotations() {
        let mut pool = crds().remove(1);
        let root = schema(&mut pool).unwrap();
        for name in ["labels", "annotations"] {
            let found = field(root, &["spec", "template", "metadata", name]).unwrap();
            assert!(matches!(found.additional_properties, Some(JSONSchemaPropsOrBool::Schema(_))), "{name}");
        }
    }
}
