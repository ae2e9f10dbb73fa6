//! One HTTP/1.1 request on a connection of its own.

use std::io;

use computing_unit_api::names::FIELD_MANAGER;
use http::{HeaderValue, Method, Request, Response, header, request::Builder};
use http_body_util::Empty;
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;

/// A connection, closed when dropped.
pub struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    _driver: AbortOnDropHandle<hyper::Result<()>>,
}

impl Connection {
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> hyper::Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, _driver: AbortOnDropHandle::new(tokio::spawn(connection)) })
    }

    /// Sends a request. The body of the response can be read while the connection is alive.
    pub async fn send(&mut self, request: Request<Empty<Bytes>>) -> hyper::Result<Response<Incoming>> {
        self.sender.send_request(request).await
    }
}

/// A request with the headers that all of the operator's requests have.
pub fn request(method: Method, path_and_query: &str, host: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(path_and_query)
        .header(header::HOST, host)
        .header(header::USER_AGENT, HeaderValue::from_static(FIELD_MANAGER))
}

/// Address and port as in a URL, with brackets around an IPv6 address.
pub fn authority(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// An error without the numbers of the operating system, which would change the text from host to host.
pub fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => error.to_string(),
        kind => kind.to_string(),
    }
}
