//! One HTTP/1.1 connection, which is kept alive until the peer closes it. It never reconnects.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::answer::Answer;
use super::target::Target;

/// The reason why a request was not answered.
#[derive(Debug)]
pub enum Failure {
    /// The connection failed: refused, reset or unreachable.
    Connect(String),
    /// The connection was closed before the first byte of a response, which a server may do with an idle connection.
    Closed(String),
    /// The response is incomplete, or is not HTTP.
    Broken(String),
    /// There was no complete response in time.
    TimedOut,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "no connection: {error}"),
            Self::Closed(error) => write!(f, "closed without a response: {error}"),
            Self::Broken(error) => write!(f, "broken response: {error}"),
            Self::TimedOut => write!(f, "no response in time"),
        }
    }
}

impl std::error::Error for Failure {}

/// Whether a connection is reused after a response.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reuse {
    /// It is reused until the peer closes it, like in browsers.
    #[default]
    Kept,
    /// Each request opens a new connection.
    Fresh,
}

/// A keep-alive connection to one proxy. It is closed on drop.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: AbortHandle,
    used: bool,
}

impl Connection {
    /// Connects to `address`.
    ///
    /// # Errors
    /// [`Failure::Connect`] if there is no TCP connection.
    pub async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let connect = |error: &dyn fmt::Display| Failure::Connect(format!("{address}: {error}"));
        let stream = TcpStream::connect(address).await.map_err(|error| connect(&error))?;
        stream.set_nodelay(true).map_err(|error| connect(&error))?;
        let (sender, driver) = handshake(TokioIo::new(stream)).await.map_err(|error| connect(&error))?;
        // The request in flight gets the error of the connection.
        let driver = tokio::spawn(async { drop(driver.await) }).abort_handle();
        Ok(Self { sender, driver, used: false })
    }

    /// Whether this connection has received a response before.
    #[must_use]
    pub fn used(&self) -> bool {
        self.used
    }

    /// Whether the peer has closed the connection, or announced that it will.
    pub async fn closed(&mut self) -> bool {
        self.sender.ready().await.is_err()
    }

    /// Sends one request and reads the complete response.
    ///
    /// # Errors
    /// A [`Failure`]. The connection cannot be used after that.
    pub async fn send(&mut self, target: &Target) -> Result<Answer, Failure> {
        let start = Instant::now();
        let response = self.sender.send_request(target.request()).await.map_err(|error| {
            if error.is_parse() { Failure::Broken(causes(&error)) } else { Failure::Closed(causes(&error)) }
        })?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| Failure::Broken(causes(&error)))?;
        self.used = true;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes(), took: start.elapsed() })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The error and its causes, because the message of a hyper error does not include the cause.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
