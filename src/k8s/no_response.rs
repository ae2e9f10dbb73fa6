//! A request that took too long.

use std::{future::Future, time::Duration};

use tokio::time::timeout;

/// The API server did not respond in time.
#[derive(Debug, thiserror::Error)]
#[error("no response of the API server within {0:?}")]
pub struct NoResponse(pub Duration);

/// Ends a request that takes longer than `limit`.
pub async fn within<T>(limit: Duration, request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    timeout(limit, request).await.unwrap_or_else(|_| Err(kube::Error::Service(NoResponse(limit).into())))
}
