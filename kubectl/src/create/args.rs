//! Options of `create`. The API server validates the object, see [`crate::explain`].

use clap::{ArgAction, Parser};
use computing_unit_api::Quantity;

use crate::{
    options::{ConnectionArgs, WaitArgs, quantity},
    print::{DryRun, Output},
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
    pub name: String,

    /// Spec of the unit.
    #[command(flatten, next_help_heading = "Unit")]
    pub unit: UnitArgs,

    /// Whether to wait until it is ready.
    #[command(flatten)]
    pub wait: WaitArgs,

    /// Must be "none", "server" or "client". If client, only print the object; if server, submit the request without
    /// persisting it. Without a value: "client"
    #[arg(
        long,
        value_name = "none|client|server",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "client",
        value_enum,
        hide_possible_values = true,
        conflicts_with = "wait",
    )]
    dry_run: Option<DryRun>,

    /// Output format. One of: yaml, json, name
    #[arg(short, long, value_name = "yaml|json|name", value_enum, hide_possible_values = true)]
    pub output: Option<Output>,
}

impl Args {
    /// The kind of dry run, if any.
    pub fn dry_run(&self) -> Option<DryRun> {
        self.dry_run.filter(|dry_run| *dry_run != DryRun::None)
    }
}

/// Spec of the unit.
#[derive(Clone, Debug, clap::Args)]
pub struct UnitArgs {
    /// Texera's ID of the unit, at least 1 and unique on the gateway; defaults to the name as routing key
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub cuid: Option<i64>,

    /// Name of the ComputingUnitPool
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub pool: String,

    /// Image that the pool offers, by name or reference; defaults to that of the pool
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,

    /// CPU limit, for example 2 or 500m
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    pub cpu: Option<Quantity>,

    /// Memory limit, for example 4Gi
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    pub memory: Option<Quantity>,

    /// Number of GPUs
    #[arg(long, value_name = "N")]
    pub gpu: Option<u32>,

    /// Resource name of GPUs
    #[arg(long, value_name = "KEY", default_value = "nvidia.com/gpu", requires = "gpu")]
    pub gpu_resource: String,

    /// Size of /dev/shm; counts against the memory limit
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    pub shared_memory: Option<Quantity>,

    /// Environment variable of the unit; can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable, action = ArgAction::Append)]
    pub env: Vec<(String, String)>,

    /// User that the unit belongs to; grants no permissions
    #[arg(long, value_name = "USER")]
    pub owner: Option<String>,
}

const LONG_ABOUT: &str = "\
Create a computing unit: an execution engine with its own URL.

The unit refers to a ComputingUnitPool in the same namespace, which has the pod template, the
gateway and the limits. With --wait, the command waits until the unit is reachable through the
gateway. Its URL is then the last line of stdout. With --output=yaml or json, the last observed
state of the unit is printed instead.

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
  kubectl create computingunit lab --pool teaching --image r --env MODE=batch --env OPTS=-Xmx2g --wait=5m

  # Print the object as YAML without a request to the API server
  kubectl create computingunit ada --memory 4Gi --dry-run=client -o yaml

  # Validate the object without creating it
  kubectl create computingunit ada --cuid 42 --dry-run=server -n team-a

  # Use the URL in a script
  url=$(kubectl create computingunit ada --wait | tail -n 1)";

fn variable(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=') else { return Err("must have the form NAME=VALUE".to_owned()) };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(allowed) {
        return Err(format!(
            "invalid name {name:?}: must consist of letters, digits, '_', '-' or '.', and must not start with a digit"
        ));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory;

    use super::*;

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
        assert_eq!(args.name, "ada");
        assert_eq!(connection.namespace.as_deref(), Some("team"));
        assert_eq!(connection.context.as_deref(), Some("c"));
        assert_eq!(args.unit.env, [("A".into(), "b=c".into()), ("B".into(), String::new())]);
        assert_eq!(args.output, Some(Output::Yaml));
        assert_eq!((args.wait.wait, args.dry_run()), (None, None));
    }

    #[test]
    fn duration_of_wait_requires_an_equals_sign() {
        for (line, seconds) in [
            ("--wait ada", 600),
            ("ada --wait", 600),
            ("ada --wait=90", 90),
            ("ada --wait=90s", 90),
            ("ada --wait=1h30m", 5400),
            ("ada --wait=1.5h", 5400),
        ] {
            assert_eq!(parse(line).unwrap().args.wait.wait, Some(Duration::from_secs(seconds)), "{line}");
        }
        for line in ["ada --wait=", "ada --wait=soon", "ada --wait=-5s", "ada --wait=0", "ada --wait --dry-run=server"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn dry_run_has_none_client_and_server() {
        for (line, expected) in [
            ("ada", None),
            ("ada --dry-run=none", None),
            ("ada --dry-run", Some(DryRun::Client)),
            ("ada --dry-run=client", Some(DryRun::Client)),
            ("--dry-run ada", Some(DryRun::Client)),
            ("ada --dry-run=server", Some(DryRun::Server)),
        ] {
            assert_eq!(parse(line).unwrap().args.dry_run(), expected, "{line}");
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
            ("a --wait=1fortnight", "90s, 5m or 1h30m"),
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
