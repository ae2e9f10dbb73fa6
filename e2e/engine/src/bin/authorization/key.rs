//! Extracts the routing key of a request from its query. Pure.
//!
//! A proxy matches the first parameter whose literal name is `cuid`, and does not decode its value. An authorization
//! service that parses the query differently authorizes one unit while the request is routed to another.

use std::borrow::Cow;

use clap::ValueEnum;

/// How a query is parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Parser {
    /// Requires exactly one parameter that could be the key, in the form that a proxy matches. Rejects anything else.
    Strict,
    /// Takes the first parameter whose decoded name is `cuid`, and parses its decoded value as a number, as Texera's
    /// service does. Tests use it to demonstrate the consequences.
    FirstDecoded,
}

/// The routing key in a query. `None` if there is no key, or if the key is ambiguous.
pub fn key(parser: Parser, query: &str) -> Option<String> {
    let mut parameters = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    match parser {
        Parser::Strict => {
            let mut meant = parameters.filter(|(name, _)| decoded(name).eq_ignore_ascii_case("cuid"));
            let (name, value) = meant.next()?;
            let plain = name == "cuid" && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            (plain && meant.next().is_none()).then(|| value.to_owned())
        }
        Parser::FirstDecoded => {
            let (_, value) = parameters.find(|(name, _)| decoded(name) == "cuid")?;
            decoded(value).parse::<i64>().ok().map(|number| number.to_string())
        }
    }
}

/// The value of another parameter, decoded.
pub fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut parameters = query.split('&').filter_map(|pair| pair.split_once('='));
    parameters.find(|(own, _)| *own == name).map(|(_, value)| decoded(value))
}

fn decoded(text: &str) -> Cow<'_, str> {
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
            assert_eq!(key(Parser::Strict, query).as_deref(), strict, "{query}");
            assert_eq!(key(Parser::FirstDecoded, query).as_deref(), first_decoded, "{query}");
        }
    }

    #[test]
    fn other_parameters_are_decoded() {
        assert_eq!(parameter("a=1&access-token=for%2D42", "access-token").unwrap(), "for-42");
        assert!(parameter("a", "a").is_none());
    }
}
