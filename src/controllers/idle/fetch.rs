//! A GET request, limited in time and size. The body is handed over in chunks.

use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::{BodyExt, Empty};
use tokio::{net::TcpStream, time::timeout};

use super::readings::Unreadable;
use crate::{
    http1::{self, Connection, describe},
    metrics::UnreadableReason as Reason,
};

#[derive(Clone, Copy, Debug)]
pub struct Get<'a> {
    /// An IP address.
    pub address: &'a str,
    pub port: u16,
    /// Path and query.
    pub path: &'a str,
    /// For the whole exchange.
    pub timeout: Duration,
    /// The largest body.
    pub max_bytes: usize,
    /// Whether a response with another status than 200 is read as well.
    pub any_status: bool,
}

/// Sends the request, and passes each chunk of the body to `take`. Returns the status. The message of an error is the
/// predicate of a sentence about the server.
pub async fn get(get: Get<'_>, take: impl FnMut(&[u8]) -> Result<(), Unreadable>) -> Result<StatusCode, Unreadable> {
    let timed_out = || Unreadable::new(Reason::Timeout, format!("did not respond within {:?}", get.timeout));
    timeout(get.timeout, exchange(get, take)).await.unwrap_or_else(|_| Err(timed_out()))
}

async fn exchange(
    get: Get<'_>,
    mut take: impl FnMut(&[u8]) -> Result<(), Unreadable>,
) -> Result<StatusCode, Unreadable> {
    let Get { address, port, path, max_bytes, any_status, .. } = get;
    let failed = |error: hyper::Error| Unreadable::new(Reason::Connection, format!("failed to respond: {error}"));
    let request = http1::request(Method::GET, path, &http1::authority(address, port))
        .body(Empty::new())
        .map_err(|error| Unreadable::new(Reason::Invalid, format!("cannot be requested: {error}")))?;
    let stream = TcpStream::connect((address, port)).await.map_err(|error| {
        Unreadable::new(Reason::Connection, format!("cannot be reached on port {port}: {}", describe(&error)))
    })?;
    let mut connection = Connection::over(stream).await.map_err(failed)?;
    let (head, mut body) = connection.send(request).await.map_err(failed)?.into_parts();
    if head.status != StatusCode::OK && !any_status {
        return Err(Unreadable::new(Reason::Status, format!("responded with status {}", head.status.as_u16())));
    }
    let mut left = max_bytes;
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(failed)?.into_data() else { continue };
        left = left.checked_sub(chunk.len()).ok_or_else(|| {
            Unreadable::new(Reason::TooLong, format!("responded with more than {} KiB", max_bytes / 1024))
        })?;
        take(&chunk)?;
    }
    Ok(head.status)
}
