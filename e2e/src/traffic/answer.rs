//! One complete response. Whether it is the right one is not decided here.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use computing_unit_api::names::headers;
use http::{HeaderMap, StatusCode};

/// The name of the unit that an engine runs in, on each of its answers.
const ENGINE: &str = "x-engine";

/// The sender of a response, by its headers.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct By {
    /// The UID of the unit under whose route the proxy has answered; none for an answer under no unit's route.
    pub route: Option<String>,
    /// The name of the unit whose engine has answered; none for an answer of the proxy's own.
    pub engine: Option<String>,
}

impl By {
    /// Who has sent these headers.
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

/// An answer, body included.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// All response headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// From the first byte sent to the last received.
    pub took: Duration,
}

impl Answer {
    /// Who has answered.
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
