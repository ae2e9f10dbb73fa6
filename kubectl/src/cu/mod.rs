//! `kubectl cu`: commands for computing units, one in each file.

mod age;
mod columns;
mod complete;
mod created;
mod delete;
mod describe;
mod description;
mod doctor;
mod grace;
mod known;
mod list;
mod logs;
mod mode;
mod operators;
mod pools;
mod resize;
mod rows;
mod select;
mod session;
mod url;
mod version;
mod wait;
mod wake;
mod watching;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    create::{self, args::Args as CreateArgs},
    error::Error,
    options::ConnectionArgs,
    stdio::write_stdout,
};

pub use complete::complete;

/// `kubectl cu`.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-cu",
    bin_name = "kubectl cu",
    version,
    about = "Manage computing units",
    after_help = EXAMPLES,
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Cluster and user.
    #[command(flatten, next_help_heading = "Options of kubectl")]
    connection: ConnectionArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List units [aliases: get, ls]
    #[command(aliases = ["ls", "get"])]
    List(rows::Args),
    /// Show details of units: stages, conditions, activity, last failure, Events
    Describe(describe::Args),
    /// Create a unit, like `kubectl create computingunit`
    Create(Box<CreateArgs>),
    /// Stop units, and keep their URLs and volumes
    Suspend(mode::ChangeArgs),
    /// Start units that are suspended, failed or finished
    Resume(mode::ChangeArgs),
    /// Stop and start units, which applies pending changes
    Restart(mode::ChangeArgs),
    /// Change CPU, memory and other resources of units, in the running pod if the cluster supports it
    Resize(resize::Args),
    /// Print the URLs of units
    Url(url::Args),
    /// Open units in a browser
    Open(url::Args),
    /// Print the logs of units
    Logs(logs::Args),
    /// Wait until units are ready, suspended, finished, resized or deleted, or have a condition
    Wait(wait::Args),
    /// Delete units, and wait until they are gone [alias: rm]
    #[command(alias = "rm")]
    Delete(delete::Args),
    /// List pools: images, sizes, URLs and limits on offer
    Pools(pools::Args),
    /// Check the operator, the gateway and your rights, and say what to do
    Doctor(doctor::Args),
    /// Print the versions of the plugin, the operator and the API server
    Version(version::Args),
    /// Print the completion script kubectl_complete-cu
    #[command(after_help = COMPLETION)]
    Completion,
    #[command(name = "__complete", hide = true)]
    Complete {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

/// Runs a command.
///
/// # Errors
/// If it fails, or the result cannot be written.
pub async fn run(cli: Cli) -> Result<ExitCode, Error> {
    let Cli { command, connection } = cli;
    match command {
        Command::List(args) => list::list(&args, &connection).await,
        Command::Describe(args) => describe::describe(&args, &connection).await,
        Command::Create(args) => create::create(&args, &connection).await,
        Command::Suspend(args) => mode::suspend(&args, &connection).await,
        Command::Resume(args) => mode::resume(&args, &connection).await,
        Command::Restart(args) => mode::restart(&args, &connection).await,
        Command::Resize(args) => resize::resize(&args, &connection).await,
        Command::Url(args) => url::url(&args, &connection).await,
        Command::Open(args) => url::open(&args, &connection).await,
        Command::Logs(args) => logs::logs(&args, &connection).await,
        Command::Wait(args) => wait::wait(&args, &connection).await,
        Command::Delete(args) => delete::delete(&args, &connection).await,
        Command::Pools(args) => pools::pools(&args, &connection).await,
        Command::Doctor(args) => doctor::doctor(&args, &connection).await,
        Command::Version(args) => version::version(&args, &connection).await,
        Command::Completion => {
            write_stdout(complete::SCRIPT)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Complete { words } => complete(&words).await,
    }
}

const EXAMPLES: &str = "\
Examples:
  # List units and watch for changes
  kubectl cu list --watch

  # Show details of a unit
  kubectl cu describe ada

  # Suspend all units with a label, and wait for them
  kubectl cu suspend -l course=101 --wait

  # Start a unit and open it in a browser
  kubectl cu open ada --resume

  # See which images, sizes and URLs there are
  kubectl cu pools

  # Change the memory of a unit
  kubectl cu resize ada --memory 8Gi --wait

  # Stream the logs of two units
  kubectl cu logs ada bob --follow

  # Find out why units do not start
  kubectl cu doctor";

const COMPLETION: &str = "\
kubectl completes this plugin if the script is on the PATH:
  kubectl cu completion > /usr/local/bin/kubectl_complete-cu
  chmod +x /usr/local/bin/kubectl_complete-cu";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, String> {
        let words = ["kubectl-cu"].into_iter().chain(line.split_whitespace());
        Cli::try_parse_from(words).map_err(|error| error.to_string())
    }

    #[test]
    fn command_line_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_kubectl_are_accepted_before_and_after_the_command() {
        parse("list --client-certificate c --client-key k --certificate-authority a --tls-server-name n -v 6").unwrap();
        assert_eq!(parse("list -v=8").unwrap().connection.verbosity, 8);
        assert_eq!(parse("--v=8 list").unwrap().connection.verbosity, 8);
        for line in ["-n team suspend ada", "suspend -n team ada", "suspend ada -n team --as-group g --as u"] {
            assert_eq!(parse(line).unwrap().connection.namespace.as_deref(), Some("team"), "{line}");
        }
    }

    #[test]
    fn selection_wait_and_dry_run_are_the_same_for_every_command_that_changes_units() {
        let more = "-A -l a=b --field-selector metadata.name!=x --owner ada --ignore-not-found";
        for command in ["suspend", "resume", "restart", "resize --cpu 1"] {
            parse(&format!("{command} {more} --wait=true --timeout 5m --dry-run=server -o name")).unwrap();
        }
        for command in ["list", "describe", "url", "open", "logs", "wait", "delete"] {
            parse(&format!("{command} {more}")).unwrap();
        }
        parse("delete ada --wait=false --timeout 0 --dry-run -o name").unwrap();
        parse("delete ada --wait --grace-period=-1 --now=false --force=false").unwrap();
        parse("describe ada --show-events=false").unwrap();
        parse("resize ada --limits nvidia.com/gpu=1,ephemeral-storage=4Gi").unwrap();
        parse("wait ada --for=create --for=ready --timeout=1m").unwrap();
        parse("wait ada --for=condition=Ready --for=jsonpath={.status.url} --timeout=-1s -o yaml").unwrap();
        parse("logs ada --tail=-1 --all-containers --limit-bytes 5 --follow --max-log-requests 9").unwrap();
        parse("help list").unwrap_err();
    }

    #[test]
    fn invalid_arguments_are_rejected() {
        for (line, expected) in [
            ("resize ada", "--cpu"),
            ("resize ada --limits nvidia.com/gpu", "KEY=VALUE"),
            ("resize ada --memory lots", "such as 2, 500m or 4Gi"),
            ("wait ada --for tomorrow", "must be ready"),
            ("list -o wide --columns name", "--columns"),
            ("list -o xml", "allowed formats are"),
            ("suspend ada --wait=30s", "use --timeout=30s"),
            ("suspend ada --wait 30s", "write --timeout=30s"),
            ("delete nc-m --wait false", "write --wait=false"),
            ("delete pod/bob", "is not the type of units"),
            ("delete ada --now", "terminationGracePeriodSeconds of the pool"),
            ("delete ada --force", "terminationGracePeriodSeconds of the pool"),
            ("delete ada --grace-period=0", "terminationGracePeriodSeconds of the pool"),
            ("delete ada --grace-period soon", "a number of seconds"),
            ("delete ada --wait=maybe", "must be true or false"),
            ("describe ada --show-events=maybe", "must be true or false"),
            ("suspend ada -v much", "invalid digit"),
            ("logs ada --tail -2", "-2 is not in -1.."),
            ("logs ada --since 1h --since-time 2026-01-01T00:00:00Z", "cannot be used with"),
            ("dance", "dance"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
