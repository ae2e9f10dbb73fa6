//! The command line of `create`: which options there are, and what each text must look like.
//!
//! Nothing here knows the API server. What an object may contain is decided there, see [`crate::explain`].

use clap::{ArgAction, Parser, ValueEnum};
use computing_unit_api::Quantity;

use crate::{
    options::{ConnectionArgs, WaitArgs, quantity},
    print::Output,
};

/// `kubectl create computingunit`.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-create-computingunit",
    bin_name = "kubectl create computingunit",
    version,
    about = "Create a computing unit: a running engine of your own, at a URL of its own.",
    long_about = LONG_ABOUT,
    after_long_help = EXAMPLES,
    after_help = "Examples and the whole text: --help",
)]
pub struct Cli {
    /// What to create.
    #[command(flatten)]
    pub args: Args,

    /// Which cluster, and as whom.
    #[command(flatten, next_help_heading = "As for kubectl")]
    pub connection: ConnectionArgs,
}

/// What to create, and whether to wait for it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the unit: at most 63 lower-case letters, digits and '-', starting with a letter
    pub name: String,

    /// What the unit is to be.
    #[command(flatten, next_help_heading = "The unit")]
    pub unit: UnitArgs,

    /// Whether to wait until it answers.
    #[command(flatten)]
    pub wait: WaitArgs,

    /// Create nothing: "client" only prints the object, "server" has the API server check it too; without a value, "client"
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

    /// Print the object in this format instead of a sentence
    #[arg(short, long, value_name = "yaml|json|name", value_enum, hide_possible_values = true)]
    pub output: Option<Output>,
}

impl Args {
    /// How far a dry run goes, where there is one.
    pub fn dry_run(&self) -> Option<DryRun> {
        self.dry_run.filter(|how_far| *how_far != DryRun::None)
    }
}

/// What the unit is to be.
#[derive(Clone, Debug, clap::Args)]
pub struct UnitArgs {
    /// Texera's number for the unit, at least 1 and unique on the gateway. Absent: the unit goes by its name
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub cuid: Option<i64>,

    /// The ComputingUnitPool that the unit is made from
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub pool: String,

    /// One of the images that the pool offers, by name or reference. Absent: the pool's default
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,

    /// The most CPU that the unit may use, such as 2 or 500m
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    pub cpu: Option<Quantity>,

    /// The most memory that the unit may use, such as 4Gi
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    pub memory: Option<Quantity>,

    /// How many GPUs the unit gets
    #[arg(long, value_name = "N")]
    pub gpu: Option<u32>,

    /// The resource that --gpu counts
    #[arg(long, value_name = "KEY", default_value = "nvidia.com/gpu", requires = "gpu")]
    pub gpu_resource: String,

    /// Size of /dev/shm, taken from the memory
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    pub shared_memory: Option<Quantity>,

    /// An environment variable of the unit; can be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable, action = ArgAction::Append)]
    pub env: Vec<(String, String)>,

    /// Who the unit is for: shown, selectable and counted, never a permission
    #[arg(long, value_name = "USER")]
    pub owner: Option<String>,
}

/// How far a dry run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// There is none: the object is made.
    None,
    /// The object is printed; nobody is asked.
    Client,
    /// The API server checks and completes the object, and forgets it.
    Server,
}

const LONG_ABOUT: &str = "\
Create a computing unit: a running engine of your own, at a URL of its own.

The unit is made from a ComputingUnitPool of the same namespace, which decides the image, the
gateway and the bounds. With --wait the command ends once requests through the gateway reach the
unit. Its URL is then the last line of stdout, except with --output: yaml and json print the unit as
it was at the end.

Waiting goes on for whatever can heal by itself: a pool or a gateway that is not there yet, a node
that has no room, an image that cannot be pulled at the moment. It ends at once, with exit code 1,
when only you can help: an image that the pool does not offer, a Secret or ConfigMap that it does
not let units read, a limit exceeded, a key that another unit has, a name that another object has,
a pod that the API server refuses; and when the unit has failed or is deleted. At the deadline and
after Ctrl-C the unit stays and keeps starting.

kubectl finds this command as kubectl-create-computingunit on the PATH. Options come after the word
computingunit, before or after NAME.";

const EXAMPLES: &str = "\
Examples:
  # A unit from the pool \"default\" of the current namespace; wait for it and open its URL
  kubectl create computingunit ada --wait

  # Texera's unit 42, with two cores, 4Gi of memory and a GPU
  kubectl create computingunit computing-unit-42 --cuid 42 --cpu 2 --memory 4Gi --gpu 1 --owner ada

  # Another pool, image and environment; give up waiting after five minutes
  kubectl create computingunit lab --pool teaching --image r --env MODE=batch --env OPTS=-Xmx2g --wait=5m

  # The object as YAML, to be kept or changed, without a cluster
  kubectl create computingunit ada --memory 4Gi --dry-run=client -o yaml

  # Would the API server take it?
  kubectl create computingunit ada --cuid 42 --dry-run=server -n team-a

  # In a script
  url=$(kubectl create computingunit ada --wait | tail -n 1)";

fn variable(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=') else { return Err("write NAME=VALUE".to_owned()) };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(allowed) {
        return Err(format!("the name {name:?} may only have letters, digits, '_', '-' and '.', and no digit first"));
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
    fn the_options_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_come_before_and_after_the_name() {
        let Cli { args, connection } = parse("-n team --cpu 2 ada --context=c --env A=b=c --env B= -o yaml").unwrap();
        assert_eq!(args.name, "ada");
        assert_eq!(connection.namespace.as_deref(), Some("team"));
        assert_eq!(connection.context.as_deref(), Some("c"));
        assert_eq!(args.unit.env, [("A".into(), "b=c".into()), ("B".into(), String::new())]);
        assert_eq!(args.output, Some(Output::Yaml));
        assert_eq!((args.wait.wait, args.dry_run()), (None, None));
    }

    #[test]
    fn a_wait_takes_its_length_only_after_an_equals_sign() {
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
    fn a_dry_run_says_how_far_it_goes() {
        for (line, far) in [
            ("ada", None),
            ("ada --dry-run=none", None),
            ("ada --dry-run", Some(DryRun::Client)),
            ("ada --dry-run=client", Some(DryRun::Client)),
            ("--dry-run ada", Some(DryRun::Client)),
            ("ada --dry-run=server", Some(DryRun::Server)),
        ] {
            assert_eq!(parse(line).unwrap().args.dry_run(), far, "{line}");
        }
        assert!(parse("ada --dry-run=maybe").is_err());
    }

    #[test]
    fn a_bad_value_is_answered_with_what_is_allowed() {
        for (line, says) in [
            ("a --memory 4gb", "such as 2, 500m or 4Gi"),
            ("a --env 1A=b", "no digit first"),
            ("a --env Ä=b", "letters, digits"),
            ("a --env =b", "letters, digits"),
            ("a --env A", "NAME=VALUE"),
            ("a --wait=1fortnight", "90s, 5m or 1h30m"),
            ("a --gpu-resource amd.com/gpu", "--gpu"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
        }
    }

    #[test]
    fn what_only_the_api_server_judges_passes() {
        assert_eq!(parse("Not_A_Label --cuid -1").unwrap().args.unit.cuid, Some(-1));
    }
}
