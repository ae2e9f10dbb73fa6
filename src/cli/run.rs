//! `run`: everything that lives as long as the process, put together.

use std::{io, pin::pin, sync::Arc, time::Duration};

use kube::{Client, Config, config::InferConfigError};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    activator,
    config::Settings,
    controllers,
    health::{self, Gates},
    leader::{self, Lost},
    listen::{BindError, bind},
    metrics::Metrics,
};

/// The API server ends a watch within 290 s; a connection that is silent for longer than this is dead.
const SILENCE: Duration = Duration::from_mins(5);
/// How long a connection may take to be made, and a request to be sent.
const CONNECT: Duration = Duration::from_secs(10);
/// How long requests that are held may take to be answered at the end.
const LETTING_GO: Duration = Duration::from_secs(1);

/// Why the operator ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cluster.
    #[error("no cluster to work on: set KUBECONFIG, or run in a pod with a service account ({0})")]
    NoCluster(#[source] Box<InferConfigError>),
    /// The configuration of the cluster cannot be used.
    #[error("cannot make a client of the cluster: {0}")]
    Client(#[source] Box<kube::Error>),
    /// The address of health and metrics, or of the entries.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Signals cannot be received.
    #[error("cannot listen for SIGTERM and SIGINT: {0}")]
    Signals(#[source] io::Error),
    /// Health and metrics ended.
    #[error("health and metrics are not served any more: {0}")]
    Serve(#[source] io::Error),
    /// The entries ended.
    #[error("the entries of pools are not served any more: {0}")]
    ServeEntry(#[source] io::Error),
    /// The Lease was lost.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// A controller ended.
    #[error(transparent)]
    Controller(#[from] controllers::Error),
}

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// If it cannot start, or must not go on.
pub async fn run(settings: Settings) -> Result<(), Error> {
    let shutdown = signals().map_err(Error::Signals)?;
    let http = bind("--http-address", settings.http_address).await?;
    let entry = match &settings.activator {
        Some(entry) => Some(bind("--activator-address", entry.address).await?),
        None => None,
    };
    let client = client().await?;
    let (metrics, gates) = (Arc::new(Metrics::new()), Gates::default());
    let address = http.local_addr().map_err(Error::Serve)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %address, "health and metrics are served");

    let namespaces = settings.watch_namespaces.clone();
    let entry = entries(entry, namespaces, client.clone(), metrics.clone(), gates.clone(), shutdown.clone());
    let work = work(settings, client, metrics.clone(), gates.clone(), &shutdown);
    // Work ends the process. Entries are answered whether this process works or stands by.
    let both = async {
        let mut entry = pin!(entry);
        let ended = tokio::select! {
            ended = work => ended,
            Err(ended) = &mut entry => return Err(Error::ServeEntry(ended)),
        };
        if shutdown.is_cancelled() {
            // Whoever is held is let go with an answer.
            let _ = timeout(LETTING_GO, entry).await;
        }
        ended
    };
    tokio::select! {
        ended = both => ended,
        // Served until all work has ended, so that its end can be watched.
        ended = health::serve(http, metrics, gates, CancellationToken::new()) => ended.map_err(Error::Serve),
    }
}

/// Serves the entries of pools until `shutdown`. Without a Service for them there is nothing to serve.
async fn entries(
    listener: Option<TcpListener>,
    namespaces: Vec<String>,
    client: Client,
    metrics: Arc<Metrics>,
    gates: Gates,
    shutdown: CancellationToken,
) -> io::Result<()> {
    if let Some(listener) = listener {
        return activator::serve(listener, client, &namespaces, metrics, &gates, shutdown).await;
    }
    shutdown.cancelled().await;
    Ok(())
}

async fn work(
    settings: Settings,
    client: Client,
    metrics: Arc<Metrics>,
    gates: Gates,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let Some(election) = settings.election.clone() else {
        metrics.leading(true);
        return Ok(controllers::run(settings, client, metrics, gates, shutdown.clone()).await?);
    };
    let done = leader::lead(&client, &election, &metrics, &gates, shutdown, |working| {
        controllers::run(settings, client.clone(), metrics.clone(), gates.clone(), working)
    });
    match done.await? {
        Some(ended) => Ok(ended?),
        None => Ok(()),
    }
}

/// A token that is cancelled by the first SIGTERM or SIGINT.
fn signals() -> io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    Ok(shutdown)
}

/// A client for watches and for writes that are tried again by whoever sent them: the client's own retries would hold a
/// place among the reconciles for minutes.
async fn client() -> Result<Client, Error> {
    let mut config = Config::infer().await.map_err(|error| Error::NoCluster(Box::new(error)))?;
    config.connect_timeout = Some(CONNECT);
    config.write_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    config.default_retry = false;
    Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))
}
