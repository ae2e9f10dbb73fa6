//! `run`: runs the health server, the activator and, while this process leads, the controllers.

mod args;

use std::{io, panic, sync::Arc, time::Duration};

use kube::{Client, Config, config::InferConfigError};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub use self::args::Args;
use crate::{
    activator,
    config::Settings,
    controllers,
    health::{self, Gates},
    leader::{self, Lost},
    listen::{BindError, bind},
    metrics::Metrics,
};

/// Timeout of reads. The API server ends a watch within 290 s, so that a connection without data for longer is dead.
const READ_TIMEOUT: Duration = Duration::from_mins(5);
/// Timeout of connects and writes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For how long the activator may answer held requests after the shutdown began.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the operator exited without a signal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to a cluster: set KUBECONFIG, or run in a pod with a service account ({0})")]
    NoCluster(#[source] Box<InferConfigError>),
    #[error("cannot create a client of the cluster: {0}")]
    Client(#[source] Box<kube::Error>),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("cannot handle SIGTERM and SIGINT: {0}")]
    Signals(#[source] io::Error),
    #[error("cannot serve health and metrics: {0}")]
    Health(#[source] io::Error),
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Controller(#[from] controllers::Error),
}

/// Runs the operator until SIGTERM or SIGINT.
pub async fn run(settings: Settings) -> Result<(), Error> {
    let shutdown = signals().map_err(Error::Signals)?;
    let http = bind("--http-address", settings.http_address).await?;
    let listener = match &settings.activator {
        Some(activator) => Some(bind("--activator-address", activator.address).await?),
        None => None,
    };
    let client = client().await?;
    let (metrics, gates) = (Arc::new(Metrics::new()), Gates::default());
    let address = http.local_addr().map_err(Error::Health)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %address, "serving health and metrics");

    let namespaces = settings.watch_namespaces.clone();
    let activator =
        serve_activator(listener, namespaces, client.clone(), metrics.clone(), gates.clone(), shutdown.clone());
    let controllers = run_controllers(settings, client, metrics.clone(), gates.clone(), &shutdown);
    // The process exits with the controllers. The activator also serves while this process is a standby.
    let work = async {
        let mut activator = tokio::spawn(activator);
        let result = tokio::select! {
            result = controllers => result,
            Err(panicked) = &mut activator => panic::resume_unwind(panicked.into_panic()),
        };
        if shutdown.is_cancelled() && !activator.is_finished() {
            // Held requests get an answer.
            let _ = timeout(DRAIN_TIMEOUT, activator).await;
        }
        result
    };
    tokio::select! {
        result = work => result,
        // Without the shutdown token, so that metrics cover the whole shutdown.
        () = health::serve(http, metrics, gates, CancellationToken::new()) => Ok(()),
    }
}

/// Runs the activator, if it is configured, until `shutdown`.
async fn serve_activator(
    listener: Option<TcpListener>,
    namespaces: Vec<String>,
    client: Client,
    metrics: Arc<Metrics>,
    gates: Gates,
    shutdown: CancellationToken,
) {
    match listener {
        Some(listener) => activator::serve(listener, client, &namespaces, metrics, &gates, shutdown).await,
        None => shutdown.cancelled().await,
    }
}

/// Runs the controllers until `shutdown`; with leader election, while this process leads.
async fn run_controllers(
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
    let leading = leader::lead(&client, &election, &metrics, &gates, shutdown, |stop| {
        controllers::run(settings, client.clone(), metrics.clone(), gates.clone(), stop)
    });
    match leading.await? {
        Some(result) => Ok(result?),
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
        tracing::info!("shutting down");
        stop.cancel();
    });
    Ok(shutdown)
}

/// A client without retries: a reconcile that waits for them would occupy one of the concurrent reconciles for minutes.
/// The callers retry.
async fn client() -> Result<Client, Error> {
    let mut config = Config::infer().await.map_err(|error| Error::NoCluster(Box::new(error)))?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    config.default_retry = false;
    Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))
}
