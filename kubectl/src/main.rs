//! `kubectl create computingunit`: a plugin of kubectl that creates a `ComputingUnit`, and waits for it if asked to.
//!
//! Reads the command line, runs the steps in order and writes their results: objects and URLs to stdout, all else to
//! stderr.

mod args;
mod client;
mod create;
mod flags;
mod object;
mod print;
mod progress;
mod refusal;
mod screen;
#[cfg(test)]
mod testing;
mod wait;

use std::{
    future::pending,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use computing_unit_operator::api::ComputingUnit;
use kube::Api;

use args::{Args, DryRun, Output};
use client::connect;
use refusal::Asked;
use screen::Screen;
use wait::{Outcome, Waited};

/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Why the command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Connect(#[from] client::Error),
    #[error("{}", .0.join("\n"))]
    Sentences(Vec<String>),
    #[error(transparent)]
    Print(#[from] print::Error),
    #[error("cannot write the result: {0}")]
    Write(#[from] io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    match obey(Args::parse()).await {
        Ok(code) => code,
        // Whoever read the output has gone.
        Err(Error::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            for line in error.to_string().lines() {
                tell(&format!("error: {line}"));
            }
            ExitCode::FAILURE
        }
    }
}

async fn obey(args: Args) -> Result<ExitCode, Error> {
    if args.dry_run() == Some(DryRun::Client) {
        let unit = object::unit(&args.name, args.connection.namespace.as_deref(), &args.unit);
        show(&unit, &args)?;
        return Ok(ExitCode::SUCCESS);
    }
    let connection = connect(&args.connection).await?;
    let asked = Asked { name: &args.name, namespace: &connection.namespace, server: &connection.server };
    let api = Api::namespaced(connection.client.clone(), &connection.namespace);
    let unit = object::unit(&args.name, Some(&connection.namespace), &args.unit);
    let created = create::create(&api, &unit, args.dry_run().is_some(), args.connection.request_timeout, asked)
        .await
        .map_err(Error::Sentences)?;
    let Some(patience) = args.wait else {
        show(&created, &args)?;
        return Ok(ExitCode::SUCCESS);
    };
    if matches!(args.output, None | Some(Output::Name)) {
        show(&created, &args)?;
    }
    let Waited { outcome, last } = wait::wait(api, created, patience, ctrl_c(), &mut Screen::stderr()).await?;
    for sentence in outcome.sentences(asked, patience) {
        tell(&format!("error: {sentence}"));
    }
    match (args.output, &outcome) {
        (Some(Output::Yaml | Output::Json), _) => show(&last, &args)?,
        (None, Outcome::Ready(Some(url))) => say(url)?,
        (None, Outcome::Ready(None)) => tell("the unit is ready; the operator knows no URL for it"),
        _ => {}
    }
    Ok(match outcome {
        Outcome::Ready(_) => ExitCode::SUCCESS,
        Outcome::Interrupted => ExitCode::from(INTERRUPTED),
        _ => ExitCode::FAILURE,
    })
}

fn show(unit: &ComputingUnit, args: &Args) -> Result<(), Error> {
    let text = match args.output {
        Some(output) => print::object(unit, output)?,
        None => print::created(unit, args.dry_run()),
    };
    Ok(say(&text)?)
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// There is nowhere left to say that stderr is gone.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler, the signal ends the program by itself.
        pending::<()>().await;
    }
}
