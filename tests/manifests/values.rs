use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::root;

/// A value of a chart that is not divided further: its path, its default, and its description in the schema.
struct Leaf<'a> {
    path: String,
    default: Option<&'a Value>,
    description: &'a str,
}

fn read(chart: &str, file: &str) -> String {
    fs::read_to_string(root(&format!("charts/{chart}/{file}")))
        .unwrap_or_else(|error| panic!("{chart}/{file}: {error}"))
}

fn description(node: &Value) -> &str {
    node["description"].as_str().unwrap_or_default()
}

/// Without `values`, the properties of the schema itself.
fn leaves<'a>(schema: &'a Value, values: Option<&'a Value>, prefix: &str, found: &mut Vec<Leaf<'a>>) {
    for (name, node) in schema["properties"].as_object().expect("properties") {
        let path = format!("{prefix}{name}");
        let default = values.and_then(|values| values.get(name));
        if values.is_some() && default.is_none() {
            continue;
        }
        if node["properties"].is_object() {
            leaves(node, default, &format!("{path}."), found);
        } else {
            found.push(Leaf { path, default, description: description(node) });
        }
    }
}

/// The rows of the Markdown table below a heading, by the code in their first cell.
fn table<'a>(readme: &'a str, heading: &str) -> BTreeMap<&'a str, Vec<&'a str>> {
    let section = readme.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}")).1;
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "));
    rows.map(|(name, rest)| (name, rest.split(" | ").collect())).collect()
}

fn undocumented(node: &Value, path: &str, found: &mut Vec<String>) {
    for (key, child) in node.as_object().into_iter().flatten() {
        let properties = if key == "properties" { child.as_object() } else { None };
        for (name, property) in properties.into_iter().flatten() {
            if description(property).is_empty() {
                found.push(format!("{path}.{name}"));
            }
            undocumented(property, &format!("{path}.{name}"), found);
        }
        match child {
            Value::Array(alternatives) => alternatives.iter().for_each(|child| undocumented(child, path, found)),
            child if properties.is_none() => undocumented(child, path, found),
            _ => {}
        }
    }
}

const CHARTS: [&str; 2] = ["computing-unit-operator", "texera-gateway"];

#[test]
fn each_property_of_the_schemas_has_a_description() {
    for chart in CHARTS {
        let schema: Value = serde_json::from_str(&read(chart, "values.schema.json")).expect("JSON");
        let mut found = vec![];
        undocumented(&schema, chart, &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn the_readme_lists_each_value_with_its_default_and_description() {
    for chart in CHARTS {
        let schema: Value = serde_json::from_str(&read(chart, "values.schema.json")).expect("JSON");
        let values: Value = serde_saphyr::from_str(&read(chart, "values.yaml")).expect("YAML");
        let readme = read(chart, "README.md");
        let mut rows = table(&readme, "Values");
        let mut expected = vec![];
        leaves(&schema, Some(&values), "", &mut expected);
        for Leaf { path, default, description } in expected {
            let row = rows.remove(path.as_str()).unwrap_or_else(|| panic!("{chart}: no row for {path}"));
            assert_eq!(row.get(1), Some(&description), "{chart}: description of {path}");
            let Some(json) = row[0].strip_prefix('`').and_then(|cell| cell.strip_suffix('`')) else {
                assert_eq!(row[0], "see [values.yaml](values.yaml)", "{chart}: default of {path}");
                continue;
            };
            assert_eq!(serde_json::from_str::<Value>(json).ok().as_ref(), default, "{chart}: default of {path}");
        }
        assert!(rows.is_empty(), "{chart}: no such values: {:?}", rows.keys());
    }
}

#[test]
fn the_readme_lists_each_field_of_a_static_route() {
    let schema: Value = serde_json::from_str(&read("texera-gateway", "values.schema.json")).expect("JSON");
    let readme = read("texera-gateway", "README.md");
    let mut expected = vec![];
    leaves(&schema["properties"]["routes"]["additionalProperties"]["anyOf"][0], None, "", &mut expected);
    let expected = expected.iter().map(|leaf| (leaf.path.as_str(), vec![leaf.description])).collect();
    assert_eq!(table(&readme, "Static routes"), expected);
}
