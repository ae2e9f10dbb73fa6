//! A load on one setup: requests or WebSocket messages, without a rate limit or at a fixed rate.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{task::JoinSet, time::interval};

use super::Chain;
use crate::{
    traffic::{Hammer, Latency, Socket, Target},
    wait::pass,
};

/// The number of connections.
const CONNECTIONS: u32 = 16;
/// The duration of a load.
const WHILE: Duration = Duration::from_secs(5);
/// The text of each WebSocket message.
const MESSAGE: &str =
    "a message of a workflow's user interface, or the engine's answer to one: about a hundred characters long";

/// The kind of load.
#[derive(Clone, Debug)]
pub enum What {
    /// Requests.
    Requests(Box<Target>),
    /// Messages that a WebSocket at this host and path echoes.
    Messages(String, String),
}

/// The results of a load.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Responses per second.
    pub rate: f64,
    /// CPU time of the proxies per response, in microseconds.
    pub cost: f64,
    /// The system part of it.
    pub kernel: f64,
    /// The latencies.
    pub latency: Latency,
}

/// Applies the load to a setup, limited to `rate` per second if given.
///
/// # Errors
/// If a request is not answered with 200, or a WebSocket is cut.
pub async fn load(chain: &Chain, what: &What, rate: Option<f64>) -> anyhow::Result<Seen> {
    let (began, before) = (Instant::now(), chain.proxies.spent()?);
    let latency = match what {
        What::Requests(target) => requests(chain.front, target, rate).await?,
        What::Messages(host, path) => messages(chain.front, host, path, rate).await?,
    };
    let after = chain.proxies.spent()?;
    #[expect(clippy::cast_precision_loss, reason = "a count over a few seconds")]
    let count = latency.count() as f64;
    let [own, kernel] = [0, 1].map(|part| (after[part] - before[part]) / count * 1e6);
    Ok(Seen { rate: count / began.elapsed().as_secs_f64(), cost: own + kernel, kernel, latency })
}

async fn requests(front: SocketAddr, target: &Target, rate: Option<f64>) -> anyhow::Result<Latency> {
    let hammer = Hammer::new(&[front], target.clone()).connections(CONNECTIONS);
    let hammer = if let Some(rate) = rate { hammer.rate(rate) } else { hammer }.start()?;
    pass(WHILE).await;
    let report = hammer.stop().await?;
    report.assert_only(&[200])?;
    Ok(report.latency)
}

async fn messages(front: SocketAddr, host: &str, path: &str, rate: Option<f64>) -> anyhow::Result<Latency> {
    let mut talks = JoinSet::new();
    let end = Instant::now() + WHILE;
    for _ in 0..CONNECTIONS {
        let socket = Socket::open(front, host, path).await?;
        let pace = rate.map(|rate| Duration::from_secs_f64(f64::from(CONNECTIONS) / rate));
        talks.spawn(talk(socket, end, pace));
    }
    let mut all = Latency::default();
    while let Some(talk) = talks.join_next().await {
        all.merge(&talk.context("the task of a WebSocket")??);
    }
    Ok(all)
}

async fn talk(mut socket: Socket, end: Instant, pace: Option<Duration>) -> anyhow::Result<Latency> {
    let mut latency = Latency::default();
    let mut pace = pace.map(interval);
    while Instant::now() < end {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let sent = Instant::now();
        socket.echo(MESSAGE).await?;
        latency.record(sent.elapsed());
    }
    Ok(latency)
}
