//! The settings of a running operator, validated.
//!
//! Each error names the flag and what to give instead.

use std::{env, fmt, fs, net::SocketAddr, num::NonZeroU16, process, time};

use clap::ValueEnum;
use computing_unit_api::Duration;
use tracing_subscriber::EnvFilter;

/// The settings of `run`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespaces of pools and units, sorted; empty for all.
    pub watch_namespaces: Vec<String>,
    /// Namespaces of Gateways and their proxies, sorted; empty for all.
    pub gateway_namespaces: Vec<String>,
    /// Namespace of Envoy Gateway's controller, and of the proxies that it creates.
    pub envoy_gateway_namespace: String,
    /// Maximum number of concurrent reconciles, of which one namespace gets at most half.
    pub concurrency: NonZeroU16,
    /// Maximum number of concurrent probes.
    pub probe_concurrency: NonZeroU16,
    /// Address of health and metrics. Port 0 selects a free port.
    pub http_address: SocketAddr,
    pub logging: Logging,
    /// `None` to reconcile without leader election.
    pub election: Option<Election>,
    /// Time between two reconciles of a unit without an event.
    pub resync_period: time::Duration,
    /// `None` to run without the activator.
    pub activator: Option<Activator>,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Human-readable text.
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Clone, Debug)]
pub struct Logging {
    format: LogFormat,
    filter: String,
}

impl Logging {
    /// An empty filter means `info`.
    pub fn new(format: LogFormat, filter: String) -> Result<Self, InvalidSettings> {
        let filter = if filter.trim().is_empty() { "info".to_owned() } else { filter };
        match filter.parse::<EnvFilter>() {
            Ok(_) => Ok(Self { format, filter }),
            Err(error) => Err(InvalidSettings::Filter(filter, error.to_string())),
        }
    }

    pub const fn format(&self) -> LogFormat {
        self.format
    }

    /// The client library logs nothing unless the filter names it: its callers report its errors.
    pub fn filter(&self) -> EnvFilter {
        EnvFilter::new(format!("kube_client=off,{}", self.filter))
    }
}

#[derive(Clone, Debug)]
pub struct Activator {
    pub service: ActivatorService,
    /// Address that the activator listens on. Port 0 selects a free port.
    pub address: SocketAddr,
}

/// The Service of the activator. It selects all replicas of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivatorService {
    pub namespace: String,
    pub name: String,
    pub port: u16,
}

impl ActivatorService {
    /// Parses `namespace/name:port`.
    pub fn parse(given: &str) -> Result<Self, InvalidSettings> {
        let parsed = || {
            let (namespace, rest) = given.split_once('/')?;
            let (name, port) = rest.rsplit_once(':')?;
            let port: NonZeroU16 = port.parse().ok()?;
            let valid = [namespace, name].iter().all(|name| name.len() <= 63 && is_label(name));
            valid.then(|| Self { namespace: namespace.to_owned(), name: name.to_owned(), port: port.get() })
        };
        parsed().ok_or_else(|| InvalidSettings::ActivatorService(given.to_owned()))
    }
}

impl fmt::Display for ActivatorService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.name, self.port)
    }
}

/// The settings of leader election.
#[derive(Clone, Debug)]
pub struct Election {
    namespace: Option<String>,
    lease: String,
    seconds: u32,
    identity: String,
}

impl Election {
    /// Without a namespace, the Lease is in the default namespace of the client.
    pub fn new(
        namespace: Option<String>,
        lease: String,
        duration: time::Duration,
        identity: String,
    ) -> Result<Self, InvalidSettings> {
        if !(lease.len() <= 253 && lease.split('.').all(is_label)) {
            return Err(InvalidSettings::Lease(lease));
        }
        let seconds = match u32::try_from(duration.as_secs()) {
            Ok(seconds @ 3..=3600) if duration.subsec_nanos() == 0 => seconds,
            _ => return Err(InvalidSettings::LeaseDuration),
        };
        // Longer than any host name with a process ID. The API server has no limit.
        if !(1..=100).contains(&identity.chars().count()) || identity.chars().any(char::is_control) {
            return Err(InvalidSettings::Identity);
        }
        Ok(Self { namespace, lease, seconds, identity })
    }

    /// Namespace of the Lease, if one was given.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Name of the Lease.
    pub fn lease(&self) -> &str {
        &self.lease
    }

    /// Duration of the Lease in seconds; at least 3.
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }

    /// Identity of this process as a holder of the Lease.
    pub fn identity(&self) -> &str {
        &self.identity
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidSettings {
    #[error(
        "{flag}: {name:?} is not a valid namespace name: use lower-case letters, digits and '-', at most 63 characters; \
         separate several names with commas"
    )]
    Namespace { flag: &'static str, name: String },
    #[error("--lease-name: {0:?} is not a valid Lease name: use lower-case letters, digits, '-' and '.'")]
    Lease(String),
    /// Too short to be renewed, or not in the unit of a Lease.
    #[error("--lease-duration: must be whole seconds, at least 3s and at most 1h")]
    LeaseDuration,
    #[error("--identity: must be 1 to 100 printable characters that no other process uses, such as the pod name")]
    Identity,
    #[error("--identity: the host name cannot be read: give a name that no other process uses")]
    NoHostName,
    #[error(
        "--activator-service: {0:?} is not a valid Service: use namespace/name:port, such as operators/computing-units:80"
    )]
    ActivatorService(String),
    /// Would keep the operator busy.
    #[error("--resync-period: {0} is too short: must be at least 10s (changes are reconciled immediately in any case)")]
    Resync(Duration),
    #[error(
        "--log: {0:?} is not a valid filter ({1}): use a level (error, warn, info, debug, trace), or target=level pairs \
         separated by commas"
    )]
    Filter(String, String),
}

/// The shortest resync period.
const MIN_RESYNC: time::Duration = time::Duration::from_secs(10);

pub fn resync_period(given: Duration) -> Result<time::Duration, InvalidSettings> {
    if given.0 < MIN_RESYNC { Err(InvalidSettings::Resync(given)) } else { Ok(given.0) }
}

/// The namespaces given to `flag`, sorted and without duplicates.
pub fn namespaces(flag: &'static str, given: Vec<String>) -> Result<Vec<String>, InvalidSettings> {
    let mut all = given
        .into_iter()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .map(|name| namespace(flag, name))
        .collect::<Result<Vec<_>, _>>()?;
    all.sort();
    all.dedup();
    Ok(all)
}

/// The single namespace given to `flag`.
pub fn namespace(flag: &'static str, name: String) -> Result<String, InvalidSettings> {
    if name.len() <= 63 && is_label(&name) { Ok(name) } else { Err(InvalidSettings::Namespace { flag, name }) }
}

fn is_label(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends(name.chars().next())
        && ends(name.chars().last())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The host name and the process ID, so that two processes on one host are two candidates. A container always has the same
/// process ID, so that it keeps its Lease after a restart.
pub fn host_identity() -> Result<String, InvalidSettings> {
    env::var("HOSTNAME")
        .ok()
        .or_else(|| fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .map(|name| format!("{name}_{}", process::id()))
        .ok_or(InvalidSettings::NoHostName)
}
