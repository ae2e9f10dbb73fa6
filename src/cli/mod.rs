//! The command line: what can be given, and how it becomes [`Settings`].
//!
//! Every flag of `run` has an environment variable, its name in capitals after `CU_`. Nothing here starts anything.

pub mod crd;
pub mod reference;
pub mod remove_finalizers;
pub mod run;

use std::{net::SocketAddr, num::NonZeroU16, path::PathBuf};

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use computing_unit_api::Duration;

use crate::config::{
    Activator, Election, InvalidSettings, Logging, Settings, activator_service, host_identity, label, namespaces,
};

/// The operator of computing units: each `ComputingUnit` becomes a Pod, a Service and an HTTPRoute on a shared gateway.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator until SIGTERM or SIGINT.
    Run(Box<RunArgs>),
    /// Print both CustomResourceDefinitions as YAML, or write them to files.
    Crd(CrdArgs),
    /// Take the operator's finalizer off every unit, once the operator itself is gone.
    RemoveFinalizers(RemoveFinalizersArgs),
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Flags of `run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Namespaces of pools and units, separated by commas. Empty: all
    #[arg(long, env = "CU_WATCH_NAMESPACES", value_delimiter = ',', value_name = "NAMES")]
    watch_namespaces: Vec<String>,

    /// Namespaces of Gateways and of their proxies, separated by commas. Empty: all
    #[arg(long, env = "CU_GATEWAY_NAMESPACES", value_delimiter = ',', value_name = "NAMES")]
    gateway_namespaces: Vec<String>,

    /// How many units are worked on at a time
    #[arg(long, env = "CU_CONCURRENCY", default_value = "32", value_name = "N")]
    concurrency: NonZeroU16,

    /// How many probes are under way at a time
    #[arg(long, env = "CU_PROBE_CONCURRENCY", default_value = "64", value_name = "N")]
    probe_concurrency: NonZeroU16,

    /// Where health and metrics are served
    #[arg(long, env = "CU_HTTP_ADDRESS", default_value = "0.0.0.0:8080", value_name = "IP:PORT")]
    http_address: SocketAddr,

    /// How log lines look
    #[arg(long, env = "CU_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,

    /// What is logged, such as `info` or `computing_unit_operator=debug,info`. `kube_client` has to be named to be heard
    #[arg(long, env = "CU_LOG", default_value = "info", value_name = "FILTER")]
    log: String,

    /// Work only while holding a Lease, so that replicas can stand by
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

    /// Namespace of the Lease. Default: the operator's own, or that of the kubeconfig's context
    #[arg(long, env = "CU_LEADER_ELECTION_NAMESPACE", value_name = "NAME")]
    leader_election_namespace: Option<String>,

    /// Name of the Lease
    #[arg(long, env = "CU_LEASE_NAME", default_value = "computing-unit-operator", value_name = "NAME")]
    lease_name: String,

    /// How long a leader that vanished is waited for
    #[arg(long, env = "CU_LEASE_DURATION", default_value = "15s", value_name = "DURATION")]
    lease_duration: Duration,

    /// Who holds the Lease; no two processes may share it. Default: the host's name and the process's number
    #[arg(long, env = "CU_IDENTITY", value_name = "NAME")]
    identity: Option<String>,

    /// The Service that leads to the entries of pools which this process serves. Empty: it serves none
    #[arg(long, env = "CU_ACTIVATOR_SERVICE", value_name = "NAMESPACE/NAME:PORT")]
    activator_service: Option<String>,

    /// Where the entries of pools are served
    #[arg(long, env = "CU_ACTIVATOR_ADDRESS", default_value = "0.0.0.0:8090", value_name = "IP:PORT")]
    activator_address: SocketAddr,

    /// How often each unit is looked at although nothing happened
    #[arg(long, env = "CU_RESYNC_PERIOD", default_value = "1h", value_name = "DURATION")]
    resync_period: Duration,
}

/// Flags of `crd`.
#[derive(Debug, clap::Args)]
pub struct CrdArgs {
    /// Write one file per definition into this directory, and print nothing
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Write the reference of all fields, in Markdown, to this file
    #[arg(long, value_name = "FILE")]
    pub api_doc: Option<PathBuf>,
}

/// Flags of `release`.
#[derive(Debug, clap::Args)]
pub struct RemoveFinalizersArgs {
    /// Namespaces of units, separated by commas. Empty: all
    #[arg(long, env = "CU_WATCH_NAMESPACES", value_delimiter = ',', value_name = "NAMES")]
    namespaces: Vec<String>,
}

impl RemoveFinalizersArgs {
    /// The namespaces to release, sorted; empty for all.
    ///
    /// # Errors
    /// If one is not the name of a namespace.
    pub fn namespaces(self) -> Result<Vec<String>, InvalidSettings> {
        namespaces("--namespaces", self.namespaces)
    }
}

impl TryFrom<RunArgs> for Settings {
    type Error = InvalidSettings;

    fn try_from(args: RunArgs) -> Result<Self, InvalidSettings> {
        let election = if args.leader_elect {
            let namespace = args.leader_election_namespace.filter(|name| !name.is_empty());
            let namespace = namespace.map(|name| label("--leader-election-namespace", name)).transpose()?;
            let identity = match args.identity.filter(|identity| !identity.is_empty()) {
                Some(identity) => identity,
                None => host_identity()?,
            };
            Some(Election::new(namespace, args.lease_name, args.lease_duration.0, identity)?)
        } else {
            None
        };
        let resync_period = args.resync_period.0;
        if resync_period < Self::MIN_RESYNC {
            return Err(InvalidSettings::Resync(args.resync_period));
        }
        let service = args.activator_service.filter(|service| !service.is_empty());
        let service = service.map(|service| activator_service(&service)).transpose()?;
        Ok(Self {
            activator: service.map(|service| Activator { service, address: args.activator_address }),
            watch_namespaces: namespaces("--watch-namespaces", args.watch_namespaces)?,
            gateway_namespaces: namespaces("--gateway-namespaces", args.gateway_namespaces)?,
            concurrency: args.concurrency,
            probe_concurrency: args.probe_concurrency,
            http_address: args.http_address,
            logging: Logging::new(args.log_format, args.log)?,
            election,
            resync_period,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time;

    use clap::CommandFactory;

    use super::*;

    fn settings(flags: &[&str]) -> Result<Settings, String> {
        let words = ["computing-unit-operator", "run"].iter().chain(flags);
        match Args::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Run(run) => Settings::try_from(*run).map_err(|error| error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn each_flag_of_run_has_its_environment_variable() {
        let all = Args::command();
        let run = all.find_subcommand("run").unwrap();
        for argument in
            run.get_arguments().filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        {
            let expected = format!("CU_{}", argument.get_id().as_str().to_uppercase());
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(expected.as_str()));
        }
    }

    #[test]
    fn without_flags_everything_has_a_default() {
        let settings = settings(&["--identity=me"]).unwrap();
        assert!(settings.watch_namespaces.is_empty() && settings.gateway_namespaces.is_empty());
        assert_eq!((settings.concurrency.get(), settings.probe_concurrency.get()), (32, 64));
        assert_eq!(settings.http_address.port(), 8080);
        assert_eq!(settings.resync_period, time::Duration::from_hours(1));
        let election = settings.election.unwrap();
        assert_eq!((election.namespace(), election.lease()), (None, "computing-unit-operator"));
        assert_eq!((election.identity(), election.seconds()), ("me", 15));
    }

    #[test]
    fn entries_are_served_where_there_is_a_service_for_them() {
        assert!(settings(&["--identity=me", "--activator-service="]).unwrap().activator.is_none());
        let activator =
            settings(&["--identity=me", "--activator-service=operators/activator:80"]).unwrap().activator.unwrap();
        assert_eq!(
            (activator.service.to_string().as_str(), activator.address.port()),
            ("operators/activator:80", 8090)
        );
    }

    #[test]
    fn lists_are_split_sorted_and_may_be_empty() {
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
    fn leader_election_is_switched_by_a_word_or_by_the_flag_alone() {
        for (flags, expected) in
            [(&["--leader-elect"][..], true), (&["--leader-elect=true"], true), (&["--leader-elect=false"], false)]
        {
            let flags: Vec<&str> = flags.iter().copied().chain(["--identity=me"]).collect();
            assert_eq!(settings(&flags).unwrap().election.is_some(), expected, "{flags:?}");
        }
    }

    #[test]
    fn the_client_is_silent_unless_it_is_named() {
        for (flag, expected) in [("--log=info", "off"), ("--log=info,kube_client=debug", "debug")] {
            let filter = settings(&[flag, "--identity=me"]).unwrap().logging.filter().to_string();
            let client: Vec<&str> = filter.split(',').filter(|part| part.starts_with("kube_client")).collect();
            assert_eq!(client, [format!("kube_client={expected}")], "{filter}");
        }
    }

    #[test]
    fn a_refusal_names_the_flag_and_says_what_to_give() {
        for (flag, expected) in [
            ("--watch-namespaces=A_b", "--watch-namespaces: \"A_b\" is not a name of a namespace"),
            ("--lease-duration=1500ms", "--lease-duration: give whole seconds, at least 3s"),
            ("--lease-duration=2s", "--lease-duration: give whole seconds, at least 3s"),
            ("--lease-duration=5d", "write it like 10m"),
            ("--resync-period=5s", "--resync-period: 5s is too often"),
            ("--lease-name=A", "--lease-name: \"A\" is not a name of a Lease"),
            ("--log=computing_unit_operator=loud", "--log: \"computing_unit_operator=loud\" is not a filter"),
            ("--concurrency=0", "--concurrency"),
            ("--activator-service=operators/entry", "--activator-service: \"operators/entry\" names no Service"),
            ("--activator-service=a/b:0", "--activator-service"),
            ("--activator-service=a/B:80", "--activator-service"),
        ] {
            let error = settings(&[flag, "--identity=me"]).unwrap_err();
            assert!(error.contains(expected), "{flag}: {error}");
        }
        let error = settings(&[&format!("--identity={}", "x".repeat(101))]).unwrap_err();
        assert!(error.contains("--identity: give 1 to 100"), "{error}");
    }
}
