//! One GET, whose answer is taken piece by piece: bounded in time and in length, on a connection of its own.

use std::time::Duration;

use computing_unit_api::names::FIELD_MANAGER;
use http::{HeaderValue, Method, header};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::readings::Unreadable;
use crate::metrics::Unread;

/// What is asked, and how much of it is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// An IP address.
    pub address: &'a str,
    /// A port.
    pub port: u16,
    /// Path and query.
    pub path: &'a str,
    /// How long all of it may take.
    pub time: Duration,
    /// How many bytes it may have.
    pub bytes: usize,
}

/// Asks, and hands on each piece of the answer.
pub async fn get(question: Question<'_>, take: impl FnMut(&[u8]) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
    let late = || Unreadable::new(Unread::Timeout, format!("does not answer within {:?}", question.time));
    timeout(question.time, exchange(question, take)).await.unwrap_or_else(|_| Err(late()))
}

async fn exchange(
    question: Question<'_>,
    mut take: impl FnMut(&[u8]) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let Question { address, port, path, bytes, .. } = question;
    let broken = |error: hyper::Error| Unreadable::new(Unread::Connection, format!("breaks off: {error}"));
    let host = if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
    let request = http::Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, HeaderValue::from_static(FIELD_MANAGER))
        .body(Empty::<Bytes>::new())
        .map_err(|error| Unreadable::new(Unread::Garbled, format!("cannot be asked: {error}")))?;
    let stream = TcpStream::connect((address, port)).await.map_err(|error| {
        Unreadable::new(Unread::Connection, format!("takes no connection on port {port}: {}", error.kind()))
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let (head, mut body) = sender.send_request(request).await.map_err(broken)?.into_parts();
    if head.status != http::StatusCode::OK {
        return Err(Unreadable::new(Unread::Status, format!("answers with status {}", head.status.as_u16())));
    }
    let mut left = bytes;
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(broken)?.into_data() else { continue };
        left = left
            .checked_sub(piece.len())
            .ok_or_else(|| Unreadable::new(Unread::TooLong, format!("answers with more than {} KiB", bytes / 1024)))?;
        take(&piece)?;
    }
    Ok(())
}
