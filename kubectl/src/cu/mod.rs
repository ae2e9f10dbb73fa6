//! `kubectl cu`: what a person does with units, day by day. Each command has a file; here is which there are.

mod age;
mod columns;
mod complete;
mod delete;
mod describe;
mod description;
mod list;
mod logs;
mod mode;
mod open;
mod resize;
mod select;
mod session;
mod table;
mod wait;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    create::{self, args::Args as CreateArgs},
    error::Error,
    options::ConnectionArgs,
    stdio::write_stdout,
};

pub use complete::complete;
use select::SelectAndWait;

/// `kubectl cu`.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-cu",
    bin_name = "kubectl cu",
    version,
    about = "Computing units: see them, suspend and resume them, change their size, open them, read their logs.",
    after_help = EXAMPLES,
    disable_help_subcommand = true,
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Which cluster, and as whom.
    #[command(flatten, next_help_heading = "As for kubectl")]
    connection: ConnectionArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show units in a table
    #[command(visible_aliases = ["ls", "get"])]
    List(list::Args),
    /// Show all that is known of units: stages, conditions, activity, last failure, Events
    Describe(describe::Args),
    /// Create a unit, as `kubectl create computingunit` does
    Create(CreateArgs),
    /// Stop units and keep their names, URLs and volumes
    Suspend(SelectAndWait),
    /// Start units that are suspended, have failed or have ended
    Resume(SelectAndWait),
    /// Stop units and start them again; changes that wait for the next start take effect
    Restart(SelectAndWait),
    /// Give units another amount of CPU and memory, while they run where the cluster can
    Resize(resize::Args),
    /// Print the URLs of units, or open them in a browser
    Open(open::Args),
    /// Show what the engines of units wrote
    Logs(logs::Args),
    /// Wait until units are ready, suspended, finished, resized or deleted
    Wait(wait::Args),
    /// Delete units
    #[command(visible_alias = "rm")]
    Delete(SelectAndWait),
    /// Print the file kubectl_complete-cu, by which kubectl's own completion knows these commands
    #[command(after_help = COMPLETION)]
    Completion,
    #[command(name = "__complete", hide = true)]
    Complete {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

/// Does what the command line says.
///
/// # Errors
/// If it is not done, or the result cannot be written.
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
        Command::Open(args) => open::open(&args, &connection).await,
        Command::Logs(args) => logs::logs(&args, &connection).await,
        Command::Wait(args) => wait::wait(&args, &connection).await,
        Command::Delete(args) => delete::delete(&args, &connection).await,
        Command::Completion => {
            write_stdout(complete::SCRIPT)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Complete { words } => complete(&words).await,
    }
}

const EXAMPLES: &str = "\
Examples:
  kubectl cu list --watch                     # who runs, who is idle, who is stuck and why
  kubectl cu describe ada                     # everything about one unit
  kubectl cu suspend -l course=101 --wait     # a whole class, until all are suspended
  kubectl cu open ada --resume --browser      # back to work
  kubectl cu resize ada --memory 8Gi --wait   # more memory, without a restart where the cluster can
  kubectl cu logs ada bob --follow";

const COMPLETION: &str = "\
kubectl completes what plugins have to offer once a file of that name is on the PATH:
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
    fn the_options_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_options_of_kubectl_come_before_and_after_the_command() {
        for line in ["-n team suspend ada", "suspend -n team ada", "suspend ada -n team --as-group g --as u"] {
            assert_eq!(parse(line).unwrap().connection.namespace.as_deref(), Some("team"), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, says) in [
            ("suspend", "NAME"),
            ("resize ada", "--cpu"),
            ("resize ada --memory lots", "such as 2, 500m or 4Gi"),
            ("wait ada --for tomorrow", "ready"),
            ("list -o wide --columns name", "--columns"),
            ("suspend ada --wait=0", "must be more than 0"),
            ("dance", "dance"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
        }
    }
}
