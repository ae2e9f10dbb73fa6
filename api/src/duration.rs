//! A duration in the format of Gateway API (GEP-2257): `10m`, `1h30m`, `500ms`.
//!
//! `gateway_api::Duration` has the same format, but no schema, and clients without the feature `gateway` do not depend on
//! that crate.

use std::{borrow::Cow, fmt, str::FromStr, time};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// 99999h59m59s999ms.
const MAX_MILLIS: u64 = 100_000 * 3_600_000 - 1;
const RULE: &str = "self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')";
/// A pattern in the schema would be the whole message of the API server.
const MESSAGE: &str = "must be a duration such as 30s, 10m or 1h30m, in h, m, s and ms";

/// A duration in `h`, `m`, `s` and `ms`, each a whole number of at most five digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub time::Duration);

/// A string that is not a valid [`Duration`].
#[derive(Debug, thiserror::Error)]
#[error("invalid duration {0:?}: use a format such as 10m, 1h30m or 500ms")]
pub struct InvalidDuration(String);

impl Duration {
    /// A duration of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(time::Duration::from_secs(seconds))
    }
}

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidDuration(text.to_owned());
        let mut rest = text;
        let mut total = time::Duration::ZERO;
        let mut parts = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
            let (number, tail) = rest.split_at(digits);
            let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit);
            if number.len() > 5 {
                return Err(invalid());
            }
            let number: u64 = number.parse().map_err(|_| invalid())?;
            total += match unit {
                "h" => time::Duration::from_secs(number * 3600),
                "m" => time::Duration::from_secs(number * 60),
                "s" => time::Duration::from_secs(number),
                "ms" => time::Duration::from_millis(number),
                _ => return Err(invalid()),
            };
            parts += 1;
            rest = tail;
        }
        if parts == 0 || parts > 4 {
            return Err(invalid());
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Gateway API allows five digits. Larger values can come of several parts, such as 99999h99m.
        let value = self.0.min(time::Duration::from_millis(MAX_MILLIS));
        let millis = value.subsec_millis();
        let seconds = value.as_secs();
        let parts = [(seconds / 3600, "h"), (seconds % 3600 / 60, "m"), (seconds % 60, "s"), (millis.into(), "ms")];
        if parts.iter().all(|(n, _)| *n == 0) {
            return f.write_str("0s");
        }
        parts.iter().filter(|(n, _)| *n > 0).try_for_each(|(n, unit)| write!(f, "{n}{unit}"))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            // Four parts, each of five digits and at most two letters.
            "maxLength": 28,
            "x-kubernetes-validations": [{ "rule": RULE, "message": MESSAGE }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_gateway_api_are_parsed_and_formatted() {
        for (text, millis) in [("10m", 600_000), ("1h30m", 5_400_000), ("500ms", 500), ("0s", 0), ("1m2s3ms", 62_003)] {
            let parsed: Duration = text.parse().unwrap();
            assert_eq!(parsed.0.as_millis(), millis, "{text}");
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn large_durations_are_formatted_within_the_five_digits_of_gateway_api() {
        for (text, formatted) in
            [("99999h99m", "99999h59m59s999ms"), ("99999m", "1666h39m"), ("99999h59m", "99999h59m")]
        {
            let parsed: Duration = text.parse().unwrap();
            assert_eq!(parsed.to_string(), formatted);
        }
    }

    #[test]
    fn durations_that_gateway_api_rejects_are_rejected() {
        for text in ["", "10", "m", "-1s", "1.5h", "1d", "123456s", "1s1s1s1s1s", "1é"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }
}
