//! What `run` was told, checked: whoever holds a [`Settings`] need not look at it again.
//!
//! Each refusal names the flag and says what to give instead.

use std::{env, fs, net::SocketAddr, num::NonZeroU16, process, time};

use computing_unit_api::Duration;
use tracing_subscriber::EnvFilter;

use crate::{cli::LogFormat, controllers::activator_route::route::ActivatorService};

/// What the running operator goes by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespaces of pools and units, sorted; empty for all.
    pub watch_namespaces: Vec<String>,
    /// Namespaces of Gateways and of their proxies, sorted; empty for all.
    pub gateway_namespaces: Vec<String>,
    /// How many units are worked on at a time.
    pub concurrency: NonZeroU16,
    /// How many probes are under way at a time.
    pub probe_concurrency: NonZeroU16,
    /// Where health and metrics are served; port 0 for any free one.
    pub http_address: SocketAddr,
    /// What is logged, and how.
    pub logging: Logging,
    /// How leaders are elected; absent where this process always works.
    pub election: Option<Election>,
    /// How often each unit is looked at although nothing happened.
    pub resync_period: time::Duration,
    /// Where the entries of pools are served; absent where they are not.
    pub activator: Option<Activator>,
}

impl Settings {
    /// The shortest resync period.
    pub const MIN_RESYNC: time::Duration = time::Duration::from_secs(10);
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct Logging {
    format: LogFormat,
    filter: String,
}

impl Logging {
    /// Lines of `format` for what `filter` lets through; an empty filter is `info`.
    ///
    /// # Errors
    /// If `filter` is not one that tracing can read.
    pub fn new(format: LogFormat, filter: String) -> Result<Self, InvalidSettings> {
        let filter = if filter.trim().is_empty() { "info".to_owned() } else { filter };
        match filter.parse::<EnvFilter>() {
            Ok(_) => Ok(Self { format, filter }),
            Err(error) => Err(InvalidSettings::Filter(filter, error.to_string())),
        }
    }

    /// How lines look.
    #[must_use]
    pub const fn format(&self) -> LogFormat {
        self.format
    }

    /// What is let through. The client of the API server says nothing unless it is named: whoever called it reports
    /// its errors.
    #[must_use]
    pub fn filter(&self) -> EnvFilter {
        EnvFilter::new(format!("kube_client=off,{}", self.filter))
    }
}

/// Where the entries of pools are served.
#[derive(Clone, Debug)]
pub struct Activator {
    /// The Service that leads to this process.
    pub service: ActivatorService,
    /// Where this process serves it; port 0 for any free one.
    pub address: SocketAddr,
}

/// How leaders are elected.
#[derive(Clone, Debug)]
pub struct Election {
    namespace: Option<String>,
    lease: String,
    seconds: u32,
    identity: String,
}

impl Election {
    /// An election by the Lease `lease` of `namespace` (absent: the client's own), which lasts `duration` after each
    /// renewal, for the candidate `identity`.
    ///
    /// # Errors
    /// If the name is no name, the duration not whole seconds or too short to be renewed in, or the identity too long.
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
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Name of the Lease.
    #[must_use]
    pub fn lease(&self) -> &str {
        &self.lease
    }

    /// How long the Lease lasts after a renewal, in seconds; at least 3.
    #[must_use]
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }

    /// Who this process is.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }
}

/// A setting that cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSettings {
    /// A namespace that cannot exist.
    #[error(
        "{flag}: {name:?} is not a name of a namespace: give lower-case letters, digits and '-', at most 63, \
         and several names separated by commas"
    )]
    Namespace {
        /// The flag that it was given to.
        flag: &'static str,
        /// What was given.
        name: String,
    },
    /// A Lease that cannot exist.
    #[error("--lease-name: {0:?} is not a name of a Lease: give lower-case letters, digits, '-' and '.'")]
    Lease(String),
    /// A Lease too short to be renewed, or not in the unit that a Lease has.
    #[error("--lease-duration: give whole seconds, at least 3s and at most 1h")]
    LeaseDuration,
    /// An identity that cannot be written into a Lease.
    #[error("--identity: give 1 to 100 printable characters that no other process uses, such as the name of the pod")]
    Identity,
    /// No identity was given and the host has no name.
    #[error("--identity: the name of this host cannot be read: give a name that no other process uses")]
    NoHostName,
    /// A Service that cannot exist.
    #[error(
        "--activator-service: {0:?} names no Service: write namespace/name:port, such as operators/computing-units:80"
    )]
    ActivatorService(String),
    /// A resync that would keep the operator busy.
    #[error("--resync-period: {0} is too often: give at least 10s (changes are seen at once in any case)")]
    Resync(Duration),
    /// Not a log filter.
    #[error(
        "--log: {0:?} is not a filter ({1}): give a level (error, warn, info, debug, trace), or target=level pairs separated by commas"
    )]
    Filter(String, String),
}

/// The namespaces given to `flag`, sorted, each once.
///
/// # Errors
/// If one is not the name of a namespace.
pub fn namespaces(flag: &'static str, given: Vec<String>) -> Result<Vec<String>, InvalidSettings> {
    let mut all = given
        .into_iter()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .map(|name| label(flag, name))
        .collect::<Result<Vec<_>, _>>()?;
    all.sort();
    all.dedup();
    Ok(all)
}

/// The one namespace given to `flag`.
///
/// # Errors
/// If it is not the name of a namespace.
pub fn label(flag: &'static str, name: String) -> Result<String, InvalidSettings> {
    if name.len() <= 63 && is_label(&name) { Ok(name) } else { Err(InvalidSettings::Namespace { flag, name }) }
}

/// The Service given as `namespace/name:port`.
///
/// # Errors
/// If it is written otherwise.
pub fn activator_service(given: &str) -> Result<ActivatorService, InvalidSettings> {
    let read = || {
        let (namespace, rest) = given.split_once('/')?;
        let (name, port) = rest.rsplit_once(':')?;
        let port: NonZeroU16 = port.parse().ok()?;
        let names = [namespace, name].iter().all(|name| name.len() <= 63 && is_label(name));
        names.then(|| ActivatorService { namespace: namespace.to_owned(), name: name.to_owned(), port: port.get() })
    };
    read().ok_or_else(|| InvalidSettings::ActivatorService(given.to_owned()))
}

fn is_label(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends(name.chars().next())
        && ends(name.chars().last())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// This host's name and this process's number, for two processes of one host are two candidates. In a container the
/// number is always the same, so that a container that is started again has its Lease back at once.
///
/// # Errors
/// If the host has no name that can be read.
pub fn host_identity() -> Result<String, InvalidSettings> {
    env::var("HOSTNAME")
        .ok()
        .or_else(|| fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .map(|name| format!("{name}_{}", process::id()))
        .ok_or(InvalidSettings::NoHostName)
}
