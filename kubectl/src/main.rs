//! kubectl plugins for computing units. The program has several names: kubectl runs `kubectl create computingunit` as
//! kubectl-create-computingunit, `kubectl cu` as kubectl-cu, and shell completion as kubectl_complete-cu.

mod connection;
mod create;
mod cu;
mod error;
mod explain;
mod flags;
mod goal;
mod options;
mod print;
mod progress;
mod screen;
mod status;
mod stdio;
#[cfg(test)]
mod testing;
mod unmet;
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
        _ => cu::run(cu::Cli::parse()).await,
    })
}

/// The name of the program, without its directory and the extension on Windows.
fn name() -> Option<String> {
    let path = env::args_os().next()?;
    Some(Path::new(&path).file_stem()?.to_string_lossy().into_owned())
}
