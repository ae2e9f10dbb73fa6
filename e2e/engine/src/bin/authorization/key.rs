//! Which unit a request is for, read off its query. Pure.
//!
//! A proxy takes the first parameter that is literally called `cuid`, and its value as it is written. Whoever reads a query
//! otherwise authorizes one unit and has the request routed to another.

use std::borrow::Cow;

use clap::ValueEnum;

/// How a query is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Parser {
    /// Exactly one parameter that could be meant, written as a proxy reads it. Anything else is refused.
    Strict,
    /// The first parameter whose decoded name is `cuid`, decoded and read as a number, as Texera's service does. It is here to
    /// show what comes of it.
    FirstDecoded,
}

/// The key that a query carries; none where it carries none, or not clearly one.
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
