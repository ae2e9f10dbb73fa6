//! Forwards a port on the loopback address to the shared Gateway, so that URLs of units work on this machine.

use std::net::{Ipv4Addr, SocketAddr, TcpListener as Probe};

use anyhow::Context;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

/// The port that is tried first. A kubectl without a kubeconfig connects to port 8080: the gateway must not answer it.
const FIRST: u16 = 8880;

/// A free port, from 8880 on.
///
/// # Errors
/// If the next hundred ports are in use.
pub fn free_port() -> anyhow::Result<u16> {
    (FIRST..FIRST + 100)
        .find(|port| Probe::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .with_context(|| format!("no free port from {FIRST} on"))
}

/// Forwards connections on `port` to `to`, until the process is killed.
///
/// # Errors
/// If it cannot listen on the port.
pub async fn forward(port: u16, to: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.with_context(|| format!("listen on {port}"))?;
    loop {
        let Ok((mut client, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            if let Ok(mut server) = TcpStream::connect(to).await {
                // Either side may close the connection at any time.
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn port_is_not_the_one_that_kubectl_connects_to_by_default() {
        let port = free_port().unwrap();
        assert!(port > 8080, "{port}");
    }

    #[tokio::test]
    async fn bytes_go_both_ways() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = server.local_addr().unwrap();
        let port = Probe::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let forwarding = tokio::spawn(forward(port, to));
        let client = async {
            loop {
                if let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                    return stream;
                }
                tokio::task::yield_now().await;
            }
        };
        let (mut client, accepted) = tokio::join!(client, server.accept());
        let (mut server, _) = accepted.unwrap();
        client.write_all(b"there").await.unwrap();
        server.write_all(b"back!").await.unwrap();
        let (mut there, mut back) = ([0; 5], [0; 5]);
        server.read_exact(&mut there).await.unwrap();
        client.read_exact(&mut back).await.unwrap();
        assert_eq!((&there, &back), (b"there", b"back!"));
        forwarding.abort();
    }
}
