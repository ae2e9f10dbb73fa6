//! Options of `create`. The API server validates the object, see [`crate::explain`].

use std::path::PathBuf;

use clap::Parser;
use computing_unit_api::Quantity;

use super::more::MoreArgs;
use crate::{
    dry_run::DryRunArgs,
    options::{ConnectionArgs, WaitArgs},
    printer::OutputArgs,
    values::{amount, quantity},
};

/// `kubectl create computingunit`.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-create-computingunit",
    bin_name = "kubectl create computingunit",
    version,
    about = "Create a computing unit: an execution engine with its own URL.",
    long_about = LONG_ABOUT,
    after_long_help = EXAMPLES,
    after_help = "Use --help for details and examples.",
)]
pub struct Cli {
    /// Unit, and whether to wait for it.
    #[command(flatten)]
    pub args: Args,

    /// Cluster and user.
    #[command(flatten, next_help_heading = "Options of kubectl")]
    pub connection: ConnectionArgs,
}

/// Unit, and whether to wait for it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the unit: at most 63 lower-case letters, digits and '-', starting with a letter
    #[arg(required_unless_present = "filename")]
    pub name: Option<String>,

    /// Manifest with one or several units, as YAML or JSON; "-" for stdin. The options change it
    #[arg(short, long, value_name = "FILE")]
    pub filename: Option<PathBuf>,

    /// Spec of the unit.
    #[command(flatten, next_help_heading = "Unit")]
    pub unit: UnitArgs,

    /// Metadata, environment and lifecycle of the unit.
    #[command(flatten, next_help_heading = "Unit")]
    pub more: MoreArgs,

    /// Whether to wait until it is ready.
    #[command(flatten)]
    pub wait: WaitArgs,

    /// Whether to persist it.
    #[command(flatten)]
    pub dry_run: DryRunArgs,

    /// How it is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Spec of the unit.
#[derive(Clone, Debug, clap::Args)]
pub struct UnitArgs {
    /// Texera's ID of the unit, at least 1 and unique on the gateway; defaults to the name as routing key
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub cuid: Option<i64>,

    /// Name of the ComputingUnitPool [default: default]
    #[arg(long, value_name = "NAME")]
    pub pool: Option<String>,

    /// Image that the pool offers, by name or reference; defaults to that of the pool
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,

    /// CPU limit, for example 2 or 500m
    #[arg(long, value_name = "QUANTITY", value_parser = quantity, allow_negative_numbers = true)]
    pub cpu: Option<Quantity>,

    /// Memory limit, for example 4Gi
    #[arg(long, value_name = "QUANTITY", value_parser = quantity, allow_hyphen_values = true)]
    pub memory: Option<Quantity>,

    /// Requests, for example cpu=500m,memory=1Gi; default to the limits
    #[arg(long, value_name = "NAME=QUANTITY,...", value_parser = amount, value_delimiter = ',')]
    pub requests: Vec<(String, Quantity)>,

    /// Number of GPUs
    #[arg(long, value_name = "N")]
    pub gpu: Option<u32>,

    /// Resource name of GPUs
    #[arg(long, value_name = "KEY", default_value = "nvidia.com/gpu", requires = "gpu")]
    pub gpu_resource: String,

    /// Size of /dev/shm; counts against the memory limit
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    pub shared_memory: Option<Quantity>,

    /// User that the unit belongs to; grants no permissions
    #[arg(long, value_name = "USER")]
    pub owner: Option<String>,
}

const LONG_ABOUT: &str = "\
Create a computing unit: an execution engine with its own URL.

The unit refers to a ComputingUnitPool in the same namespace, which has the pod template, the
gateway and the limits. With --wait, the command waits until the unit is reachable through the
gateway. Its URL is then the last line of stdout. With --output, the last observed state of the unit
is printed in that format instead.

The command keeps waiting if the problem can clear without a change of the unit: the pool or the
gateway does not exist yet, no node has enough resources, an image cannot be pulled. It ends with
exit code 1 if the unit cannot become ready without intervention: the pool does not offer the
image or does not allow a Secret or ConfigMap, a limit is exceeded, another unit has the routing
key, an object with the name of a child exists, the API server rejects the pod, or the unit has
failed or is being deleted. After a timeout or Ctrl-C the start of the unit continues.

kubectl runs this command as kubectl-create-computingunit from the PATH. Options must follow the
word computingunit.";

const EXAMPLES: &str = "\
Examples:
  # Create a unit in the pool \"default\", wait until it is ready and print its URL
  kubectl create computingunit ada --wait

  # Create Texera's unit 42 with two cores, 4Gi of memory and a GPU
  kubectl create computingunit computing-unit-42 --cuid 42 --cpu 2 --memory 4Gi --gpu 1 --owner ada

  # Create a unit with another pool, image and environment, and wait up to five minutes
  kubectl create computingunit lab --pool teaching --image r --env MODE=batch --env OPTS=-Xmx2g --wait --timeout=5m

  # Create a unit with labels, the entries of a Secret as environment variables, and an idle timeout
  kubectl create computingunit ada --labels course=101,team=blue --env-from secret/cu-ada --idle-timeout 30m

  # Create a unit from a manifest with another memory limit
  sed s/ada/bob/ ada.yaml | kubectl create computingunit -f - --memory 8Gi

  # Print the object as YAML without a request to the API server
  kubectl create computingunit ada --memory 4Gi --dry-run=client -o yaml

  # Validate the object without creating it
  kubectl create computingunit ada --cuid 42 --dry-run=server -n team-a

  # Use the URL in a script
  url=$(kubectl create computingunit ada --wait | tail -n 1)";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory;

    use super::*;
    use crate::{dry_run::DryRun, printer::Format};

    fn parse(line: &str) -> Result<Cli, String> {
        let words = ["kubectl-create-computingunit"].into_iter().chain(line.split_whitespace());
        Cli::try_parse_from(words).map_err(|error| error.to_string())
    }

    #[test]
    fn command_line_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_are_accepted_before_and_after_the_name() {
        let Cli { args, connection } = parse("-n team --cpu 2 ada --context=c --env A=b=c --env B= -o yaml").unwrap();
        assert_eq!(args.name.as_deref(), Some("ada"));
        assert_eq!(connection.namespace.as_deref(), Some("team"));
        assert_eq!(connection.context.as_deref(), Some("c"));
        assert_eq!(args.more.env, [("A".into(), "b=c".into()), ("B".into(), String::new())]);
        assert_eq!(args.output.output, Some(Format::Yaml));
        assert_eq!((args.wait.limit(), args.dry_run.dry_run), (None, DryRun::None));
    }

    #[test]
    fn wait_and_timeout_are_those_of_kubectl() {
        for (line, seconds) in [
            ("--wait ada", Some(600)),
            ("ada --wait", Some(600)),
            ("ada --wait=true --timeout=90", Some(90)),
            ("ada --wait --timeout 1h30m", Some(5400)),
            ("ada --timeout=90s", Some(90)),
            ("ada --wait --timeout=0", Some(7 * 24 * 3600)),
            ("ada --wait=false --timeout=90s", None),
            ("ada", None),
        ] {
            assert_eq!(parse(line).unwrap().args.wait.limit(), seconds.map(Duration::from_secs), "{line}");
        }
        for (line, expected) in [
            ("ada --wait=90s", "use --timeout=90s"),
            ("ada --wait=", "true or false"),
            ("ada --timeout=soon", "90s, 5m or 1h30m"),
            ("ada --timeout=-5s", "must not be negative"),
            ("ada --wait 60s", "unexpected argument"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn dry_run_has_none_client_and_server() {
        for (line, expected) in [
            ("ada", DryRun::None),
            ("ada --dry-run=none", DryRun::None),
            ("ada --dry-run", DryRun::Client),
            ("ada --dry-run=client", DryRun::Client),
            ("--dry-run ada", DryRun::Client),
            ("ada --dry-run=server", DryRun::Server),
        ] {
            assert_eq!(parse(line).unwrap().args.dry_run.dry_run, expected, "{line}");
        }
        assert!(parse("ada --dry-run=maybe").is_err());
    }

    #[test]
    fn error_names_the_expected_format() {
        for (line, expected) in [
            ("a --memory 4gb", "such as 2, 500m or 4Gi"),
            ("a --env 1A=b", "must not start with a digit"),
            ("a --env Ä=b", "letters, digits"),
            ("a --env =b", "letters, digits"),
            ("a --env A", "NAME=VALUE"),
            ("a --memory -1Gi", "must not be negative"),
            ("a --requests cpu", "KEY=VALUE"),
            ("a --requests cpu=lots", "such as 2, 500m or 4Gi"),
            ("a --env-from pod/x", "secret/NAME or configmap/NAME"),
            ("a --idle-timeout 1d", "10m, 1h30m"),
            ("a --shutdown-time soon", "2026-"),
            ("a --labels team", "KEY=VALUE"),
            ("", "NAME"),
            ("a --gpu-resource amd.com/gpu", "--gpu"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn values_that_the_api_server_validates_are_accepted() {
        assert_eq!(parse("Not_A_Label --cuid -1").unwrap().args.unit.cuid, Some(-1));
    }
}
