//! A resource quantity in the format of Kubernetes: `2`, `500m`, `4Gi`.
//!
//! The type of `k8s-openapi` is a string without a value to compare, and its schema accepts any string.

use std::{borrow::Cow, fmt};

use k8s_openapi::apimachinery::pkg::api::resource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// As in Kubernetes, without negative amounts, and with exponents that are whole numbers. The API server answers with the
/// pattern, so it spells the suffixes out. (A rule with a message would exceed the cost that Kubernetes 1.33 allows, because its
/// estimate ignores `maxLength` of quantities.)
pub(crate) const PATTERN: &str =
    "^[+]?([0-9]+[.]?[0-9]*|[.][0-9]+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|n|u|[eE][-+]?[0-9]{1,2})?$";

/// A quantity as it was written. [`Quantity::value`] is its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

impl Quantity {
    /// The value in base units (cores, bytes, devices), or `None` if the string is not a quantity.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        let text = self.0.trim_start_matches('+');
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let number: f64 = number.parse().ok()?;
        let factor = match suffix {
            "" => 1.0,
            "n" => 1e-9,
            "u" => 1e-6,
            "m" => 1e-3,
            "k" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "T" => 1e12,
            "P" => 1e15,
            "E" => 1e18,
            "Ki" => 1024.0,
            "Mi" => 1024f64.powi(2),
            "Gi" => 1024f64.powi(3),
            "Ti" => 1024f64.powi(4),
            "Pi" => 1024f64.powi(5),
            "Ei" => 1024f64.powi(6),
            exponent => 10f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
        };
        Some(number * factor)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&Quantity> for resource::Quantity {
    fn from(quantity: &Quantity) -> Self {
        Self(quantity.0.clone())
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Number(serde_json::Number),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::Number(number) => number.to_string(),
        }))
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
            "pattern": PATTERN,
            "minimum": 0,
            "x-kubernetes-int-or-string": true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_of_kubernetes_are_parsed() {
        for (text, value) in [("2", 2.0), ("500m", 0.5), ("4Gi", 4_294_967_296.0), ("1e3", 1000.0), (".5", 0.5)] {
            assert_eq!(Quantity(text.into()).value(), Some(value), "{text}");
        }
        for text in ["", "Gi", "4gb", "1e", "two"] {
            assert_eq!(Quantity(text.into()).value(), None, "{text}");
        }
    }

    #[test]
    fn number_is_accepted() {
        let quantity: Quantity = serde_json::from_str("2").unwrap();
        assert_eq!(quantity, Quantity("2".into()));
    }
}
