//! The program: reads the command line and does what it says.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use computing_unit_operator::{
    cli::{Args, Command, LogFormat, crd, remove_finalizers, run},
    config::{Logging, Settings},
    telemetry,
};
use kube::Client;

#[tokio::main]
async fn main() -> ExitCode {
    match run_command(Args::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without their sources, which errors of the client repeat in their own text.
            if tracing::dispatcher::has_been_set() {
                tracing::error!(%error, "ended");
            } else {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run_command(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => {
            let settings = Settings::try_from(*args)?;
            telemetry::init(&settings.logging)?;
            run::run(settings).await?;
        }
        Command::Crd(args) => match (&args.dir, &args.api_doc) {
            (None, None) => print!("{}", crd::all()?),
            (dir, api_doc) => crd::write(dir.as_deref(), api_doc.as_deref())?,
        },
        Command::RemoveFinalizers(args) => {
            let namespaces = args.namespaces()?;
            telemetry::init(&Logging::new(LogFormat::Text, String::new())?)?;
            let client = Client::try_default().await.context("no cluster to work on: set KUBECONFIG")?;
            let removed = remove_finalizers::remove_finalizers(client, &namespaces).await?;
            println!("removed {removed} finalizers");
        }
    }
    Ok(())
}
