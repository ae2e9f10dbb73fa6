//! The program: reads the command line and does what it says.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use computing_unit_operator::{
    args::{Args, Command, LogFormat},
    crd, release, run,
    settings::{Logging, Settings},
    telemetry,
};
use kube::Client;

#[tokio::main]
async fn main() -> ExitCode {
    match obey(Args::parse().command).await {
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

async fn obey(command: Command) -> anyhow::Result<()> {
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
        Command::Release(args) => {
            let namespaces = args.namespaces()?;
            telemetry::init(&Logging::new(LogFormat::Text, String::new())?)?;
            let client = Client::try_default().await.context("no cluster to work on: set KUBECONFIG")?;
            let released = release::release(client, &namespaces).await?;
            println!("released {released} units");
        }
    }
    Ok(())
}
