//! The command line, in kubectl's own manner.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Parser, ValueEnum};

/// Create a computing unit: a pod of your own that answers at a URL.
#[derive(Parser, Debug)]
#[command(
    name = "kubectl create computingunit",
    bin_name = "kubectl create computingunit",
    version,
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub struct Args {
    /// Name of the unit: lower-case letters, digits and '-', starting with a letter
    pub name: String,

    /// Number that requests carry to reach the unit, where its pool routes by query parameter
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub cuid: Option<i64>,

    /// Pool that the unit is made from [default: default]
    #[arg(long, value_name = "NAME")]
    pub pool: Option<String>,

    /// One of the images that the pool offers, by name or reference
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,

    /// Most CPU that the unit may use, such as 2 or 500m
    #[arg(long, value_name = "AMOUNT")]
    pub cpu: Option<String>,

    /// Most memory that the unit may use, such as 4Gi
    #[arg(long, value_name = "AMOUNT")]
    pub memory: Option<String>,

    /// How many GPUs the unit gets
    #[arg(long, value_name = "N")]
    pub gpu: Option<u32>,

    /// The resource that --gpu asks for
    #[arg(long, value_name = "RESOURCE", default_value = "nvidia.com/gpu")]
    pub gpu_resource: String,

    /// Size of /dev/shm, taken from the unit's memory, such as 1Gi
    #[arg(long, value_name = "AMOUNT")]
    pub shared_memory: Option<String>,

    /// Environment variable of the unit; can be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<Variable>,

    /// Who the unit is for
    #[arg(long, value_name = "USER")]
    pub owner: Option<String>,

    /// Wait until the unit can be opened, showing its stages, for at most so long [10m where no time is given]
    ///
    /// Ends with the URL, or with the reason and exit code 1. What an edit alone can cure ends the wait at once; a pool
    /// or gateway that does not exist yet is waited for.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "10m")]
    pub wait: Option<Limit>,

    /// Only show what would be created: `client` asks nobody, `server` has the API server check it
    #[arg(long, value_enum, value_name = "WHERE", num_args = 0..=1, require_equals = true,
          default_value = "none", default_missing_value = "client", hide_default_value = true)]
    pub dry_run: DryRun,

    /// How to print what was created
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Output>,

    /// Where to create it.
    #[command(flatten)]
    pub cluster: Cluster,
}

/// kubectl's own flags.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Cluster")]
pub struct Cluster {
    /// Namespace of the unit [default: that of the context]
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Cluster of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,

    /// User of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// The kubeconfig [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// Where nothing is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// It is created.
    None,
    /// Nobody is asked.
    Client,
    /// The API server checks it and forgets it.
    Server,
}

/// How an object is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// As YAML.
    Yaml,
    /// As JSON.
    Json,
    /// `resource/name`.
    Name,
}

/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// What stands before the first `=`.
    pub name: String,
    /// The rest.
    pub value: String,
}

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some(("", _)) | None => Err(format!("{text:?} has no name: write NAME=VALUE")),
            Some((name, value)) => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
        }
    }
}

/// A length of time as Go writes it, or in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Duration);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse() {
            return Ok(Self(Duration::from_secs(seconds)));
        }
        let parsed = text.parse::<computing_unit_operator::api::Duration>();
        parsed.map(|duration| Self(duration.0)).map_err(|error| error.to_string())
    }
}

const EXAMPLES: &str = "\
Examples:
  # A unit of the pool named default, and its URL once it answers
  kubectl create computingunit mine --wait

  # Unit 42 for ada with two cores and 4 GiB, of which 1 GiB as shared memory
  kubectl create computingunit computing-unit-42 --cuid 42 --owner ada --cpu 2 --memory 4Gi --shared-memory 1Gi

  # What would be created
  kubectl create computingunit mine --env LANG=C.UTF-8 --dry-run=client -o yaml";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(std::iter::once("x").chain(line.split_whitespace()))
    }

    #[test]
    fn waits_as_kubectl_does() {
        assert_eq!(parse("a").unwrap().wait, None);
        assert_eq!(parse("a --wait").unwrap().wait, Some(Limit(Duration::from_secs(600))));
        assert_eq!(parse("--wait a").unwrap().name, "a", "the name is no duration");
        assert_eq!(parse("a --wait=1m30s").unwrap().wait, Some(Limit(Duration::from_secs(90))));
        assert_eq!(parse("a --wait=45").unwrap().wait, Some(Limit(Duration::from_secs(45))));
        assert!(parse("a --wait=soon").unwrap_err().to_string().contains("10m"));
    }

    #[test]
    fn takes_kubectls_flags_before_and_after_the_name() {
        let args = parse("-n units a --context dev --dry-run -o yaml").unwrap();
        assert_eq!((args.cluster.namespace.as_deref(), args.cluster.context.as_deref()), (Some("units"), Some("dev")));
        assert_eq!((args.dry_run, args.output), (DryRun::Client, Some(Output::Yaml)));
        assert_eq!(parse("a --dry-run=server").unwrap().dry_run, DryRun::Server);
    }

    #[test]
    fn a_variable_keeps_what_follows_the_first_equals_sign() {
        let args = parse("a --env A=b=c --env B=").unwrap();
        let pairs: Vec<_> = args.env.iter().map(|v| (v.name.as_str(), v.value.as_str())).collect();
        assert_eq!(pairs, [("A", "b=c"), ("B", "")]);
        assert!(parse("a --env nothing").unwrap_err().to_string().contains("NAME=VALUE"));
    }
}
