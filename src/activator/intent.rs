//! What a request tells about its sender: whether somebody wants to use the unit now.
//!
//! Pure. Browsers describe their requests in the headers `Sec-Fetch-*` (Fetch Metadata), but only over HTTPS and to
//! localhost. A request without them is taken for one that somebody sent.

use http::{HeaderMap, Method};

use super::request::RequestKind;
use crate::metrics::NotStarted;

/// The intent of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Somebody opens the unit, or a program uses it.
    Use,
    /// A page or a client sends it on its own, maybe long after somebody used it: a WebSocket handshake, or a GET by a
    /// script or an element of a page.
    Background,
    /// It never starts a unit.
    Passive(NotStarted),
}

impl Intent {
    pub fn of(method: &Method, headers: &HeaderMap, kind: RequestKind) -> Self {
        let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (site, mode, destination) = (value("sec-fetch-site"), value("sec-fetch-mode"), value("sec-fetch-dest"));
        let navigates = mode == "navigate";
        if kind == RequestKind::Page {
            Self::Passive(NotStarted::Page)
        } else if method == Method::OPTIONS {
            Self::Passive(NotStarted::Options)
        } else if method == Method::HEAD {
            Self::Passive(NotStarted::Head)
        } else if ["sec-purpose", "purpose", "x-purpose", "x-moz"].into_iter().any(|name| in_advance(value(name))) {
            Self::Passive(NotStarted::Prefetch)
        } else if site == "cross-site" && !(navigates && destination == "document") {
            // A frame is a part of the other site's page, although it navigates.
            Self::Passive(NotStarted::CrossSite)
        } else if kind == RequestKind::WebSocket || (method == Method::GET && !mode.is_empty() && !navigates) {
            Self::Background
        } else {
            Self::Use
        }
    }
}

/// Whether a browser loads the page before anybody opens it. The value can have parameters, such as `prefetch;prerender`.
fn in_advance(purpose: &str) -> bool {
    let purpose = purpose.split(';').next().unwrap_or_default().trim();
    ["prefetch", "prerender", "preview"].iter().any(|known| purpose.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
    const DOCUMENT: (&str, &str) = ("sec-fetch-dest", "document");
    const HANDSHAKE: (&str, &str) = ("upgrade", "websocket");
    const CORS: (&str, &str) = ("sec-fetch-mode", "cors");

    fn site(value: &'static str) -> (&'static str, &'static str) {
        ("sec-fetch-site", value)
    }

    #[test]
    fn only_requests_that_somebody_sends_are_for_use() {
        let passive = Intent::Passive;
        for (method, headers, expected) in [
            // A program, and a browser without Fetch Metadata.
            ("GET", &[][..], Intent::Use),
            ("POST", &[("content-type", "application/json")], Intent::Use),
            ("GET", &[("accept", "text/html")], Intent::Use),
            // A person in a browser.
            ("GET", &[NAVIGATE, DOCUMENT, site("none")], Intent::Use),
            ("GET", &[NAVIGATE, DOCUMENT, site("same-origin")], Intent::Use),
            ("GET", &[NAVIGATE, DOCUMENT, site("cross-site")], Intent::Use),
            ("GET", &[NAVIGATE, ("sec-fetch-dest", "iframe"), site("same-site")], Intent::Use),
            ("POST", &[CORS, site("same-origin")], Intent::Use),
            // A page.
            ("GET", &[CORS, site("same-origin")], Intent::Background),
            (
                "GET",
                &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image"), site("same-site")],
                Intent::Background,
            ),
            ("GET", &[HANDSHAKE], Intent::Background),
            ("GET", &[HANDSHAKE, ("sec-fetch-mode", "websocket"), site("same-origin")], Intent::Background),
            // Another site.
            ("GET", &[CORS, site("cross-site")], passive(NotStarted::CrossSite)),
            ("POST", &[CORS, site("cross-site")], passive(NotStarted::CrossSite)),
            ("GET", &[("sec-fetch-mode", "no-cors"), site("cross-site")], passive(NotStarted::CrossSite)),
            ("GET", &[NAVIGATE, ("sec-fetch-dest", "iframe"), site("cross-site")], passive(NotStarted::CrossSite)),
            ("GET", &[HANDSHAKE, site("cross-site")], passive(NotStarted::CrossSite)),
            // Nobody.
            ("HEAD", &[], passive(NotStarted::Head)),
            ("OPTIONS", &[("origin", "https://a.org")], passive(NotStarted::Options)),
            ("GET", &[NAVIGATE, DOCUMENT, ("sec-purpose", "prefetch")], passive(NotStarted::Prefetch)),
            ("GET", &[NAVIGATE, DOCUMENT, ("sec-purpose", "prefetch;prerender")], passive(NotStarted::Prefetch)),
            ("GET", &[("purpose", "Prefetch")], passive(NotStarted::Prefetch)),
            ("GET", &[("x-moz", "prefetch")], passive(NotStarted::Prefetch)),
            ("GET", &[("sec-purpose", "other")], Intent::Use),
            ("GET", &[("x-computing-unit-page", "1")], passive(NotStarted::Page)),
        ] {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value): &(&str, &str)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
                .collect();
            let method = method.parse().unwrap();
            let kind = RequestKind::of(&method, &map);
            assert_eq!(Intent::of(&method, &map, kind), expected, "{method} {headers:?}");
        }
    }
}
