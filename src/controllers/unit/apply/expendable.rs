//! Requests that a unit can go on without: they do not hold up what comes after them.

use std::{future::Future, time::Duration};

use crate::k8s::no_response::within;

/// How long such a request may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A request that a unit can go on without if `expendable`.
pub(super) async fn limited<T>(expendable: bool, request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    if expendable { within(LIMIT, request).await } else { request.await }
}
