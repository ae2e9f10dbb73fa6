//! What a request asks for: the key of a unit, and how its sender wants to be answered.
//!
//! Pure. Nothing in a request is believed but the header with the pool, which the gateway sets.

use std::time::Duration;

use computing_unit_api::{Routing, RoutingType, names::headers};
use http::{HeaderMap, Method, Uri, header};

/// Who asks, as far as the answer depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The operator's own probe, which wants to know whether a unit's route is there.
    Probe,
    /// The waiting page, which wants to know how far a start has come.
    Page,
    /// A browser that opens the address.
    Browser,
    /// A WebSocket's handshake, whose sender tries again by itself.
    WebSocket,
    /// Any other client. It may be held.
    Client,
}

impl Asker {
    /// Who sends these headers by this method.
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let says = |name: header::HeaderName, word: &str| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split([',', ';'])).any(|part| part.trim().eq_ignore_ascii_case(word))
        };
        if headers.contains_key(headers::PROBE) {
            Self::Probe
        } else if says(header::UPGRADE, "websocket") {
            Self::WebSocket
        } else if headers.contains_key(headers::PAGE) {
            Self::Page
        } else if method == Method::GET && says(header::ACCEPT, "text/html") {
            Self::Browser
        } else {
            Self::Client
        }
    }
}

/// The key that a request carries, as a proxy would match it.
#[must_use]
pub fn key<'a>(routing: &Routing, uri: &'a Uri, host: Option<&'a str>) -> Option<String> {
    let key = match routing.r#type {
        RoutingType::Query => parameter(uri.query()?, &routing.query.as_ref()?.parameter)?.to_owned(),
        RoutingType::Path => {
            let prefix = routing.path.as_ref()?.prefix.trim_end_matches('/');
            let rest = uri.path().strip_prefix(prefix)?.strip_prefix('/')?;
            rest.split('/').next()?.to_owned()
        }
        RoutingType::Host => {
            let host = without_port(host?).to_ascii_lowercase();
            host.strip_suffix(routing.host.as_ref()?.domain.as_str())?.strip_suffix('.')?.to_owned()
        }
    };
    (!key.is_empty()).then_some(key)
}

/// The first value of a parameter, undecoded, as proxies take it.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Whether a Host header names `wanted`.
#[must_use]
pub fn is_host(host: &str, wanted: &str) -> bool {
    without_port(host).eq_ignore_ascii_case(wanted)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// How long the sender is ready to wait (RFC 7240), if it says so.
#[must_use]
pub fn patience(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut parts = values.flat_map(|value| value.split([',', ';'])).map(str::trim);
    let seconds = parts.find_map(|part| part.strip_prefix("wait="))?.parse::<u32>().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

/// Where a request went, for a redirect to the same place: its path and query, on whatever host it was.
#[must_use]
pub fn same_place(uri: &Uri) -> String {
    let place = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    // A browser takes `//name` and `/\name` for another host.
    let elsewhere = matches!(place.as_bytes().get(1), Some(b'/' | b'\\'));
    if elsewhere { format!("/.{place}") } else { place.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{host_routing, path_routing, query_routing};

    fn keyed(routing: &Routing, uri: &str, host: &str) -> Option<String> {
        key(routing, &uri.parse().unwrap(), Some(host))
    }

    #[test]
    fn a_key_is_where_the_mode_has_it() {
        for (routing, uri, host, expected) in [
            (query_routing(), "/wsapi?cuid=42", "x", Some("42")),
            (query_routing(), "/wsapi?a=1&cuid=42&cuid=43", "x", Some("42")),
            (query_routing(), "/wsapi?cuid=&cuid=42", "x", None),
            (query_routing(), "/wsapi?cuid=%34%32", "x", Some("%34%32")),
            (query_routing(), "/wsapi?CUID=42", "x", None),
            (query_routing(), "/wsapi?cuid", "x", None),
            (query_routing(), "/wsapi", "x", None),
            (path_routing(), "/units/ada", "x", Some("ada")),
            (path_routing(), "/units/ada/more?x=1", "x", Some("ada")),
            (path_routing(), "/units/", "x", None),
            (path_routing(), "/units", "x", None),
            (path_routing(), "/unitsada/x", "x", None),
            (host_routing(), "/", "ada.units.example.org", Some("ada")),
            (host_routing(), "/", "Ada.Units.example.org:8443", Some("ada")),
            (host_routing(), "/", "units.example.org", None),
            (host_routing(), "/", "a.b.units.example.org", Some("a.b")),
            (host_routing(), "/", "elsewhere", None),
        ] {
            assert_eq!(keyed(&routing, uri, host).as_deref(), expected, "{uri} {host}");
        }
        let mut root = path_routing();
        root.path.as_mut().unwrap().prefix = "/".into();
        assert_eq!(keyed(&root, "/ada/x", "x").as_deref(), Some("ada"));
    }

    #[test]
    fn whoever_asks_is_known_by_method_and_headers() {
        for (method, headers, expected) in [
            (Method::GET, &[("accept", "text/html,application/xhtml+xml;q=0.9")][..], Asker::Browser),
            (Method::GET, &[("accept", "*/*")], Asker::Client),
            (Method::POST, &[("accept", "text/html")], Asker::Client),
            (Method::GET, &[("upgrade", "WebSocket"), ("accept", "text/html")], Asker::WebSocket),
            (Method::GET, &[("accept", "text/html"), (headers::PAGE, "1")], Asker::Page),
            (Method::HEAD, &[(headers::PROBE, "1"), ("upgrade", "websocket")], Asker::Probe),
        ] {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>();
            assert_eq!(Asker::of(&method, &map), expected, "{method} {headers:?}");
        }
    }

    #[test]
    fn a_redirect_stays_on_its_host() {
        for (uri, expected) in [
            ("/wsapi?cuid=42", "/wsapi?cuid=42"),
            ("//evil.example.org/x", "/.//evil.example.org/x"),
            ("/\\evil.example.org", "/./\\evil.example.org"),
        ] {
            assert_eq!(same_place(&Uri::builder().path_and_query(uri).build().unwrap()), expected);
        }
    }

    #[test]
    fn a_sender_may_be_less_patient_than_the_pool() {
        let said = |value: &str| patience(&HeaderMap::from_iter([("prefer".parse().unwrap(), value.parse().unwrap())]));
        assert_eq!(said("respond-async, wait=5"), Some(Duration::from_secs(5)));
        assert_eq!(said("wait=0"), Some(Duration::ZERO));
        assert_eq!((said("wait=soon"), said("return=minimal")), (None, None));
        assert_eq!(patience(&HeaderMap::new()), None);
    }
}
