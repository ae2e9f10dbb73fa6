//! One whole answer. It says what arrived, not whether that was right.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

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
    /// The unit whose engine says that it has answered.
    #[must_use]
    pub fn engine(&self) -> Option<&str> {
        self.headers.get("x-engine")?.to_str().ok()
    }

    /// The first `limit` characters of the body.
    #[must_use]
    pub fn start(&self, limit: usize) -> String {
        String::from_utf8_lossy(&self.body).chars().take(limit).collect()
    }
}
