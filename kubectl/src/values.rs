//! Parsers for the values of options.

use std::time::Duration;

use clap::{Arg, ArgAction};
use computing_unit_api::Quantity;
use k8s_openapi::jiff::SignedDuration;

/// Parses a quantity.
///
/// # Errors
/// If it is invalid.
pub fn quantity(text: &str) -> Result<Quantity, String> {
    let quantity = Quantity(text.to_owned());
    match quantity.value() {
        Some(value) if value < 0.0 => Err("must not be negative".to_owned()),
        Some(_) => Ok(quantity),
        None => Err("invalid quantity: use a format such as 2, 500m or 4Gi".to_owned()),
    }
}

/// Parses the name and the amount of a resource.
///
/// # Errors
/// If it is not of the form `NAME=QUANTITY`.
pub fn amount(text: &str) -> Result<(String, Quantity), String> {
    let (name, amount) = pair(text)?;
    Ok((name, quantity(&amount)?))
}

/// Parses a duration.
///
/// # Errors
/// If it is invalid.
pub fn duration(text: &str) -> Result<Duration, String> {
    signed(text)?.try_into().map_err(|_| "must not be negative".to_owned())
}

/// Parses a duration that is greater than 0.
///
/// # Errors
/// If it is invalid.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be greater than 0".to_owned()),
        duration => Ok(duration),
    }
}

/// Parses a duration that can be negative.
///
/// # Errors
/// If it is invalid.
pub fn signed(text: &str) -> Result<SignedDuration, String> {
    let invalid = || "invalid duration: use a format such as 90s, 5m or 1h30m, or a number of seconds".to_owned();
    if let Ok(seconds) = text.parse() {
        return Ok(SignedDuration::from_secs(seconds));
    }
    text.parse().map_err(|_| invalid())
}

/// Parses `true` or `false`.
///
/// # Errors
/// If it is another value.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ if signed(text).is_ok() => Err(format!("use --timeout={text} for a limit")),
        _ => Err("must be true or false".to_owned()),
    }
}

/// An option that is true without a value, and takes one after an equals sign, as the boolean options of kubectl do.
/// For `#[command(mut_arg("name", switch))]`.
pub fn switch(option: Arg) -> Arg {
    option
        .value_name("true|false")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .action(ArgAction::Set)
        .value_parser(boolean)
}

/// Parses a value that must not be empty, for example that of an unset variable.
///
/// # Errors
/// If it is empty.
pub fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// Parses `KEY=VALUE`.
///
/// # Errors
/// If it has another form.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must have the form KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_formats_of_kubectl() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("1h30m", 5400), ("1.5h", 5400), ("0", 0), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "soon", "-5s", "1fortnight"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(signed("-1s"), Ok(SignedDuration::from_secs(-1)));
        assert!(positive_duration("0").is_err());
    }

    #[test]
    fn duration_in_the_place_of_a_boolean_names_the_other_option() {
        assert_eq!((boolean("true"), boolean("false")), (Ok(true), Ok(false)));
        assert!(boolean("90s").unwrap_err().contains("--timeout=90s"));
        assert!(boolean("maybe").is_err());
    }
}
