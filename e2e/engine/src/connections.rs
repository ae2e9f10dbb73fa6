//! Counts open connections, so that a drain can end as soon as the last one is closed. It does not close connections.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The number of open connections.
#[derive(Clone)]
pub struct Open(watch::Sender<usize>);

impl Open {
    /// The current number of open connections.
    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until no connection is open.
    pub async fn none(&self) {
        // `self` keeps the channel open, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// A listener that counts its open connections.
pub struct Counted {
    listener: TcpListener,
    open: Open,
}

impl Counted {
    /// Counts the connections of `listener`.
    pub fn new(listener: TcpListener) -> Self {
        let open = Open(watch::Sender::new(0));
        Self { listener, open }
    }

    /// The count of open connections.
    pub fn open(&self) -> Open {
        self.open.clone()
    }
}

impl Listener for Counted {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            println!("{address}: cannot set TCP_NODELAY: {error}");
        }
        self.open.0.send_modify(|count| *count += 1);
        let open = self.open.clone();
        (Connection { stream, open }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that counts as open until it is dropped.
pub struct Connection {
    stream: TcpStream,
    open: Open,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.0.send_modify(|count| *count -= 1);
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_open_until_they_are_dropped() {
        let mut listener = Counted::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let open = listener.open();
        open.none().await;
        let _client = TcpStream::connect(Listener::local_addr(&listener).unwrap()).await.unwrap();
        let (connection, _) = listener.accept().await;
        assert_eq!(open.count(), 1);
        drop(connection);
        open.none().await;
        assert_eq!(open.count(), 0);
    }
}
