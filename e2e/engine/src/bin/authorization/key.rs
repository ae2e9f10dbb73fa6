//! Extracts the routing key of a request from its query or its path. Pure.
//!
//! A proxy matches the first parameter whose literal name is `cuid`, or a segment of the path, and decodes neither. An
//! authorization service that parses them differently authorizes one unit while the request is routed to another.

use std::borrow::Cow;

use clap::ValueEnum;

/// How a request is parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Parser {
    /// Requires exactly one place that could have the key, in the form that a proxy matches. Rejects anything else.
    Strict,
    /// Takes the first parameter whose decoded name is `cuid`, or else the segment of the decoded path, and parses it as a
    /// number: `checkComputingUnitAccess` in Texera's AccessControlResource.scala.
    FirstDecoded,
}

/// The routing key of a request. `None` if there is no key, or if the key is ambiguous.
pub fn key(parser: Parser, path: &str, query: &str) -> Option<String> {
    let mut parameters = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    match parser {
        Parser::Strict => {
            let meant = parameters.filter(|(name, _)| decoded(name).eq_ignore_ascii_case("cuid"));
            let mut found = meant.chain(in_path(path).map(|key| ("cuid", key)));
            let (name, value) = found.next()?;
            let plain = name == "cuid" && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            (plain && found.next().is_none()).then(|| value.to_owned())
        }
        Parser::FirstDecoded => {
            let parameter = parameters.find(|(name, _)| decoded(name) == "cuid").map(|(_, value)| decoded(value));
            let path = decoded(path);
            let digits = |key: &&str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
            let key =
                parameter.filter(|key| !key.is_empty()).or_else(|| in_path(&path).filter(digits).map(Into::into))?;
            // `toInt` in Scala.
            key.parse::<i32>().ok().map(|number| number.to_string())
        }
    }
}

/// The segment of a path that has the key: `pvePvesCuidPath` and `pvePackagesCuidPath` in AccessControlResource.scala. Tests
/// may have another prefix.
fn in_path(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/pve/")?;
    if let Some(key) = rest.strip_prefix("pves/").filter(|key| !key.is_empty() && !key.contains('/')) {
        return Some(key);
    }
    let mut segments = rest.splitn(4, '/');
    let (key, environment) = (segments.next()?, segments.next()?);
    let packages = segments.next()? == "packages" && segments.next().is_some_and(|package| !package.is_empty());
    (!environment.is_empty() && packages).then_some(key)
}

/// The value of another parameter, decoded.
pub fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut parameters = query.split('&').filter_map(|pair| pair.split_once('='));
    parameters.find(|(own, _)| *own == name).map(|(_, value)| decoded(value))
}

pub fn decoded(text: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_might_read_otherwise_is_refused() {
        for (query, strict, first_decoded) in [
            ("cuid=42", Some("42"), Some("42")),
            ("wid=1&cuid=42&uid=2", Some("42"), Some("42")),
            ("cuid=42&cuid=43", None, Some("42")),
            ("cuid=%34%32", None, Some("42")),
            ("%63uid=42", None, Some("42")),
            ("%63uid=42&cuid=43", None, Some("42")),
            ("CUID=42", None, None),
            ("CUID=42&cuid=43", None, Some("43")),
            ("cuid=", None, None),
            ("cuid=&cuid=42", None, None),
            ("cuid", None, None),
            ("cuid=4 2", None, None),
            ("cuid=042", Some("042"), Some("42")),
            ("cuid=%2B42", None, Some("42")),
            ("", None, None),
        ] {
            assert_eq!(key(Parser::Strict, "/wsapi", query).as_deref(), strict, "{query}");
            assert_eq!(key(Parser::FirstDecoded, "/wsapi", query).as_deref(), first_decoded, "{query}");
        }
    }

    #[test]
    fn a_key_in_the_path_counts_if_there_is_none_in_the_query() {
        for (path, query, strict, first_decoded) in [
            ("/api/pve/pves/42", "", Some("42"), Some("42")),
            ("/api/pve/pves/42", "access-token=x", Some("42"), Some("42")),
            ("/api/pve/42/env/packages/a/b", "", Some("42"), Some("42")),
            ("/api/pve/pves/42", "cuid=43", None, Some("43")),
            ("/api/pve/pves/42", "cuid=42", None, Some("42")),
            ("/api/pve/pves/42", "cuid=", None, Some("42")),
            ("/api/pve/pves/%34%32", "", None, Some("42")),
            ("/api/pve/pves/042", "", Some("042"), Some("42")),
            ("/api/pve/pves/42/", "", None, None),
            ("/api/pve/pves/42/", "cuid=43", Some("43"), Some("43")),
            ("/api/pve/pves/+42", "", None, None),
            ("/api/pve/pves", "", None, None),
            ("/api/pve/pves/", "", None, None),
            ("/api/pve/42/env/packages/", "", None, None),
            ("/api/pve/42//packages/a", "", None, None),
            ("/api/pve/42/env%2Fpackages%2Fa", "", None, Some("42")),
            ("/api/pve/list", "", None, None),
            ("/api/execution/1/42/run", "cuid=42", Some("42"), Some("42")),
            ("/api/execution/1/42/run", "cuid=43", Some("43"), Some("43")),
            ("/api/execution/1/42/run", "", None, None),
        ] {
            assert_eq!(key(Parser::Strict, path, query).as_deref(), strict, "{path} {query}");
            assert_eq!(key(Parser::FirstDecoded, path, query).as_deref(), first_decoded, "{path} {query}");
        }
    }

    #[test]
    fn other_parameters_are_decoded() {
        assert_eq!(parameter("a=1&access-token=for%2D42", "access-token").unwrap(), "for-42");
        assert!(parameter("a", "a").is_none());
    }
}
