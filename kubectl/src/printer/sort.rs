//! `--sort-by`.

use std::cmp::Ordering;

use computing_unit_api::Quantity;
use serde_json::Value;

use crate::jsonpath::{Error, Template};

/// The positions of objects in the order of the values at a path. Objects without a value are first, like in kubectl.
///
/// # Errors
/// If no object has the path.
pub fn order(objects: &[Value], path: &Template, text: &str) -> Result<Vec<usize>, Error> {
    let keys: Vec<Option<Value>> = objects
        .iter()
        .map(|object| Ok(path.values(object)?.first().map(|value| (*value).clone())))
        .collect::<Result<_, Error>>()?;
    if !keys.is_empty() && keys.iter().all(Option::is_none) {
        return Err(Error(format!("couldn't find any field with path {text:?} in the list of objects")));
    }
    let mut positions: Vec<usize> = (0..objects.len()).collect();
    positions.sort_by(|a, b| match (&keys[*a], &keys[*b]) {
        (Some(a), Some(b)) => compare(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    });
    Ok(positions)
}

/// Numbers by value, strings as amounts if both are, otherwise by text.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        (Value::String(a), Value::String(b)) => {
            let amount = |text: &String| Quantity(text.clone()).value();
            match amount(a).zip(amount(b)) {
                Some((a, b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
                None => a.cmp(b),
            }
        }
        (a, b) => a.to_string().cmp(&b.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sorted(path: &str, values: &[Value]) -> Result<Vec<usize>, Error> {
        let objects: Vec<_> =
            values.iter().map(|value| if value.is_null() { json!({}) } else { json!({"a": value}) }).collect();
        order(&objects, &Template::relaxed(path).unwrap(), path)
    }

    #[test]
    fn values_are_compared_by_their_type() {
        assert_eq!(sorted(".a", &[json!(10), json!(9), Value::Null]).unwrap(), [2, 1, 0]);
        assert_eq!(sorted(".a", &[json!("10Gi"), json!("900Mi")]).unwrap(), [1, 0]);
        assert_eq!(sorted(".a", &[json!("bob"), json!("ada"), json!("ada")]).unwrap(), [1, 2, 0], "stable");
        assert!(sorted(".b", &[json!(1)]).is_err());
        assert_eq!(sorted(".b", &[]), Ok(vec![]));
    }
}
