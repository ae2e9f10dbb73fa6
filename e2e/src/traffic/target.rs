//! A request and its expected sender.

use anyhow::Context;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Empty;

use super::answer::By;

/// A request that can be sent repeatedly.
#[derive(Clone, Debug)]
pub struct Target {
    request: Request<()>,
    by: By,
}

impl Target {
    /// `GET path` (including the query) of `host`.
    ///
    /// # Errors
    /// If `host` is not a header value, or `path` is not a request target.
    pub fn new(host: &str, path: &str) -> anyhow::Result<Self> {
        let request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header(HOST, host)
            .body(())
            .with_context(|| format!("a request for {path} of {host}"))?;
        Ok(Self { request, by: By::default() })
    }

    /// Sets a method other than GET.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        *self.request.method_mut() = method;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.request.headers_mut().append(name, value);
        self
    }

    /// Sets the expected engine: a response with another `x-engine` is misrouted.
    #[must_use]
    pub fn engine(mut self, unit: &str) -> Self {
        self.by.engine = Some(unit.to_owned());
        self
    }

    /// Sets the UID of the expected unit: a response with another `x-computing-unit` is misrouted.
    #[must_use]
    pub fn route(mut self, uid: &str) -> Self {
        self.by.route = Some(uid.to_owned());
        self
    }

    /// Whether a response is from a unit other than the expected one. A response without a sender is not misrouted.
    #[must_use]
    pub fn misrouted(&self, by: &By) -> bool {
        let other = |expected: &Option<String>, actual: &Option<String>| matches!((expected, actual), (Some(expected), Some(actual)) if expected != actual);
        other(&self.by.engine, &by.engine) || other(&self.by.route, &by.route)
    }

    /// The request to send.
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
