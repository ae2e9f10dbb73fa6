//! The command line: one module per subcommand.

pub mod crd;
pub mod reference;
mod remove_finalizers;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{config::InvalidSettings, telemetry};

/// Kubernetes operator for computing units: runs each `ComputingUnit` as a Pod with a Service and an HTTPRoute on a
/// shared gateway.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator until SIGTERM or SIGINT
    Run(Box<run::Args>),
    /// Print both CustomResourceDefinitions as YAML, or write them to files
    Crd(crd::Args),
    /// Remove the operator's finalizer from all units, after the operator itself was removed
    RemoveFinalizers(remove_finalizers::Args),
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    #[error(transparent)]
    Run(#[from] run::Error),
    #[error(transparent)]
    Crd(#[from] crd::Error),
    #[error(transparent)]
    RemoveFinalizers(#[from] remove_finalizers::Error),
}

/// Parses the command line and runs the subcommand.
pub async fn main() -> ExitCode {
    match execute(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the sources, which errors of the client library repeat in their own text.
            if tracing::dispatcher::has_been_set() {
                tracing::error!(%error, "exiting");
            } else {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn execute(command: Command) -> Result<(), Error> {
    match command {
        Command::Run(args) => {
            let settings = args.settings()?;
            telemetry::init(&settings.logging)?;
            run::run(settings).await?;
        }
        Command::Crd(args) => crd::run(&args)?,
        Command::RemoveFinalizers(args) => {
            let namespaces = args.namespaces()?;
            telemetry::init(&remove_finalizers::logging()?)?;
            remove_finalizers::run(&namespaces).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_flag_of_run_has_an_environment_variable() {
        let cli = Cli::command();
        let run = cli.find_subcommand("run").unwrap();
        let flags = run.get_arguments().filter(|flag| !["help", "version"].contains(&flag.get_id().as_str()));
        for flag in flags {
            let expected = format!("CU_{}", flag.get_id().as_str().to_uppercase());
            assert_eq!(flag.get_env().and_then(|name| name.to_str()), Some(expected.as_str()));
        }
    }
}
