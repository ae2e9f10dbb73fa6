//! Options that several commands have, and parsers for quantities and durations.

use std::{path::PathBuf, time::Duration};

use computing_unit_api::Quantity;
use k8s_openapi::jiff::SignedDuration;

/// Cluster and user.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConnectionArgs {
    /// Namespace of the request; defaults to that of the context
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Path to the kubeconfig file; defaults to the files in KUBECONFIG, or ~/.kube/config
    #[arg(global = true, long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Name of the kubeconfig context to use; defaults to the current context
    #[arg(global = true, long, value_name = "NAME")]
    pub context: Option<String>,

    /// Name of the kubeconfig cluster to use; defaults to that of the context
    #[arg(global = true, long, value_name = "NAME")]
    pub cluster: Option<String>,

    /// Name of the kubeconfig user to use; defaults to that of the context
    #[arg(global = true, long, value_name = "NAME")]
    pub user: Option<String>,

    /// User to impersonate
    #[arg(global = true, long = "as", value_name = "USER")]
    pub impersonate: Option<String>,

    /// Group to impersonate; can be repeated
    #[arg(global = true, long = "as-group", value_name = "GROUP")]
    pub impersonate_groups: Vec<String>,

    /// Timeout of a single request to the API server; 0 disables it
    #[arg(global = true, long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    pub request_timeout: Duration,
}

/// Whether to wait, and for how long.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct WaitArgs {
    /// Wait for the operation to finish, up to DURATION [default: 10m]
    ///
    /// DURATION is for example 90s, 5m or 1h30m; a number without a unit is in seconds. Progress is written to stderr.
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "10m",
        value_parser = positive_duration,
    )]
    pub wait: Option<Duration>,
}

/// Parses a quantity.
///
/// # Errors
/// If it is invalid.
pub fn quantity(text: &str) -> Result<Quantity, String> {
    let quantity = Quantity(text.to_owned());
    if quantity.value().is_some() {
        Ok(quantity)
    } else {
        Err("invalid quantity: use a format such as 2, 500m or 4Gi".to_owned())
    }
}

/// Parses a duration.
///
/// # Errors
/// If it is invalid.
pub fn duration(text: &str) -> Result<Duration, String> {
    let invalid = || "invalid duration: use a format such as 90s, 5m or 1h30m, or a number of seconds".to_owned();
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let duration: SignedDuration = text.parse().map_err(|_| invalid())?;
    duration.try_into().map_err(|_| invalid())
}

/// Parses a duration that is greater than 0.
///
/// # Errors
/// If it is invalid.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be greater than 0".to_owned()),
        duration => Ok(duration),
    }
}
