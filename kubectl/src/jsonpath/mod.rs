//! Templates in kubectl's dialect of `JSONPath`, such as `{range .items[*]}{.metadata.name}{"\n"}{end}`.
//!
//! The dialect is older than RFC 9535: a template has text and several paths, names can have hyphens and escaped dots,
//! and `['a.b']` is two names. Each step of a path is translated, and a library for RFC 9535 evaluates it.

mod action;
mod path;

use std::str::FromStr;

use serde_json::Value;

use action::{Action, Content};
use path::Path;

/// An invalid template, or one that does not fit the object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Path(Path),
    Range(Path, Vec<Node>),
}

impl FromStr for Template {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut open: Vec<(Path, Vec<Node>)> = vec![];
        let mut nodes = vec![];
        let mut rest = text;
        while !rest.is_empty() {
            let Some(start) = rest.find('{') else {
                nodes.push(Node::Text(rest.to_owned()));
                break;
            };
            if start > 0 {
                nodes.push(Node::Text(rest[..start].to_owned()));
            }
            let (Action { content, end }, length) = action::parse(&rest[start + 1..])?;
            rest = &rest[start + 1 + length..];
            match content {
                _ if end => {
                    let (path, outer) = open.pop().ok_or_else(|| Error("not in range, nothing to end".to_owned()))?;
                    let body = std::mem::replace(&mut nodes, outer);
                    nodes.push(Node::Range(path, body));
                }
                Content::Text(text) => nodes.push(Node::Text(text)),
                Content::Path(path) => nodes.push(Node::Path(path)),
                Content::Range(path) => open.push((path, std::mem::take(&mut nodes))),
            }
        }
        // kubectl accepts a range without an end.
        while let Some((path, outer)) = open.pop() {
            let body = std::mem::replace(&mut nodes, outer);
            nodes.push(Node::Range(path, body));
        }
        Ok(Self { nodes })
    }
}

impl Template {
    /// A template for one path, in one of the forms `.spec.owner`, `spec.owner`, `{.spec.owner}` and `{spec.owner}`.
    ///
    /// # Errors
    /// If it is invalid.
    pub fn relaxed(path: &str) -> Result<Self, Error> {
        let inner = path.strip_prefix('{').and_then(|path| path.strip_suffix('}')).unwrap_or(path);
        let inner = inner.strip_prefix('.').unwrap_or(inner);
        if inner.is_empty() || inner.contains(['{', '}']) {
            return Err(Error(format!(
                "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{{name1.name2}}' or \
                 '{{.name1.name2}}', got {path:?}"
            )));
        }
        format!("{{.{inner}}}").parse()
    }

    /// The values of all paths.
    ///
    /// # Errors
    /// If an index is out of bounds.
    pub fn values<'a>(&self, object: &'a Value) -> Result<Vec<&'a Value>, Error> {
        let mut found = vec![];
        for node in &self.nodes {
            if let Node::Path(path) = node {
                found.extend(path.values(object)?);
            }
        }
        Ok(found)
    }

    /// The text for an object. It has no newline at the end unless the template does.
    ///
    /// # Errors
    /// If an index is out of bounds.
    pub fn render(&self, object: &Value) -> Result<String, Error> {
        let mut text = String::new();
        render(&self.nodes, object, &mut text)?;
        Ok(text)
    }
}

fn render(nodes: &[Node], object: &Value, text: &mut String) -> Result<(), Error> {
    for node in nodes {
        match node {
            Node::Text(literal) => text.push_str(literal),
            Node::Path(path) => {
                let values = path.values(object)?;
                text.push_str(&values.into_iter().map(plain).collect::<Vec<_>>().join(" "));
            }
            Node::Range(path, body) => {
                for value in path.values(object)? {
                    render(body, value, text)?;
                }
            }
        }
    }
    Ok(())
}

/// A value as kubectl prints it: strings as they are, everything else as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(template: &str) -> String {
        let list = json!({"kind": "List", "items": [
            {
                "metadata": {"name": "ada", "labels": {"course": "101", "app.kubernetes.io/name": "x", "my-team": "blue"}},
                "spec": {"cuid": 7},
                "status": {"phase": "Ready", "conditions": [
                    {"type": "Accepted", "status": "True"}, {"type": "Ready", "status": "False", "reason": "Why"},
                ]},
            },
            {"metadata": {"name": "bob"}, "spec": {}, "status": {"phase": "Pending", "conditions": []}},
        ]});
        let rendered = template.parse::<Template>().and_then(|template| template.render(&list));
        rendered.unwrap_or_else(|error| format!("error: {error}"))
    }

    /// The expected texts are those of kubectl 1.36 for the same object. The e2e test `jsonpath_is_that_of_kubectl`
    /// compares both on a cluster.
    #[test]
    fn templates_have_the_results_of_kubectl() {
        for (template, expected) in [
            ("{.kind}", "List"),
            ("{.items[*].metadata.name}", "ada bob"),
            ("{.items[*]['metadata.name', 'status.phase']}", "ada bob Ready Pending"),
            ("{.items[0].metadata.labels.my-team}", "blue"),
            (r"{.items[0].metadata.labels.app\.kubernetes\.io/name}", "x"),
            (r"{.items[0].metadata.labels['app\.kubernetes\.io/name']}", "x"),
            ("{.items[-1].metadata.name}{.items[-1:].metadata.name}", "bobbob"),
            ("{.items[0:1].metadata.name} {.items[0:2:1].spec.cuid}", "ada 7"),
            ("{.items[0,1].metadata.name}", "ada bob"),
            ("{range .items[*]}{.metadata.name}{\"\\t\"}{.status.phase}{'\\n'}{end}", "ada\tReady\nbob\tPending\n"),
            ("{range .items[*]}[{@.metadata.name}]{end}!", "[ada][bob]!"),
            ("{.items[*].status.conditions[?(@.type==\"Ready\")].reason}", "Why"),
            ("{.items[?(@.spec.cuid>5)].metadata.name}", "ada"),
            ("{.items[?(@.spec.cuid)].metadata.name}", "ada"),
            ("{.items[?(@.metadata.labels.my-team=='blue')].metadata.name}", "ada"),
            ("{.items[*].metadata.none}", ""),
            ("{.items[1].spec}", "{}"),
            ("{.items[0].status.conditions[0]}", r#"{"status":"True","type":"Accepted"}"#),
            ("{..phase}", "Ready Pending"),
            ("text {.kind}", "text List"),
            (
                "{range .items[*]}{range .status.conditions[*]}{.type},{end}{.metadata.name};{end}",
                "Accepted,Ready,ada;bob;",
            ),
            ("{.items[5].metadata.name}", "error: array index out of bounds: index 5, length 2"),
            ("{.items[0]", "error: unclosed action"),
            ("{end}", "error: not in range, nothing to end"),
            ("{.items[x]}", "error: invalid array index x"),
            ("{when}", "error: unrecognized identifier when"),
        ] {
            assert_eq!(rendered(template), expected, "{template}");
        }
    }

    #[test]
    fn relaxed_path_has_four_forms() {
        for path in ["spec.cuid", ".spec.cuid", "{spec.cuid}", "{.spec.cuid}"] {
            let template = Template::relaxed(path).unwrap();
            assert_eq!(template.values(&json!({"spec": {"cuid": 7}})).unwrap(), [&json!(7)], "{path}");
        }
        assert!(Template::relaxed("{.a}{.b}").is_err());
        assert!(Template::relaxed("").is_err());
    }
}
