//! Jupyter Server as a unit, and what its pages do.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    applications::Started,
    cluster::application_images::Application,
    fixture::SOON,
    traffic::{Connection, Socket, Target},
};

/// Jupyter Server without a token.
pub const JUPYTER: Started = Started {
    application: Application::JupyterLab,
    args: &[
        "start-notebook.py",
        "--ServerApp.port=8085",
        "--ServerApp.allow_remote_access=True",
        "--IdentityProvider.token=",
    ],
    ready: "/api",
};

/// Starts a kernel, as a page does. Returns its WebSocket.
///
/// # Errors
/// If it does not start.
pub async fn kernel(proxy: SocketAddr, host: &str) -> anyhow::Result<Socket> {
    Socket::open(proxy, host, &kernel_path(proxy, host).await?).await
}

/// Starts a kernel. Returns the path of its WebSocket.
///
/// # Errors
/// If it does not start.
pub async fn kernel_path(proxy: SocketAddr, host: &str) -> anyhow::Result<String> {
    let kernel = post(proxy, host, "/api/kernels", StatusCode::CREATED).await?;
    let id = kernel["id"].as_str().context("no kernel")?;
    Ok(format!("/api/kernels/{id}/channels?session_id=tab"))
}

/// Opens a terminal. Returns the path of its WebSocket.
///
/// # Errors
/// If it does not open.
pub async fn terminal_path(proxy: SocketAddr, host: &str) -> anyhow::Result<String> {
    let terminal = post(proxy, host, "/api/terminals", StatusCode::OK).await?;
    let name = terminal["name"].as_str().context("no terminal")?;
    Ok(format!("/terminals/websocket/{name}"))
}

async fn post(proxy: SocketAddr, host: &str, path: &str, status: StatusCode) -> anyhow::Result<Value> {
    let token = HeaderValue::from_static("0123456789abcdef");
    let target = Target::new(host, path)?
        .method(Method::POST)
        .header(HeaderName::from_static("cookie"), HeaderValue::from_static("_xsrf=0123456789abcdef"))
        .header(HeaderName::from_static("x-xsrftoken"), token);
    let answer = Connection::open(proxy).await?.send(&target).await?;
    ensure!(answer.status == status, "{answer:?}");
    Ok(serde_json::from_slice(&answer.body)?)
}

/// Has the kernel execute a cell, and waits until it is busy with it.
///
/// # Errors
/// If it does not become busy in time.
pub async fn execute(socket: &mut Socket, code: &str) -> anyhow::Result<()> {
    let header =
        json!({"msg_id": "cell", "username": "", "session": "tab", "msg_type": "execute_request", "version": "5.3"});
    let content = json!({
        "code": code, "silent": false, "store_history": false, "user_expressions": {}, "allow_stdin": false,
    });
    let message = json!({
        "header": header, "parent_header": {}, "metadata": {}, "content": content, "buffers": [], "channel": "shell",
    });
    socket.send(&message.to_string()).await?;
    let busy = |text: &str| {
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        message["parent_header"]["msg_id"] == "cell" && message["content"]["execution_state"] == "busy"
    };
    socket.read_until(SOON, busy).await
}
