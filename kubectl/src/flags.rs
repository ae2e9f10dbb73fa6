//! Messages of the API server, with options in place of the fields that they set.

use kube::core::response::StatusCause;

/// Fields and their options. A field precedes those that are a prefix of it.
const FLAGS: &[(&str, &str)] = &[
    ("spec.resources.limits.memory", "--memory"),
    ("spec.resources.limits.cpu", "--cpu"),
    ("spec.resources.requests", "--requests"),
    ("spec.lifecycle.ttlSecondsAfterFinished", "--ttl-seconds-after-finished"),
    ("spec.lifecycle.shutdownTime", "--shutdown-time"),
    ("spec.lifecycle.idleTimeout", "--idle-timeout"),
    ("spec.lifecycle.idleAction", "--idle-action"),
    ("spec.sharedMemory", "--shared-memory"),
    ("spec.poolName", "--pool"),
    ("spec.image", "--image"),
    ("spec.owner", "--owner"),
    ("spec.cuid", "--cuid"),
    ("spec.envFrom", "--env-from"),
    ("spec.env", "--env"),
    ("metadata.annotations", "--annotations"),
    ("metadata.labels", "--labels"),
    ("metadata.name", "NAME"),
];

/// The message for a cause of a rejection.
pub fn cause(cause: &StatusCause) -> String {
    let field = cause.field.as_str();
    let message = without_value(&cause.message);
    match message.strip_prefix(field).and_then(|rest| rest.strip_prefix(" in body ")) {
        Some(rule) => format!("{}: {}", option(field), simplified(rule)),
        // Rules of the CRDs are on the spec or the whole object, and name the fields.
        None if field == "spec" || field == "<nil>" || field.is_empty() => with_options(message),
        None => format!("{}: {}", option(field), with_options(message)),
    }
}

/// Replaces fields by the options that set them.
pub fn with_options(text: &str) -> String {
    FLAGS.iter().fold(text.to_owned(), |text, (field, flag)| replace_path(&text, field, flag))
}

/// Replaces the path of a field, except if it is a prefix of another, such as `spec.envFrom`.
fn replace_path(text: &str, field: &str, flag: &str) -> String {
    let mut parts = text.split(field);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let longer = part.starts_with(|c: char| c.is_ascii_alphanumeric());
        whole.push_str(if longer { field } else { flag });
        whole.push_str(part);
    }
    whole
}

fn option(field: &str) -> String {
    let replaced = with_options(field);
    match field.strip_prefix("spec.resources.limits.") {
        Some(key) if replaced == field => format!("--gpu ({key})"),
        _ => replaced,
    }
}

/// The message without the prefix `Invalid value: 0: `. Messages of CEL rules may have no value.
fn without_value(message: &str) -> &str {
    let Some(rest) = message.strip_prefix("Invalid value: ") else { return message };
    let quoted = || {
        let inside = rest.strip_prefix('"')?;
        let end = inside.char_indices().find(|(at, c)| *c == '"' && !inside[..*at].ends_with('\\'))?.0;
        inside[end + 1..].strip_prefix(": ")
    };
    let number = || {
        let (value, rest) = rest.split_once(": ")?;
        (value == "null" || value.parse::<f64>().is_ok()).then_some(rest)
    };
    quoted().or_else(number).unwrap_or(rest)
}

fn simplified(rule: &str) -> String {
    let rule = rule.replacen("should ", "must ", 1).replacen("greater than or equal to", "at least", 1).replacen(
        "less than or equal to",
        "at most",
        1,
    );
    match rule.as_str() {
        "must be at least 1 chars long" => "must not be empty".to_owned(),
        _ => rule.replacen("chars long", "characters long", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(field: &str, message: &str) -> String {
        cause(&StatusCause { reason: "FieldValueInvalid".into(), message: message.into(), field: field.into() })
    }

    #[test]
    fn schema_errors_name_the_option() {
        for (field, message, expected) in [
            (
                "spec.cuid",
                "Invalid value: 0: spec.cuid in body should be greater than or equal to 1",
                "--cuid: must be at least 1",
            ),
            (
                "spec.owner",
                "Invalid value: \"\": spec.owner in body should be at least 1 chars long",
                "--owner: must not be empty",
            ),
            (
                "spec.resources.limits.nvidia.com/gpu",
                "Invalid value: \"q\": spec.resources.limits.nvidia.com/gpu in body should match 'x'",
                "--gpu (nvidia.com/gpu): must match 'x'",
            ),
            (
                "metadata.name",
                "Invalid value: \"A_\": a lowercase RFC 1123 subdomain must consist of lower case",
                "NAME: a lowercase RFC 1123 subdomain must consist of lower case",
            ),
            ("spec.env[2]", "Duplicate value: {\"name\":\"A\"}", "--env[2]: Duplicate value: {\"name\":\"A\"}"),
        ] {
            assert_eq!(converted(field, message), expected);
        }
    }

    #[test]
    fn cel_messages_name_the_options() {
        assert_eq!(
            converted("spec", "Invalid value: spec.sharedMemory must not exceed spec.resources.limits.memory"),
            "--shared-memory must not exceed --memory"
        );
        assert_eq!(
            converted("spec", "Invalid value: \"object\": spec.env must not have names that start with A"),
            "--env must not have names that start with A"
        );
        let name = "Invalid value: metadata.name must have at most 63 characters";
        assert_eq!(converted("<nil>", name), "NAME must have at most 63 characters");
    }

    #[test]
    fn prefix_of_another_field_is_not_replaced() {
        assert_eq!(with_options("spec.envFrom, spec.environment, spec.env."), "--env-from, spec.environment, --env.");
    }
}
