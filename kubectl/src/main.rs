//! `kubectl create computingunit`: makes a computing unit, and if asked waits until it can be opened.
//!
//! kubectl runs this program for that command when it finds it on the PATH as `kubectl-create-computingunit`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod client;
mod object;
mod print;
mod progress;
mod refusal;
mod wait;

use std::process::ExitCode;

use clap::Parser;
use computing_unit_operator::api::ComputingUnit;
use kube::{Api, ResourceExt, api::PostParams};

use args::{Args, DryRun};
use refusal::Failure;

/// Who the API server is told did it.
const FIELD_MANAGER: &str = "kubectl-create";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<(), Failure> {
    let mut unit = object::unit(args)?;
    if args.dry_run == DryRun::Client {
        unit.metadata.namespace = Some(client::namespace(&args.cluster).await);
        return print::created(&unit, args);
    }
    let client = client::client(&args.cluster).await?;
    let namespace = client.default_namespace().to_owned();
    let units: Api<ComputingUnit> = Api::namespaced(client, &namespace);
    let params = PostParams { dry_run: args.dry_run == DryRun::Server, field_manager: Some(FIELD_MANAGER.to_owned()) };
    let refused = |error| refusal::create(error, &args.name, &namespace);
    let made = units.create(&params, &unit).await.map_err(refused)?;
    print::created(&made, args)?;
    match args.wait {
        Some(limit) if args.dry_run == DryRun::None => {
            let url = wait::until_ready(units, &made.name_any(), made.uid(), limit.0).await?;
            print::line(&url)
        }
        _ => Ok(()),
    }
}
