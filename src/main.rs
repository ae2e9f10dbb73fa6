//! The program: reads the command line and does what it says.

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
async fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Run(args) => {
            let settings = Settings::try_from(args)?;
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
            let released = release::release(client, &namespaces).await.context("take the finalizers off")?;
            println!("released {released} units");
        }
    }
    Ok(())
}
