//! Requests with curl, which supports all versions of HTTP and TLS.

use std::{net::SocketAddr, process::Stdio};

use anyhow::Context;
use serde_json::Value;
use tokio::process::Command;

/// A response, as curl reports it.
#[derive(Debug)]
pub struct Answer {
    /// The status, or 0 if there was no response.
    pub status: u16,
    /// The HTTP version, such as `2`.
    pub version: String,
    /// The headers in lower case, as text.
    pub headers: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The service or unit that answered.
    #[must_use]
    pub fn engine(&self) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix("x-engine: ")).map(str::trim)
    }

    /// The request that the engine received, which it returns in the body.
    ///
    /// # Errors
    /// If the response is not from an engine.
    pub fn echoed(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("{}: {}", self.status, self.body))
    }
}

/// Sends a request with curl to the proxy at `address`, with these arguments.
///
/// # Errors
/// If curl is not installed.
pub async fn curl(address: SocketAddr, url: &str, args: &[&str]) -> anyhow::Result<Answer> {
    let authority = url.split('/').nth(2).context("a URL")?;
    let port = if url.starts_with("https") { 443 } else { 80 };
    let connect = format!("{authority}:{port}:{}:{}", address.ip(), address.port());
    let written = "\n%{http_code} %{http_version}";
    let curl = Command::new("curl")
        .args(["--silent", "--include", "--insecure", "--max-time", "20", "--write-out", written])
        .args(["--connect-to", &connect])
        .args(args)
        .arg(url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("curl")?;
    let text = String::from_utf8_lossy(&curl.stdout);
    let (answer, written) = text.rsplit_once('\n').context("the --write-out line of curl")?;
    let (status, version) = written.split_once(' ').context("status and version")?;
    // The response to an upload can start with a `100 Continue`.
    let answer = answer.rsplit_once("HTTP/1.1 100 Continue\r\n\r\n").map_or(answer, |(_, rest)| rest);
    let (headers, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    Ok(Answer {
        status: status.parse()?,
        version: version.to_owned(),
        headers: headers.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}
