//! A request, and how the response of the right engine is recognized. No connection is made here.

use anyhow::Context;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Empty;

use super::answer::By;

/// A request that is sent over and over.
#[derive(Clone, Debug)]
pub struct Target {
    request: Request<()>,
    by: By,
}

impl Target {
    /// `GET path` (query included) of `host`.
    ///
    /// # Errors
    /// If `host` is no header value, or `path` no request target.
    pub fn new(host: &str, path: &str) -> anyhow::Result<Self> {
        let request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header(HOST, host)
            .body(())
            .with_context(|| format!("a request for {path} of {host}"))?;
        Ok(Self { request, by: By::default() })
    }

    /// Uses another method than GET.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        *self.request.method_mut() = method;
        self
    }

    /// Sends another header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.request.headers_mut().append(name, value);
        self
    }

    /// The engine that is to answer: an answer whose `x-engine` names another is misrouted.
    #[must_use]
    pub fn engine(mut self, unit: &str) -> Self {
        self.by.engine = Some(unit.to_owned());
        self
    }

    /// The UID of the unit whose route is to answer: an answer whose `x-computing-unit` has another is misrouted.
    #[must_use]
    pub fn route(mut self, uid: &str) -> Self {
        self.by.route = Some(uid.to_owned());
        self
    }

    /// Whether an answer is another unit's than expected. An answer that names none is nobody's.
    #[must_use]
    pub fn misrouted(&self, by: &By) -> bool {
        let other = |expected: &Option<String>, actual: &Option<String>| matches!((expected, actual), (Some(expected), Some(actual)) if expected != actual);
        other(&self.by.engine, &by.engine) || other(&self.by.route, &by.route)
    }

    /// The request as it goes on the wire.
    pub(super) fn request(&self) -> Request<Empty<Bytes>> {
        self.request.clone().map(|()| Empty::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_units_name_or_route_is_misrouted() {
        let by = |route: Option<&str>, engine: Option<&str>| By {
            route: route.map(str::to_owned),
            engine: engine.map(str::to_owned),
        };
        let target = Target::new("texera.local", "/wsapi?cuid=42").unwrap();
        assert!(!target.misrouted(&by(Some("uid-2"), Some("bob"))));
        let target = target.engine("ada").route("uid-1");
        for (route, engine, misrouted) in [
            (None, None, false),
            (Some("uid-1"), Some("ada"), false),
            (Some("uid-1"), Some("bob"), true),
            (Some("uid-2"), None, true),
        ] {
            assert_eq!(target.misrouted(&by(route, engine)), misrouted, "{route:?} {engine:?}");
        }
    }

    #[test]
    fn a_path_must_be_a_request_target() {
        assert!(Target::new("texera.local", "/with space").is_err());
        assert!(Target::new("two\nlines", "/").is_err());
    }
}
