//! Commands and requests to a unit's URL that are printed as they run.

use std::{net::SocketAddr, process::Stdio};

use anyhow::{Context, ensure};
use http::Uri;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    attach::Cluster,
    fixture::SOON,
    traffic::{Answer, Connection, Reuse, Socket, Target, first_success},
};

/// Prints the heading of a step.
pub fn heading(text: &str) {
    println!("\n== {text}");
}

/// Prints and runs a command line, split at its spaces.
///
/// # Errors
/// If it fails.
pub async fn run(cluster: &Cluster, line: &str) -> anyhow::Result<()> {
    println!("$ {line}");
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty line")?;
    let mut command = Command::new(program);
    command.args(words).env("KUBECONFIG", cluster.kubeconfig()).stdin(Stdio::null());
    let status = command.status().await.with_context(|| format!("run {program}"))?;
    ensure!(status.success(), "`{line}` failed with {status}");
    Ok(())
}

/// Applies objects with `kubectl`, and prints the command as if they were in the file `shown`.
///
/// # Errors
/// If the API server rejects them.
pub async fn apply(cluster: &Cluster, shown: &str, objects: &str) -> anyhow::Result<()> {
    println!("$ kubectl apply -f {shown}");
    let mut command = Command::new("kubectl");
    command.args(["apply", "-f", "-"]).env("KUBECONFIG", cluster.kubeconfig()).stdin(Stdio::piped());
    let mut child = command.spawn().context("run kubectl")?;
    child.stdin.take().context("kubectl's input")?.write_all(objects.as_bytes()).await?;
    let status = child.wait().await?;
    ensure!(status.success(), "kubectl apply of {shown} failed with {status}");
    Ok(())
}

/// Prints the relevant headers of a response.
pub fn headers(answer: &Answer) {
    for name in ["x-computing-unit", "location", "retry-after", "content-type"] {
        if let Some(value) = answer.headers.get(name) {
            println!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
    }
}

/// A resolved URL.
#[derive(Clone, Debug)]
pub struct ResolvedUrl {
    /// The address of its host and port.
    pub address: SocketAddr,
    /// The host, and the port unless it is the default of the scheme.
    pub host: String,
    /// Path and query.
    pub path: String,
}

impl ResolvedUrl {
    /// Resolves the host of `url`.
    ///
    /// # Errors
    /// If it is not an `http` URL, or its host has no address.
    pub async fn of(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("the URL {url}"))?;
        let name = uri.host().with_context(|| format!("no host in {url}"))?;
        let port = uri.port_u16().unwrap_or(80);
        // The port forwarding of the local cluster listens on IPv4.
        let mut found: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await?.collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        let address = found.into_iter().next().with_context(|| format!("no address for {name}"))?;
        let host = uri.authority().map(ToString::to_string).unwrap_or_default();
        let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        Ok(Self { address, host, path })
    }

    /// A request for the URL.
    ///
    /// # Errors
    /// If the URL is not a valid request target.
    pub fn target(&self) -> anyhow::Result<Target> {
        Target::new(&self.host, &self.path)
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.host, self.path)
    }

    /// Waits until the URL is answered with 200, because the route may be new, and then prints and sends a request.
    ///
    /// # Errors
    /// If there is no 200 in time.
    pub async fn until_served(&self) -> anyhow::Result<()> {
        first_success(self.address, &self.target()?, Reuse::Fresh, SOON).await?;
        self.get().await
    }

    /// Prints and sends one request.
    ///
    /// # Errors
    /// If there is no response, or its status is not 200.
    pub async fn get(&self) -> anyhow::Result<()> {
        println!("$ curl -i '{}'", self.url());
        let answer = Connection::open(self.address).await?.send(&self.target()?).await?;
        println!("{}", answer.status);
        headers(&answer);
        println!("{}", answer.start(400));
        ensure!(answer.status.is_success(), "the unit's URL was answered with {}", answer.status);
        Ok(())
    }

    /// Prints and sends messages over a WebSocket.
    ///
    /// # Errors
    /// If one is not echoed.
    pub async fn echo(&self, messages: &[&str]) -> anyhow::Result<()> {
        println!("$ websocat 'ws://{}{}'", self.host, self.path);
        let mut socket = Socket::open(self.address, &self.host, &self.path).await?;
        for message in messages {
            socket.echo(message).await?;
            println!("> {message}\n< {message}");
        }
        Ok(())
    }
}
