//! What the stand-ins for Texera's other services share.

use anyhow::Context;
use axum::Router;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// Serves `router` on all addresses until the process is terminated, and completes the requests that are being answered.
///
/// # Errors
/// If the port cannot be used.
pub async fn serve(port: u16, router: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port)).await.with_context(|| format!("listen on port {port}"))?;
    let mut terminated = signal(SignalKind::terminate())?;
    println!("listens on port {port}");
    let served = axum::serve(listener, router).with_graceful_shutdown(async move {
        terminated.recv().await;
    });
    Ok(served.await?)
}
