//! A WebSocket client like that of Texera's user interface. It never reconnects.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::{SinkExt, StreamExt};
use http::HeaderMap;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::answer::By;

/// The deadline for connecting and for an echo.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An open WebSocket. It is cut on drop, without a close frame.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    headers: HeaderMap,
}

/// The end of a WebSocket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ending {
    /// The time.
    pub at: Instant,
    /// The code of the peer's close frame. `None` if the connection was closed without one.
    pub code: Option<u16>,
}

impl Socket {
    /// Opens a WebSocket at `path` (including the query) of `host`, through the proxy at `address`.
    ///
    /// # Errors
    /// If the connection or the upgrade fails. [`refusal`] returns the status of the response.
    pub async fn open(address: SocketAddr, host: &str, path: &str) -> anyhow::Result<Self> {
        let request = format!("ws://{host}{path}").into_client_request().context("a WebSocket's request")?;
        let upgrade = async {
            let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
            stream.set_nodelay(true)?;
            client_async(request, stream).await.with_context(|| format!("a WebSocket at {path} of {host}"))
        };
        let (stream, response) = timeout(TIMEOUT, upgrade).await.context("no WebSocket in time")??;
        Ok(Self { stream, headers: response.headers().clone() })
    }

    /// The sender of the upgrade response.
    #[must_use]
    pub fn by(&self) -> By {
        By::of(&self.headers)
    }

    /// The local port.
    ///
    /// # Errors
    /// If it is not open.
    pub fn port(&self) -> anyhow::Result<u16> {
        Ok(self.stream.get_ref().local_addr()?.port())
    }

    /// Sends `text`, and checks that it is echoed.
    ///
    /// # Errors
    /// If it is not echoed.
    pub async fn echo(&mut self, text: &str) -> anyhow::Result<()> {
        let round = async {
            self.stream.send(Message::text(text)).await.context("send to the WebSocket")?;
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Text(echo))) => {
                        ensure!(echo.as_str() == text, "sent {text:?}, got {:?}", echo.as_str());
                        return Ok(());
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(message)) => bail!("sent {text:?}, got {message:?}"),
                    Some(Err(error)) => return Err(error).context("read from the WebSocket"),
                    None => bail!("the WebSocket ended before its echo"),
                }
            }
        };
        timeout(TIMEOUT, round).await.context("no echo in time")?
    }

    /// Sends `text`.
    ///
    /// # Errors
    /// If the WebSocket is closed.
    pub async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        self.stream.send(Message::text(text)).await.context("send to the WebSocket")
    }

    /// Reads until a text satisfies `so`.
    ///
    /// # Errors
    /// If none does within `deadline`, or the WebSocket ends.
    pub async fn read_until(&mut self, deadline: Duration, so: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let read = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Text(text))) if so(&text) => return Ok(()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error).context("read from the WebSocket"),
                    None => bail!("the WebSocket ended"),
                }
            }
        };
        timeout(deadline, read).await.context("no such message in time")?
    }

    /// Sends a ping, as some pages do to keep the connection.
    ///
    /// # Errors
    /// If the WebSocket is closed.
    pub async fn ping(&mut self) -> anyhow::Result<()> {
        self.stream.send(Message::Ping(bytes::Bytes::new())).await.context("ping over the WebSocket")
    }

    /// Reads whatever arrives, and so answers pings, for that long. Returns whether the WebSocket is still open.
    pub async fn attend(&mut self, time: Duration) -> bool {
        let read = async { while matches!(self.stream.next().await, Some(Ok(_))) {} };
        timeout(time, read).await.is_err()
    }

    /// Waits until the peer closes the WebSocket.
    ///
    /// # Errors
    /// If it is still open after `deadline`.
    pub async fn ended(mut self, deadline: Duration) -> anyhow::Result<Ending> {
        let end = async {
            let mut code = None;
            while let Some(Ok(message)) = self.stream.next().await {
                if let Message::Close(frame) = message {
                    code = frame.map(|frame| frame.code.into());
                }
            }
            Ending { at: Instant::now(), code }
        };
        timeout(deadline, end).await.with_context(|| format!("the WebSocket is still open after {deadline:?}"))
    }

    /// Closes the WebSocket.
    ///
    /// # Errors
    /// If it is not open.
    pub async fn close(mut self) -> anyhow::Result<()> {
        self.stream.close(None).await.context("close the WebSocket")
    }
}

/// The status of a rejected upgrade, if [`Socket::open`] failed for that reason.
#[must_use]
pub fn refusal(error: &anyhow::Error) -> Option<u16> {
    match error.downcast_ref::<Error>()? {
        Error::Http(response) => Some(response.status().as_u16()),
        _ => None,
    }
}
