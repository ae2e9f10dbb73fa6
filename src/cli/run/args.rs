//! The flags of `run`. Each has an environment variable: its name in capitals after `CU_`.

use std::{net::SocketAddr, num::NonZeroU16};

use clap::ArgAction;
use computing_unit_api::Duration;

use crate::config::{
    Activator, ActivatorService, Election, InvalidSettings, LogFormat, Logging, Settings, host_identity, namespace,
    namespaces, resync_period,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Namespaces of pools and units, separated by commas. Empty: all
    #[arg(long, env = "CU_WATCH_NAMESPACES", value_delimiter = ',', value_name = "NAMES")]
    watch_namespaces: Vec<String>,

    /// Namespaces of Gateways and their proxies, separated by commas. Empty: all
    #[arg(long, env = "CU_GATEWAY_NAMESPACES", value_delimiter = ',', value_name = "NAMES")]
    gateway_namespaces: Vec<String>,

    /// Namespace of Envoy Gateway's controller. Proxies in the namespace of their Gateway are used only if there are none here
    #[arg(long, env = "CU_ENVOY_GATEWAY_NAMESPACE", default_value = "envoy-gateway-system", value_name = "NAME")]
    envoy_gateway_namespace: String,

    /// Maximum number of concurrent reconciles, in each watched namespace if namespaces are listed, and of concurrent
    /// API writes. One namespace gets at most half
    #[arg(long, env = "CU_CONCURRENCY", default_value = "32", value_name = "N")]
    concurrency: NonZeroU16,

    /// Maximum number of concurrent probes
    #[arg(long, env = "CU_PROBE_CONCURRENCY", default_value = "64", value_name = "N")]
    probe_concurrency: NonZeroU16,

    /// Address of health and metrics. Port 0 selects a free port
    #[arg(long, env = "CU_HTTP_ADDRESS", default_value = "[::]:8080", value_name = "IP:PORT")]
    http_address: SocketAddr,

    /// Log format
    #[arg(long, env = "CU_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,

    /// Log filter, such as `info` or `computing_unit_operator=debug,info`. The client library logs only if the filter
    /// names `kube_client`
    #[arg(long, env = "CU_LOG", default_value = "info", value_name = "FILTER")]
    log: String,

    /// Reconcile only while holding a Lease. `false` is for a single process only
    #[arg(
        long,
        env = "CU_LEADER_ELECT",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    leader_elect: bool,

    /// Namespace of the Lease. Default: that of the pod, or of the kubeconfig's context
    #[arg(long, env = "CU_LEADER_ELECTION_NAMESPACE", value_name = "NAME")]
    leader_election_namespace: Option<String>,

    /// Name of the Lease
    #[arg(long, env = "CU_LEASE_NAME", default_value = "computing-unit-operator", value_name = "NAME")]
    lease_name: String,

    /// Lease duration: how long standbys wait before taking over from a leader that stopped renewing. Whole seconds, 3s
    /// to 1h
    #[arg(long, env = "CU_LEASE_DURATION", default_value = "15s", value_name = "DURATION")]
    lease_duration: Duration,

    /// Holder identity in the Lease; no two processes may share it. Default: host name and process ID
    #[arg(long, env = "CU_IDENTITY", value_name = "NAME")]
    identity: Option<String>,

    /// Service of the activator. It has to select all replicas. Empty: no activator
    #[arg(long, env = "CU_ACTIVATOR_SERVICE", value_name = "NAMESPACE/NAME:PORT")]
    activator_service: Option<String>,

    /// Address that the activator listens on. Port 0 selects a free port
    #[arg(long, env = "CU_ACTIVATOR_ADDRESS", default_value = "[::]:8090", value_name = "IP:PORT")]
    activator_address: SocketAddr,

    /// Resync period: how often each unit is reconciled without an event. At least 10s
    #[arg(long, env = "CU_RESYNC_PERIOD", default_value = "1h", value_name = "DURATION")]
    resync_period: Duration,
}

impl Args {
    pub fn settings(self) -> Result<Settings, InvalidSettings> {
        let service = self.activator_service.filter(|service| !service.is_empty());
        let service = service.map(|service| ActivatorService::parse(&service)).transpose()?;
        let election = if self.leader_elect {
            let given = self.leader_election_namespace.filter(|name| !name.is_empty());
            let given = given.map(|name| namespace("--leader-election-namespace", name)).transpose()?;
            let identity = match self.identity.filter(|identity| !identity.is_empty()) {
                Some(identity) => identity,
                None => host_identity()?,
            };
            Some(Election::new(given, self.lease_name, self.lease_duration.0, identity)?)
        } else {
            None
        };
        Ok(Settings {
            watch_namespaces: namespaces("--watch-namespaces", self.watch_namespaces)?,
            gateway_namespaces: namespaces("--gateway-namespaces", self.gateway_namespaces)?,
            envoy_gateway_namespace: namespace("--envoy-gateway-namespace", self.envoy_gateway_namespace)?,
            concurrency: self.concurrency,
            probe_concurrency: self.probe_concurrency,
            http_address: self.http_address,
            logging: Logging::new(self.log_format, self.log)?,
            election,
            resync_period: resync_period(self.resync_period)?,
            activator: service.map(|service| Activator { service, address: self.activator_address }),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Run {
        #[command(flatten)]
        args: Args,
    }

    fn settings(flags: &[&str]) -> Result<Settings, String> {
        let words = ["run"].iter().chain(flags);
        let run = Run::try_parse_from(words).map_err(|error| error.to_string())?;
        run.args.settings().map_err(|error| error.to_string())
    }

    #[test]
    fn settings_without_flags_have_defaults() {
        let settings = settings(&["--identity=me"]).unwrap();
        assert!(settings.watch_namespaces.is_empty() && settings.gateway_namespaces.is_empty());
        assert_eq!((settings.concurrency.get(), settings.probe_concurrency.get()), (32, 64));
        assert_eq!(settings.http_address.to_string(), "[::]:8080", "IPv4 and IPv6");
        assert_eq!(settings.resync_period, time::Duration::from_hours(1));
        let election = settings.election.unwrap();
        assert_eq!((election.namespace(), election.lease()), (None, "computing-unit-operator"));
        assert_eq!((election.identity(), election.seconds()), ("me", 15));
    }

    #[test]
    fn activator_is_configured_if_it_has_a_service() {
        assert!(settings(&["--identity=me", "--activator-service="]).unwrap().activator.is_none());
        let activator =
            settings(&["--identity=me", "--activator-service=operators/activator:80"]).unwrap().activator.unwrap();
        assert_eq!(
            (activator.service.to_string().as_str(), activator.address.port()),
            ("operators/activator:80", 8090)
        );
    }

    #[test]
    fn lists_are_split_and_sorted_and_may_be_empty() {
        let flags =
            ["--watch-namespaces=b,a,b", "--gateway-namespaces=", "--leader-election-namespace=", "--identity="];
        let settings = settings(&flags).unwrap();
        assert_eq!(settings.watch_namespaces, ["a", "b"]);
        assert!(settings.gateway_namespaces.is_empty());
        let election = settings.election.unwrap();
        assert_eq!(election.namespace(), None);
        assert!(!election.identity().is_empty());
    }

    #[test]
    fn leader_election_flag_may_have_a_value() {
        for (flags, expected) in
            [(&["--leader-elect"][..], true), (&["--leader-elect=true"], true), (&["--leader-elect=false"], false)]
        {
            let flags: Vec<&str> = flags.iter().copied().chain(["--identity=me"]).collect();
            assert_eq!(settings(&flags).unwrap().election.is_some(), expected, "{flags:?}");
        }
    }

    #[test]
    fn client_library_logs_nothing_unless_the_filter_names_it() {
        for (flag, expected) in [("--log=info", "off"), ("--log=info,kube_client=debug", "debug")] {
            let filter = settings(&[flag, "--identity=me"]).unwrap().logging.filter().to_string();
            let client: Vec<&str> = filter.split(',').filter(|part| part.starts_with("kube_client")).collect();
            assert_eq!(client, [format!("kube_client={expected}")], "{filter}");
        }
    }

    #[test]
    fn error_names_the_flag_and_the_valid_values() {
        for (flag, expected) in [
            ("--watch-namespaces=A_b", "--watch-namespaces: \"A_b\" is not a valid namespace name"),
            ("--lease-duration=1500ms", "--lease-duration: must be whole seconds, at least 3s"),
            ("--lease-duration=2s", "--lease-duration: must be whole seconds, at least 3s"),
            ("--lease-duration=5d", "use a format such as 10m"),
            ("--resync-period=5s", "--resync-period: 5s is too short"),
            ("--lease-name=A", "--lease-name: \"A\" is not a valid Lease name"),
            ("--log=computing_unit_operator=loud", "--log: \"computing_unit_operator=loud\" is not a valid filter"),
            ("--concurrency=0", "--concurrency"),
            ("--activator-service=operators/a", "--activator-service: \"operators/a\" is not a valid Service"),
            ("--activator-service=a/b:0", "--activator-service"),
            ("--activator-service=a/B:80", "--activator-service"),
        ] {
            let error = settings(&[flag, "--identity=me"]).unwrap_err();
            assert!(error.contains(expected), "{flag}: {error}");
        }
        let error = settings(&[&format!("--identity={}", "x".repeat(101))]).unwrap_err();
        assert!(error.contains("--identity: must be 1 to 100"), "{error}");
    }
}
