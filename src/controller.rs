//! The controllers. A seam only so far: nothing is reconciled here yet.

use std::sync::Arc;

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, server::Gates, settings::Settings};

/// Why the controllers ended before they were told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {}

/// Runs the controllers until `shutdown`, and returns once nothing is under way any more.
///
/// # Errors
/// If a controller ends before it is told to.
pub async fn run(
    _settings: Settings,
    _client: Client,
    _metrics: Arc<Metrics>,
    _gates: Gates,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    shutdown.cancelled().await;
    Ok(())
}
