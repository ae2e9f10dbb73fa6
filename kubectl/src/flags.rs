//! The words of the API server about fields, said about the options that set them. Pure.

use kube::core::response::StatusCause;

/// Fields and their options; a field comes before those that it starts with.
const FLAGS: &[(&str, &str)] = &[
    ("spec.resources.limits.memory", "--memory"),
    ("spec.resources.limits.cpu", "--cpu"),
    ("spec.sharedMemory", "--shared-memory"),
    ("spec.poolName", "--pool"),
    ("spec.image", "--image"),
    ("spec.owner", "--owner"),
    ("spec.cuid", "--cuid"),
    ("spec.env", "--env"),
    ("metadata.name", "NAME"),
];

/// One cause of a refusal as one sentence: the option, and what it must be.
pub fn cause(cause: &StatusCause) -> String {
    let field = cause.field.as_str();
    let said = without_value(&cause.message);
    match said.strip_prefix(field).and_then(|rest| rest.strip_prefix(" in body ")) {
        Some(rule) => format!("{}: {}", option(field), rule_in_words(rule)),
        // A rule of ours is about the whole spec, or the whole object, and names fields itself.
        None if field == "spec" || field == "<nil>" || field.is_empty() => in_place_of_fields(said),
        None => format!("{}: {}", option(field), in_place_of_fields(said)),
    }
}

/// Puts options where the text names fields that they set.
pub fn in_place_of_fields(text: &str) -> String {
    FLAGS.iter().fold(text.to_owned(), |text, (field, flag)| replace_path(&text, field, flag))
}

/// Replaces a field's path, but not where it only begins a longer word, such as `spec.envFrom`.
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
    let replaced = in_place_of_fields(field);
    match field.strip_prefix("spec.resources.limits.") {
        Some(key) if replaced == field => format!("--gpu ({key})"),
        _ => replaced,
    }
}

/// The text after `Invalid value: 0: `; the value was typed by the reader. Rules of ours come with or without one.
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

fn rule_in_words(rule: &str) -> String {
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

    fn says(field: &str, message: &str) -> String {
        cause(&StatusCause { reason: "FieldValueInvalid".into(), message: message.into(), field: field.into() })
    }

    #[test]
    fn rules_of_a_schema_are_said_of_the_option() {
        for (field, message, sentence) in [
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
            assert_eq!(says(field, message), sentence);
        }
    }

    #[test]
    fn rules_of_ours_name_the_options_themselves() {
        assert_eq!(
            says(
                "spec",
                "Invalid value: spec.sharedMemory is taken from the unit's memory: make it at most \
                 spec.resources.limits.memory"
            ),
            "--shared-memory is taken from the unit's memory: make it at most --memory"
        );
        assert_eq!(
            says("spec", "Invalid value: \"object\": spec.env: names starting with COMPUTING_UNIT_ are set"),
            "--env: names starting with COMPUTING_UNIT_ are set"
        );
        let name = "Invalid value: the name becomes the name of a Service: use at most 63 lower-case letters";
        assert_eq!(says("<nil>", name), &name["Invalid value: ".len()..]);
    }

    #[test]
    fn only_whole_paths_are_replaced() {
        assert_eq!(in_place_of_fields("spec.envFrom, spec.env."), "spec.envFrom, --env.");
    }
}
