//! kubectl plugins for computing units. The program has several names: kubectl runs `kubectl create computingunit` as
//! kubectl-create-computingunit, `kubectl cu` as kubectl-cu, and shell completion as kubectl_complete-cu.

mod connection;
mod create;
mod cu;
mod dry_run;
mod error;
mod explain;
mod flags;
mod goal;
mod jsonpath;
mod kubeconfig;
mod logging;
mod object;
mod options;
mod outcome;
mod printer;
mod progress;
mod remedy;
mod screen;
mod status;
mod stdio;
#[cfg(test)]
mod testing;
mod unmet;
mod values;
mod wait;
mod waiting;

use std::{env, path::Path, process::ExitCode};

use clap::Parser;

use error::exit;

#[tokio::main]
async fn main() -> ExitCode {
    exit(match name().as_deref() {
        Some("kubectl-create-computingunit") => match parsed::<create::args::Cli>() {
            Ok(cli) => create::create(&cli.args, &cli.connection).await,
            Err(code) => return code,
        },
        Some("kubectl_complete-cu") => cu::complete(&env::args_os().skip(1).collect::<Vec<_>>()).await,
        _ => match parsed::<cu::Cli>() {
            Ok(cli) => cu::run(cli).await,
            Err(code) => return code,
        },
    })
}

/// The command line. An invalid one has exit code 1, like in kubectl.
fn parsed<T: Parser>() -> Result<T, ExitCode> {
    T::try_parse().map_err(|error| {
        let _ = error.print();
        if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    })
}

/// The name of the program, without its directory and the extension on Windows.
fn name() -> Option<String> {
    let path = env::args_os().next()?;
    Some(Path::new(&path).file_stem()?.to_string_lossy().into_owned())
}
