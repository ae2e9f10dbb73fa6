//! One complete response.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use computing_unit_api::names::headers;
use http::{HeaderMap, StatusCode};

/// The header with the name of the unit, which an engine sets on each response.
const ENGINE: &str = "x-engine";

/// The sender of a response, by its headers.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct By {
    /// The UID of the unit whose route matched. `None` if no unit's route matched.
    pub route: Option<String>,
    /// The name of the unit whose engine answered. `None` for a local reply of the proxy.
    pub engine: Option<String>,
}

impl By {
    /// The sender of these headers.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Self { route: text(headers::UNIT), engine: text(ENGINE) }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.engine {
            Some(engine) => write!(f, "engine {engine}")?,
            None => write!(f, "no engine")?,
        }
        self.route.as_ref().map_or(Ok(()), |route| write!(f, " under the route of {route}"))
    }
}

/// A response with its body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// All response headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The time from the first byte sent to the last byte received.
    pub took: Duration,
}

impl Answer {
    /// The sender.
    #[must_use]
    pub fn by(&self) -> By {
        By::of(&self.headers)
    }

    /// The first `limit` characters of the body.
    #[must_use]
    pub fn start(&self, limit: usize) -> String {
        String::from_utf8_lossy(&self.body).chars().take(limit).collect()
    }
}
