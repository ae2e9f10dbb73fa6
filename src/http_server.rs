//! Serves HTTP/1.1 with limits, so that clients that send slowly, or nothing, hold neither connections nor memory for long.
//!
//! A connection serves one request. An idle connection would otherwise have to be closed at some time, and a proxy may send
//! a request at that moment.

use std::{collections::HashMap, io, net::IpAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Maximum number of bytes of a request that are buffered.
const BUFFER: usize = 64 * 1024;
/// The delay after a connection could not be accepted, for example because the process has too many open files.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections. Further ones wait until one is closed.
    pub connections: usize,
    /// Open connections from one address. Further ones are closed.
    pub connections_per_address: usize,
    /// Time in which a client has to send the header of its request.
    pub header_timeout: Duration,
    /// Time after which a connection is closed. `None` if responses may take any time.
    pub lifetime: Option<Duration>,
}

/// Serves connections until `stop`, then waits for the requests in flight.
pub async fn serve(listener: TcpListener, routes: Router, limits: Limits, stop: CancellationToken) {
    let (permits, addresses) = (Arc::new(Semaphore::new(limits.connections)), Addresses::default());
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let Some((accepted, permit)) = stop.run_until_cancelled(accepted).await else { break };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                retry_later(&error, &stop).await;
                continue;
            }
        };
        let Some(place) = addresses.enter(address.ip(), limits.connections_per_address) else { continue };
        let (routes, stop) = (routes.clone(), stop.clone());
        connections.spawn(async move {
            let connection = serve_connection(stream, routes, limits, stop);
            match limits.lifetime {
                Some(lifetime) => drop(timeout(lifetime, connection).await),
                None => connection.await,
            }
            drop((permit, place));
        });
    }
    connections.close();
    connections.wait().await;
}

async fn serve_connection(stream: TcpStream, routes: Router, limits: Limits, stop: CancellationToken) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(BUFFER).keep_alive(false);
    let mut connection =
        std::pin::pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)));
    // An error is the client's: it has closed the connection, or sent no HTTP.
    if stop.run_until_cancelled(connection.as_mut()).await.is_none() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

async fn retry_later(error: &io::Error, stop: &CancellationToken) {
    let of_the_client = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset];
    if !of_the_client.contains(&error.kind()) {
        tracing::warn!(%error, "cannot accept a connection");
        stop.run_until_cancelled(sleep_until(Instant::now() + RETRY)).await;
    }
}

/// The number of open connections by address.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Addresses {
    /// Counts a connection until the place is dropped. `None` if the address has `limit` connections.
    fn enter(&self, address: IpAddr, limit: usize) -> Option<Place> {
        let mut counts = self.0.lock();
        let count = counts.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place { addresses: self.clone(), address })
    }
}

struct Place {
    addresses: Addresses,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.addresses.0.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::Notify,
    };

    use super::*;

    const LIMITS: Limits =
        Limits { connections: 10, connections_per_address: 10, header_timeout: Duration::from_secs(5), lifetime: None };
    /// Longer than any limit. The clock is paused, so that it passes as soon as nothing else can happen.
    const DEADLINE: Duration = Duration::from_mins(10);
    const REQUEST: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    struct Server {
        address: SocketAddr,
        /// Lets one request finish.
        release: Arc<Notify>,
        stop: CancellationToken,
    }

    async fn start(limits: Limits) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (release, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let wait = release.clone();
        let routes = Router::new().route("/", get(async move || wait.notified().await));
        tokio::spawn(serve(listener, routes, limits, stop.clone()));
        Server { address, release, stop }
    }

    async fn send(server: &Server, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// What is received until the server closes the connection. `None` if it never does.
    async fn received(stream: &mut TcpStream) -> Option<String> {
        let mut text = Vec::new();
        let result = timeout(DEADLINE, stream.read_to_end(&mut text)).await.ok()?;
        // A connection with data that was not read is reset.
        assert!(result.is_ok() || result.unwrap_err().kind() == io::ErrorKind::ConnectionReset);
        Some(String::from_utf8(text).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn connection_with_a_half_sent_header_is_closed() {
        let server = start(LIMITS).await;
        for text in ["", "GET / HTTP/1.1\r\nhost"] {
            let mut stream = send(&server, text).await;
            let answer = received(&mut stream).await.expect("the connection is closed");
            assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn header_that_is_too_large_is_rejected() {
        let server = start(LIMITS).await;
        let text = format!("GET / HTTP/1.1\r\nhost: {}", "x".repeat(2 * BUFFER));
        let mut stream = send(&server, &text).await;
        let answer = received(&mut stream).await.expect("the connection is closed");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn connection_serves_one_request() {
        let server = start(LIMITS).await;
        server.release.notify_one();
        let mut stream = send(&server, REQUEST).await;
        let answer = received(&mut stream).await.expect("the connection is closed");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn connection_above_the_limit_waits() {
        let server = start(Limits { connections: 1, ..LIMITS }).await;
        let mut first = send(&server, REQUEST).await;
        let mut second = send(&server, REQUEST).await;
        assert_eq!(received(&mut second).await, None);
        server.release.notify_one();
        assert!(received(&mut first).await.unwrap().starts_with("HTTP/1.1 200"));
        server.release.notify_one();
        assert!(received(&mut second).await.unwrap().starts_with("HTTP/1.1 200"));
    }

    #[tokio::test(start_paused = true)]
    async fn connection_above_the_limit_of_its_address_is_closed() {
        let server = start(Limits { connections_per_address: 1, ..LIMITS }).await;
        let mut first = send(&server, REQUEST).await;
        assert_eq!(received(&mut first).await, None);
        let mut second = send(&server, REQUEST).await;
        assert_eq!(received(&mut second).await.as_deref(), Some(""));
        server.release.notify_one();
        assert!(received(&mut first).await.unwrap().starts_with("HTTP/1.1 200"));
        server.release.notify_one();
        let mut third = send(&server, REQUEST).await;
        assert!(received(&mut third).await.unwrap().starts_with("HTTP/1.1 200"));
    }

    #[tokio::test(start_paused = true)]
    async fn connection_is_closed_at_the_end_of_its_lifetime() {
        let server = start(Limits { lifetime: Some(Duration::from_secs(30)), ..LIMITS }).await;
        let mut stream = send(&server, REQUEST).await;
        assert_eq!(received(&mut stream).await.as_deref(), Some(""));
    }

    #[tokio::test(start_paused = true)]
    async fn request_in_flight_is_answered_after_the_stop() {
        let server = start(LIMITS).await;
        let mut stream = send(&server, REQUEST).await;
        assert_eq!(received(&mut stream).await, None);
        server.stop.cancel();
        server.release.notify_one();
        assert!(received(&mut stream).await.unwrap().starts_with("HTTP/1.1 200"));
    }
}
