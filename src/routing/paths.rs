//! Compares paths of pools: which requests two of them have in common, and which one a proxy tries first.

use computing_unit_api::{PathMatch, PathMatchType, Routing};

use super::key_path::KeyPath;

/// Whether some request matches both paths, and a route with `path` takes precedence over a route with `other`,
/// whatever else the routes match. Gateway API orders matches by type and length of the path first.
pub fn takes_precedence(path: &PathMatch, other: &PathMatch) -> bool {
    let (path, other) = (&of_any_unit(path), &of_any_unit(other));
    let rank = |path: &PathMatch| {
        let kind = match path.r#type {
            PathMatchType::PathPrefix => 0,
            PathMatchType::RegularExpression => 1,
            PathMatchType::Exact => 2,
        };
        (kind, path.value.len())
    };
    rank(path) > rank(other) && intersect(&prefix(path), &prefix(other))
}

/// A path as it is without its placeholder.
fn of_any_unit(path: &PathMatch) -> PathMatch {
    KeyPath::of(path).map_or_else(|| path.clone(), |path| path.of_any())
}

/// Whether some request matches a path of both routings.
pub fn routings_intersect(a: &Routing, b: &Routing) -> bool {
    let others = prefixes(b);
    prefixes(a).iter().any(|a| others.iter().any(|b| intersect(a, b)))
}

/// The text that all paths of a match start with.
struct Prefix {
    text: String,
    /// Whether the text ends at a path segment's end.
    whole_segments: bool,
}

fn prefixes(routing: &Routing) -> Vec<Prefix> {
    let query = routing.query.iter().flat_map(|query| &query.paths).map(|path| prefix(&of_any_unit(path)));
    let path = routing
        .path
        .iter()
        .map(|path| Prefix { text: path.prefix.trim_end_matches('/').to_owned(), whole_segments: true });
    query.chain(path).collect()
}

fn prefix(path: &PathMatch) -> Prefix {
    match path.r#type {
        PathMatchType::RegularExpression => Prefix { text: literal_prefix(&path.value), whole_segments: false },
        _ => Prefix { text: path.value.trim_end_matches('/').to_owned(), whole_segments: true },
    }
}

fn intersect(a: &Prefix, b: &Prefix) -> bool {
    let (short, long) = if a.text.len() <= b.text.len() { (a, b) } else { (b, a) };
    match long.text.strip_prefix(&short.text) {
        Some(rest) => rest.is_empty() || !short.whole_segments || rest.starts_with('/') || short.text.is_empty(),
        None => false,
    }
}

/// The literal text at the start of a regular expression, which all of its matches start with.
fn literal_prefix(expression: &str) -> String {
    let expression = expression.strip_prefix('^').unwrap_or(expression);
    if expression.contains('|') {
        return String::new();
    }
    let special = |c: char| r"\.[](){}*+?$^".contains(c);
    let end = expression.find(special).unwrap_or(expression.len());
    let literal = &expression[..end];
    match expression[end..].chars().next() {
        // The last character is optional.
        Some('*' | '?' | '{') => {
            let mut chars = literal.chars();
            chars.next_back();
            chars.as_str().to_owned()
        }
        _ => literal.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expression_has_a_literal_prefix() {
        for (expression, prefix) in
            [(r"^/api/executions/\d+/stats", "/api/executions/"), ("/ab?c", "/a"), ("/a|/b", ""), (".*", "")]
        {
            assert_eq!(literal_prefix(expression), prefix, "{expression}");
        }
    }
}
