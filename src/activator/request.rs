//! Classifies requests: by the kind of client, and by how long it is ready to wait.
//!
//! Pure. The only header that is trusted is the one with the pool, which the gateway sets.

use std::time::Duration;

use computing_unit_api::names::headers;
use http::{HeaderMap, Method, Uri, header};

/// The kind of a request, which determines the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// A probe of the operator, which determines whether a proxy has a unit's route.
    Probe,
    /// The waiting page, which polls the progress of a start.
    Page,
    /// A browser that opens the URL.
    Browser,
    /// A WebSocket handshake. Its client retries.
    WebSocket,
    /// Any other client. Its requests may be held.
    Client,
}

impl RequestKind {
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let contains = |name: header::HeaderName, token: &str| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split([',', ';'])).any(|part| part.trim().eq_ignore_ascii_case(token))
        };
        if headers.contains_key(headers::PROBE) {
            Self::Probe
        } else if contains(header::UPGRADE, "websocket") {
            Self::WebSocket
        } else if headers.contains_key(headers::PAGE) {
            Self::Page
        } else if method == Method::GET && contains(header::ACCEPT, "text/html") {
            Self::Browser
        } else {
            Self::Client
        }
    }
}

/// How long the client is ready to wait: `Prefer: wait` (RFC 7240).
pub fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut parts = values.flat_map(|value| value.split([',', ';'])).map(str::trim);
    let seconds = parts.find_map(|part| part.strip_prefix("wait="))?.parse::<u32>().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

/// Path and query of a request, as the target of a redirect or link to the same URL on any host.
pub fn same_url(uri: &Uri) -> String {
    let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    // Browsers take `//name` and `/\name` for another host.
    let other_host = matches!(target.as_bytes().get(1), Some(b'/' | b'\\'));
    if other_host { format!("/.{target}") } else { target.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_follows_from_method_and_headers() {
        for (method, headers, expected) in [
            (Method::GET, &[("accept", "text/html,application/xhtml+xml;q=0.9")][..], RequestKind::Browser),
            (Method::GET, &[("accept", "*/*")], RequestKind::Client),
            (Method::POST, &[("accept", "text/html")], RequestKind::Client),
            (Method::GET, &[("upgrade", "WebSocket"), ("accept", "text/html")], RequestKind::WebSocket),
            (Method::GET, &[("accept", "text/html"), (headers::PAGE, "1")], RequestKind::Page),
            (Method::HEAD, &[(headers::PROBE, "1"), ("upgrade", "websocket")], RequestKind::Probe),
        ] {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>();
            assert_eq!(RequestKind::of(&method, &map), expected, "{method} {headers:?}");
        }
    }

    #[test]
    fn redirect_stays_on_its_host() {
        for (uri, expected) in [
            ("/wsapi?cuid=42", "/wsapi?cuid=42"),
            ("//evil.example.org/x", "/.//evil.example.org/x"),
            ("/\\evil.example.org", "/./\\evil.example.org"),
        ] {
            assert_eq!(same_url(&Uri::builder().path_and_query(uri).build().unwrap()), expected);
        }
    }

    #[test]
    fn preferred_wait_is_read_from_the_prefer_header() {
        let wait =
            |value: &str| preferred_wait(&HeaderMap::from_iter([("prefer".parse().unwrap(), value.parse().unwrap())]));
        assert_eq!(wait("respond-async, wait=5"), Some(Duration::from_secs(5)));
        assert_eq!(wait("wait=0"), Some(Duration::ZERO));
        assert_eq!((wait("wait=soon"), wait("return=minimal")), (None, None));
        assert_eq!(preferred_wait(&HeaderMap::new()), None);
    }
}
