//! A path as steps, each of which is a query of RFC 9535.

use jsonpath_rust::{
    parser::{model::JpQuery, parse_json_path},
    query::js_path_process,
};
use serde_json::Value;

use super::Error;

/// A path.
#[derive(Clone, Debug, PartialEq)]
pub struct Path(pub Vec<Step>);

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Query(JpQuery),
    /// An element of a list. An error if the list is too short.
    Index(i64),
    /// The values of several paths.
    Union(Vec<Path>),
}

impl Path {
    /// The values that the path selects.
    pub fn values<'a>(&self, object: &'a Value) -> Result<Vec<&'a Value>, Error> {
        self.0.iter().try_fold(vec![object], |values, step| step.values(&values))
    }
}

impl Step {
    fn values<'a>(&self, input: &[&'a Value]) -> Result<Vec<&'a Value>, Error> {
        let mut found = vec![];
        match self {
            Self::Query(query) => {
                for value in input {
                    let values = js_path_process(query, *value).map_err(|error| Error(error.to_string()))?;
                    found.extend(values.into_iter().map(|value| value.val));
                }
            }
            Self::Index(index) => {
                for list in input.iter().filter_map(|value| value.as_array()) {
                    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
                    let position = if *index < 0 { index + length } else { *index };
                    let element = usize::try_from(position).ok().and_then(|position| list.get(position));
                    found.push(element.ok_or_else(|| {
                        Error(format!("array index out of bounds: index {position}, length {length}"))
                    })?);
                }
            }
            Self::Union(paths) => {
                for path in paths {
                    found.extend(path.0.iter().try_fold(input.to_vec(), |values, step| step.values(&values))?);
                }
            }
        }
        Ok(found)
    }

    /// A member by name, or all members. None for an empty name, which is the object itself.
    pub fn member(name: &str) -> Result<Option<Self>, Error> {
        if name.is_empty() { Ok(None) } else { query(&format!("$[{}]", selector(name))).map(Some) }
    }

    /// The members of that name at any depth.
    pub fn descendants(name: &str) -> Result<Self, Error> {
        if name.is_empty() {
            Err(Error("a name must follow '..'".to_owned()))
        } else {
            query(&format!("$..[{}]", selector(name)))
        }
    }

    /// What is in brackets: `*`, `0`, `-1`, `0:2`, `'name'`, `'path.name'`, or several of them.
    pub fn brackets(text: &str) -> Result<Vec<Self>, Error> {
        let parts: Vec<_> = text.split(',').map(str::trim).collect();
        if parts.len() > 1 {
            let paths = parts.into_iter().map(|part| Self::brackets(part).map(Path)).collect::<Result<_, _>>()?;
            return Ok(vec![Self::Union(paths)]);
        }
        if let Some(names) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
            return dotted(names);
        }
        if let Ok(index) = text.parse() {
            return Ok(vec![Self::Index(index)]);
        }
        let slice =
            text == "*" || (text.contains(':') && text.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '-')));
        if slice { Ok(vec![query(&format!("$[{text}]"))?]) } else { Err(Error(format!("invalid array index {text}"))) }
    }

    /// The elements of a list for which an expression holds: a path, or a comparison.
    pub fn filter(expression: &str) -> Result<Self, Error> {
        let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
        let Some(start) = expression.find(is_operator) else {
            return query(&format!("$[?{}]", operand(expression)?));
        };
        let length = expression[start..].find(|c| !is_operator(c)).unwrap_or(0);
        let (left, rest) = expression.split_at(start);
        let (operator, right) = rest.split_at(length);
        if !["==", "!=", "<", "<=", ">", ">="].contains(&operator) {
            return Err(Error(format!("unrecognized filter operator {operator}")));
        }
        query(&format!("$[?{} {operator} {}]", operand(left)?, operand(right)?))
    }
}

fn query(text: &str) -> Result<Step, Error> {
    parse_json_path(text).map(Step::Query).map_err(|_| Error(format!("cannot evaluate {text}")))
}

fn selector(name: &str) -> String {
    if name == "*" { name.to_owned() } else { format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'")) }
}

/// A side of a comparison: a path of the element, or a literal.
fn operand(text: &str) -> Result<String, Error> {
    let text = text.trim();
    let Some(path) = text.strip_prefix(['@', '$']).or_else(|| text.starts_with('.').then_some(text)) else {
        return Ok(text.to_owned());
    };
    let mut translated = "@".to_owned();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let (name, length) = member(after);
            translated = format!("{translated}[{}]", selector(&name));
            rest = &after[length..];
        } else {
            let inside = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let (index, after) = inside.ok_or_else(|| Error(format!("cannot evaluate {text}")))?;
            translated = format!("{translated}[{index}]");
            rest = after;
        }
    }
    Ok(translated)
}

/// The steps of names that are separated by dots.
fn dotted(names: &str) -> Result<Vec<Step>, Error> {
    let mut steps = vec![];
    let mut rest = names;
    while !rest.is_empty() {
        let (name, length) = member(rest);
        steps.extend(Step::member(&name)?);
        rest = &rest[length..];
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if length == 0 && !rest.is_empty() {
            return Err(Error(format!("invalid array index '{names}'")));
        }
    }
    Ok(steps)
}

/// The name at the start of a text without its escapes, and its length.
pub fn member(text: &str) -> (String, usize) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
            '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}' => return (name, at),
            c if c.is_whitespace() => return (name, at),
            c => name.push(c),
        }
    }
    (name, text.len())
}
