//! A long response: numbered lines, one per chunk, at a steady rate. The query sets its length.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use futures::stream;
use serde::Deserialize;
use tokio::time::{Interval, interval};

/// The length and rate of an export.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Export {
    /// The number of lines.
    pub chunks: u64,
    /// The time between two lines.
    pub interval: Duration,
}

/// The query of an export request.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    chunks: Option<u64>,
    interval_ms: Option<u64>,
}

impl Export {
    /// The requested export, with `self` as the default for omitted parameters.
    pub fn or(self, wanted: &Wanted) -> Self {
        Self {
            chunks: wanted.chunks.unwrap_or(self.chunks),
            interval: wanted.interval_ms.map_or(self.interval, Duration::from_millis),
        }
    }

    /// The body, which sends the first line immediately.
    pub fn body(self, unit: &str) -> Body {
        let chunks = self.chunks;
        // The timer rejects an interval of zero.
        let pace = interval(self.interval.max(Duration::from_nanos(1)));
        let unit = unit.to_owned();
        let lines = stream::unfold((0, pace), move |(sent, mut pace): (u64, Interval)| {
            let unit = unit.clone();
            async move {
                if sent == chunks {
                    return None;
                }
                pace.tick().await;
                let line = format!("{} of {chunks} by {unit}\n", sent + 1);
                Some((Ok::<_, Infallible>(line), (sent + 1, pace)))
            }
        });
        Body::from_stream(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_leave_out_anything() {
        let usual = Export { chunks: 10, interval: Duration::from_millis(100) };
        assert_eq!(usual.or(&Wanted { chunks: None, interval_ms: None }), usual);
        let wanted = Wanted { chunks: Some(3), interval_ms: Some(0) };
        assert_eq!(usual.or(&wanted), Export { chunks: 3, interval: Duration::ZERO });
    }
}
