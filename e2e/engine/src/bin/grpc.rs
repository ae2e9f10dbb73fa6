//! A gRPC server with the standard health service, over HTTP/2 without TLS.
//!
//! | variable | meaning |
//! |---|---|
//! | `PORT` | TCP port, default 8085 |

use anyhow::Context;
use clap::Parser;
use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tonic_health::{ServingStatus, server::health_reporter};

/// The service that is reported as serving, besides the server as a whole.
const SERVICE: &str = "engine";

#[derive(Debug, clap::Parser)]
struct Settings {
    #[arg(long, env = "PORT", default_value_t = 8085)]
    port: u16,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let port = Settings::parse().port;
    let (reporter, service) = health_reporter();
    reporter.set_service_status(SERVICE, ServingStatus::Serving).await;
    let mut terminated = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(("0.0.0.0", port)).await.with_context(|| format!("listen on port {port}"))?;
    println!("listens on port {port}");
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = terminated.recv() => return Ok(()),
        };
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let served =
                http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            served.inspect_err(|error| println!("{error}"))
        });
    }
}
