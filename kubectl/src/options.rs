//! Options that several commands have.

use std::{path::PathBuf, time::Duration};

use crate::values::{duration, switch};

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

    /// Address and port of the API server
    #[arg(global = true, short, long, value_name = "URL")]
    pub server: Option<String>,

    /// Bearer token for the API server
    #[arg(global = true, long, value_name = "TOKEN")]
    pub token: Option<String>,

    /// Path to a client certificate for the API server
    #[arg(global = true, long, value_name = "FILE")]
    pub client_certificate: Option<PathBuf>,

    /// Path to the key of the client certificate
    #[arg(global = true, long, value_name = "FILE")]
    pub client_key: Option<PathBuf>,

    /// Path to the certificates of the authority that signed the certificate of the API server
    #[arg(global = true, long, value_name = "FILE", conflicts_with = "insecure_skip_tls_verify")]
    pub certificate_authority: Option<PathBuf>,

    /// Do not verify the certificate of the API server; connections are then insecure
    #[arg(global = true, long)]
    pub insecure_skip_tls_verify: bool,

    /// Name to verify in the certificate of the API server; defaults to the host name
    #[arg(global = true, long, value_name = "NAME")]
    pub tls_server_name: Option<String>,

    /// User to impersonate
    #[arg(global = true, long = "as", value_name = "USER")]
    pub impersonate: Option<String>,

    /// Group to impersonate; can be repeated
    #[arg(global = true, long = "as-group", value_name = "GROUP")]
    pub impersonate_groups: Vec<String>,

    /// UID to impersonate
    #[arg(global = true, long = "as-uid", value_name = "UID")]
    pub impersonate_uid: Option<String>,

    /// Timeout of a single request to the API server; 0 disables it
    #[arg(global = true, long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    pub request_timeout: Duration,

    /// Verbosity of the log on stderr: 6 for requests to the API server and their duration, 8 for all that the client logs
    #[arg(global = true, short = 'v', long = "v", value_name = "LEVEL", default_value_t = 0)]
    pub verbosity: u8,
}

/// The timeout of waits without one. kubectl waits as long.
pub const WEEK: Duration = Duration::from_hours(7 * 24);

/// Whether to wait, and for how long.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[command(mut_arg("wait", switch))]
pub struct WaitArgs {
    /// Wait for the operation to finish. Progress is written to stderr
    #[arg(long)]
    pub wait: Option<bool>,

    /// Time to wait, for example 90s, 5m or 1h30m; 0 for no limit. Implies --wait [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
}

impl WaitArgs {
    /// The default timeout.
    const USUAL: Duration = Duration::from_mins(10);

    /// The time to wait, if any.
    pub fn limit(&self) -> Option<Duration> {
        match (self.wait, self.timeout) {
            (Some(false), _) | (None, None) => None,
            (_, Some(Duration::ZERO)) => Some(WEEK),
            (_, timeout) => Some(timeout.unwrap_or(Self::USUAL)),
        }
    }
}
