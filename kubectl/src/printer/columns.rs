//! `-o custom-columns`: a table whose columns are paths.

use std::str::FromStr;

use serde_json::Value;

use super::table;
use crate::jsonpath::{Error, Template};

/// Content of a cell without a value.
const NONE: &str = "<none>";

/// Columns with their headers.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomColumns(Vec<(String, Template)>);

impl FromStr for CustomColumns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let column = |part: &str| {
            let (header, path) = part
                .split_once(':')
                .ok_or_else(|| format!("unexpected column {part:?}: use custom-columns=HEADER:PATH,..."))?;
            Ok((header.to_owned(), Template::relaxed(path).map_err(|error| error.to_string())?))
        };
        text.split(',').map(column).collect::<Result<_, _>>().map(Self)
    }
}

impl CustomColumns {
    /// The lines of the table.
    ///
    /// # Errors
    /// If an index is out of bounds.
    pub fn lines(&self, objects: &[Value], header: bool) -> Result<Vec<String>, Error> {
        let headers = header.then(|| self.0.iter().map(|(header, _)| header.clone()).collect());
        let mut rows: Vec<Vec<String>> = headers.into_iter().collect();
        for object in objects {
            rows.push(self.0.iter().map(|(_, path)| cell(path, object)).collect::<Result<_, _>>()?);
        }
        Ok(table::lines(&rows))
    }
}

fn cell(path: &Template, object: &Value) -> Result<String, Error> {
    let values = path.values(object)?;
    if values.is_empty() { Ok(NONE.to_owned()) } else { Ok(values.into_iter().map(text).collect::<Vec<_>>().join(",")) }
}

/// A value as kubectl prints it in a column, which is the format of Go.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let fields: Vec<_> = fields.iter().map(|(key, value)| format!("{key}:{}", text(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The expected lines are those of kubectl 1.36 for the same objects.
    #[test]
    fn cells_are_those_of_kubectl() {
        let columns: CustomColumns =
            "NAME:.metadata.name,N:.spec.cuid,LIMITS:.spec.limits,TYPES:.types[*]".parse().unwrap();
        let objects = [
            json!({"metadata": {"name": "ada"}, "spec": {"cuid": 7, "limits": {"memory": "1Gi", "cpu": "2"}}, "types": ["a", "b"]}),
            json!({"metadata": {"name": "bob"}, "spec": {}, "types": []}),
        ];
        assert_eq!(
            columns.lines(&objects, true).unwrap(),
            [
                "NAME   N        LIMITS                  TYPES",
                "ada    7        map[cpu:2 memory:1Gi]   a,b",
                "bob    <none>   <none>                  <none>",
            ]
        );
        assert_eq!(columns.lines(&objects[1..], false).unwrap(), ["bob   <none>   <none>   <none>"]);
    }
}
