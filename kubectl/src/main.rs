//! Plugins of kubectl for computing units. One program with several names: kubectl finds `kubectl create computingunit` as
//! kubectl-create-computingunit, `kubectl cu` as kubectl-cu, and what a shell may offer as kubectl_complete-cu.

mod blocker;
mod connection;
mod create;
mod cu;
mod error;
mod flags;
mod goal;
mod options;
mod print;
mod progress;
mod refusal;
mod said;
mod screen;
mod stdio;
#[cfg(test)]
mod testing;
mod wait;

use std::{env, path::Path, process::ExitCode};

use clap::Parser;

use error::exit;

#[tokio::main]
async fn main() -> ExitCode {
    exit(match name().as_deref() {
        Some("kubectl-create-computingunit") => {
            let create::args::Cli { args, connection } = create::args::Cli::parse();
            create::create(&args, &connection).await
        }
        Some("kubectl_complete-cu") => cu::complete(&env::args_os().skip(1).collect::<Vec<_>>()).await,
        _ => cu::obey(cu::Cli::parse()).await,
    })
}

/// The name by which the program was called, without where it is and what Windows puts behind it.
fn name() -> Option<String> {
    let called = env::args_os().next()?;
    Some(Path::new(&called).file_stem()?.to_string_lossy().into_owned())
}
