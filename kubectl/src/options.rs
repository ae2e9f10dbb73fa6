//! Options that several commands have: which cluster and as whom, and what amounts and lengths of time look like.

use std::{path::PathBuf, time::Duration};

use computing_unit_api::Quantity;
use k8s_openapi::jiff::SignedDuration;

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConnectionArgs {
    /// Namespace of the unit. Absent: the context's
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,

    /// The kubeconfig file. Absent: those that KUBECONFIG names, else ~/.kube/config
    #[arg(global = true, long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig. Absent: its current one
    #[arg(global = true, long, value_name = "NAME")]
    pub context: Option<String>,

    /// The cluster of the kubeconfig. Absent: the context's
    #[arg(global = true, long, value_name = "NAME")]
    pub cluster: Option<String>,

    /// The user of the kubeconfig. Absent: the context's
    #[arg(global = true, long, value_name = "NAME")]
    pub user: Option<String>,

    /// The user to act as
    #[arg(global = true, long = "as", value_name = "USER")]
    pub impersonate: Option<String>,

    /// A group to act as a member of; can be given several times
    #[arg(global = true, long = "as-group", value_name = "GROUP")]
    pub impersonate_groups: Vec<String>,

    /// How long the API server may take to answer a request; 0 for no limit
    #[arg(global = true, long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    pub request_timeout: Duration,
}

/// Whether to wait, and how long.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct WaitArgs {
    /// Wait until it is so, at most so long [default: 10m]
    ///
    /// Written like 90s, 5m or 1h30m; a bare number is seconds. Progress goes to stderr.
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

/// An amount, as Kubernetes writes it.
///
/// # Errors
/// If it is none.
pub fn quantity(text: &str) -> Result<Quantity, String> {
    let quantity = Quantity(text.to_owned());
    if quantity.value().is_some() { Ok(quantity) } else { Err("write a number such as 2, 500m or 4Gi".to_owned()) }
}

/// A length of time.
///
/// # Errors
/// If it is none.
pub fn duration(text: &str) -> Result<Duration, String> {
    let invalid = || "write it like 90s, 5m or 1h30m; a bare number is seconds".to_owned();
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let duration: SignedDuration = text.parse().map_err(|_| invalid())?;
    duration.try_into().map_err(|_| invalid())
}

/// A length of time, of which 0 is none.
///
/// # Errors
/// If it is none.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be more than 0: leave --wait out to not wait".to_owned()),
        duration => Ok(duration),
    }
}
