//! The API reference in Markdown, generated from the definitions.
//!
//! Types of Kubernetes itself are named, and their fields are not listed.

use std::fmt::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};

/// The fields with a type of Kubernetes, and the description of that type.
const CORE: [(&str, &str); 4] = [
    ("spec.template", "as in core v1 PodTemplateSpec"),
    ("spec.env", "list, as in core v1 EnvVar"),
    ("spec.envFrom", "list, as in core v1 EnvFromSource"),
    ("status.conditions", "list, as in meta v1 Condition"),
];

/// The API reference of all `crds`.
#[must_use]
pub fn markdown(crds: &[CustomResourceDefinition]) -> String {
    let mut page = String::from(
        "# API reference\n\n<!-- Generated from the Rust types by `make generate`. Do not edit. -->\n\n\
         The output of `kubectl explain` on one page. The API server checks the rules before it stores an object.\n",
    );
    for crd in crds {
        for version in &crd.spec.versions {
            kind(&mut page, crd, version);
        }
    }
    page
}

fn kind(page: &mut String, crd: &CustomResourceDefinition, version: &CustomResourceDefinitionVersion) {
    let Some(root) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()) else {
        return;
    };
    let (names, group) = (&crd.spec.names, &crd.spec.group);
    let mut short = names.short_names.iter().flatten().map(|name| format!("`{name}`"));
    line(page, &format!("\n## {}\n", names.kind));
    line(page, &format!("{}\n", root.description.as_deref().unwrap_or_default()));
    line(page, &format!("`apiVersion: {group}/{}`, short name {}.", version.name, short.next().unwrap_or_default()));
    let selectors = version.selectable_fields.iter().flatten();
    let selectors: Vec<String> =
        selectors.map(|field| format!("`{}`", field.json_path.trim_start_matches('.'))).collect();
    if !selectors.is_empty() {
        line(page, &format!("Field selectors: {}.", selectors.join(", ")));
    }
    for rule in rules(root) {
        line(page, &format!("\nRule: {rule}."));
    }
    for (name, part) in root.properties.iter().flatten() {
        line(page, &format!("\n### {}: `{name}`\n", names.kind));
        line(page, &format!("{}\n", part.description.as_deref().unwrap_or_default()));
        for rule in rules(part) {
            line(page, &format!("- {rule}"));
        }
        line(page, "\n| Field | Type | Default | Required | Description | Rules |");
        line(page, "|---|---|---|---|---|---|");
        fields(page, name, part);
    }
}

/// Writes a row for each field of `schema`, followed by the rows of its own fields.
fn fields(page: &mut String, path: &str, schema: &JSONSchemaProps) {
    for (name, field) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let core = CORE
            .iter()
            .find(|(at, text)| *at == path && text.starts_with("list") == item(field).is_some())
            .map(|(_, text)| (*text).to_owned());
        let cut = core.is_some();
        let kind = core.unwrap_or_else(|| type_of(field));
        let default = field.default.as_ref().map(|value| format!("`{}`", text(&value.0))).unwrap_or_default();
        let required = schema.required.iter().flatten().any(|required| required == name);
        let required = if required { "yes" } else { "" };
        let text = field.description.as_deref().unwrap_or_default().replace("\n\n", "<br>");
        let rules: Vec<String> = rules(field).chain(item(field).into_iter().flat_map(rules)).collect();
        let cells = [format!("`{path}`"), kind, default, required.to_owned(), text, rules.join("<br>")];
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        line(page, &format!("| {} |", cells.join(" | ")));
        if !cut {
            match item(field) {
                Some(item) => fields(page, &format!("{path}[]"), item),
                None => fields(page, &path, field),
            }
        }
    }
}

fn rules(schema: &JSONSchemaProps) -> impl Iterator<Item = String> {
    schema.x_kubernetes_validations.iter().flatten().map(|rule| rule.message.clone().unwrap_or(rule.rule.clone()))
}

fn is_duration(schema: &JSONSchemaProps) -> bool {
    schema.x_kubernetes_validations.iter().flatten().any(|rule| rule.rule.contains("(h|m|s|ms)"))
}

fn item(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match schema.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

/// The type with its bounds.
fn type_of(schema: &JSONSchemaProps) -> String {
    if schema.x_kubernetes_int_or_string == Some(true) {
        return "quantity".to_owned();
    }
    if let Some(values) = &schema.enum_ {
        let values: Vec<String> = values.iter().map(|value| format!("`{}`", text(&value.0))).collect();
        return values.join(" | ");
    }
    if let Some(item) = item(schema) {
        let end = schema.max_items.map(|most| format!(", at most {most}")).unwrap_or_default();
        return format!("list of {}{end}", type_of(item));
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &schema.additional_properties {
        return format!("map of string to {}", type_of(value));
    }
    match (schema.type_.as_deref(), schema.format.as_deref()) {
        (Some("string"), Some("date-time")) => "time".to_owned(),
        (Some("string"), _) if is_duration(schema) => "duration".to_owned(),
        (Some("string"), _) => match schema.max_length {
            Some(most) => format!("string, at most {most} characters"),
            None => "string".to_owned(),
        },
        (Some("integer"), _) => match schema.minimum {
            Some(least) => format!("integer, at least {least}"),
            None => "integer".to_owned(),
        },
        (kind, _) => kind.unwrap_or("any").to_owned(),
    }
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn line(page: &mut String, text: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(page, "{text}");
}
