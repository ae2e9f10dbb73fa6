//! A request that took too long.

use std::time::Duration;

/// The API server did not respond in time.
#[derive(Debug, thiserror::Error)]
#[error("no response of the API server within {0:?}")]
pub struct NoResponse(pub Duration);
