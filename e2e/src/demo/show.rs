//! Commands, run in sight of whoever watches, and requests through the gateway to a unit's URL.

use std::{net::SocketAddr, process::Stdio};

use anyhow::{Context, ensure};
use http::Uri;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    attach::Cluster,
    fixture::SOON,
    traffic::{Answer, Connection, Reuse, Socket, Target, first_success},
};

/// Prints what comes next.
pub fn heading(text: &str) {
    println!("\n== {text}");
}

/// Runs a command line in sight, split at its spaces.
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
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(())
}

/// Gives objects to `kubectl apply`, as if they were in the file that `shown` names.
///
/// # Errors
/// If the API server does not take them.
pub async fn apply(cluster: &Cluster, shown: &str, objects: &str) -> anyhow::Result<()> {
    println!("$ kubectl apply -f {shown}");
    let mut command = Command::new("kubectl");
    command.args(["apply", "-f", "-"]).env("KUBECONFIG", cluster.kubeconfig()).stdin(Stdio::piped());
    let mut child = command.spawn().context("run kubectl")?;
    child.stdin.take().context("kubectl's input")?.write_all(objects.as_bytes()).await?;
    let status = child.wait().await?;
    ensure!(status.success(), "kubectl apply of {shown} ended with {status}");
    Ok(())
}

/// Prints the headers of an answer that tell something here.
pub fn headers(answer: &Answer) {
    for name in ["x-computing-unit", "location", "retry-after", "content-type"] {
        if let Some(value) = answer.headers.get(name) {
            println!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
    }
}

/// Where a URL leads, and how to ask for it.
#[derive(Clone, Debug)]
pub struct Way {
    /// The address that its host and port stand for.
    pub address: SocketAddr,
    /// Host, and port where it is not the scheme's own.
    pub host: String,
    /// Path and query.
    pub path: String,
}

impl Way {
    /// Resolves the host of `url`.
    ///
    /// # Errors
    /// If it is no `http` URL, or its host has no address.
    pub async fn to(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("the URL {url}"))?;
        let name = uri.host().with_context(|| format!("no host in {url}"))?;
        let port = uri.port_u16().unwrap_or(80);
        // The forwarder of the local cluster listens on IPv4.
        let mut found: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await?.collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        let address = found.into_iter().next().with_context(|| format!("no address of {name}"))?;
        let host = uri.authority().map(ToString::to_string).unwrap_or_default();
        let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        Ok(Self { address, host, path })
    }

    /// A request for it.
    ///
    /// # Errors
    /// If it makes no request.
    pub fn target(&self) -> anyhow::Result<Target> {
        Target::new(&self.host, &self.path)
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.host, self.path)
    }

    /// Waits until it is answered with 200, as a route that was just made soon is, and then asks for it in sight.
    ///
    /// # Errors
    /// If it is not.
    pub async fn until_served(&self) -> anyhow::Result<()> {
        first_success(self.address, &self.target()?, Reuse::Fresh, SOON).await?;
        self.get().await
    }

    /// Asks for it once, in sight.
    ///
    /// # Errors
    /// If there is no answer, or another one than 200.
    pub async fn get(&self) -> anyhow::Result<()> {
        println!("$ curl -i '{}'", self.url());
        let answer = Connection::open(self.address).await?.send(&self.target()?).await?;
        println!("{}", answer.status);
        headers(&answer);
        println!("{}", answer.start(400));
        ensure!(answer.status.is_success(), "the unit's URL was answered with {}", answer.status);
        Ok(())
    }

    /// Sends messages over a WebSocket, in sight.
    ///
    /// # Errors
    /// If one does not come back.
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
