//! A long answer: numbered lines, one a chunk, at a steady pace. What is asked for decides how long.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use futures::stream;
use serde::Deserialize;
use tokio::time::{Interval, interval};

/// How long an export is, from the query of its request.
#[derive(Debug, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Export {
    /// How many lines to send.
    chunks: u64,
    /// Milliseconds between two lines.
    interval_ms: u64,
}

impl Default for Export {
    fn default() -> Self {
        Self { chunks: 10, interval_ms: 100 }
    }
}

impl Export {
    /// The body, which sends the first line at once.
    pub fn body(&self, unit: &str) -> Body {
        let chunks = self.chunks;
        // An interval of no length is refused by the timer.
        let pace = interval(Duration::from_millis(self.interval_ms.max(1)));
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
    use axum::extract::Query;
    use axum::http::Uri;

    use super::*;

    #[test]
    fn the_query_may_leave_out_anything() {
        let of = |uri: &'static str| Query::<Export>::try_from_uri(&Uri::from_static(uri)).map(|Query(export)| export);
        assert_eq!(of("/?cuid=42").unwrap(), Export::default());
        assert_eq!(of("/?chunks=3").unwrap(), Export { chunks: 3, ..Export::default() });
        assert!(of("/?chunks=many").is_err());
    }

    #[tokio::test]
    async fn lines_are_numbered() {
        let export = Export { chunks: 3, interval_ms: 0 };
        let body = axum::body::to_bytes(export.body("unit-1"), usize::MAX).await.unwrap();
        assert_eq!(body, "1 of 3 by unit-1\n2 of 3 by unit-1\n3 of 3 by unit-1\n");
    }
}
