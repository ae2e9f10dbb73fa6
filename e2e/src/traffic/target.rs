//! What to ask for, and how the answer of the right engine is told. No connection is made here.

use anyhow::Context;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Empty;

/// A request that is sent over and over.
#[derive(Clone, Debug)]
pub struct Target {
    request: Request<()>,
    engine: Option<String>,
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
        Ok(Self { request, engine: None })
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
        self.engine = Some(unit.to_owned());
        self
    }

    /// Whether an answer by `engine` is another unit's than expected. An answer that names none is nobody's.
    #[must_use]
    pub fn misrouted(&self, engine: Option<&str>) -> bool {
        matches!((&self.engine, engine), (Some(expected), Some(actual)) if expected != actual)
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
    fn only_another_units_name_is_misrouted() {
        let target = Target::new("texera.local", "/wsapi?cuid=42").unwrap();
        assert!(!target.misrouted(Some("unit-2")));
        let target = target.engine("unit-1");
        assert!(!target.misrouted(None));
        assert!(!target.misrouted(Some("unit-1")));
        assert!(target.misrouted(Some("unit-2")));
    }

    #[test]
    fn a_path_must_be_a_request_target() {
        assert!(Target::new("texera.local", "/with space").is_err());
        assert!(Target::new("two\nlines", "/").is_err());
    }
}
