//! `kubectl create computingunit`: creates a `ComputingUnit`, and optionally waits for it.

pub mod args;
mod object;
mod request;

use std::process::ExitCode;

use computing_unit_api::ComputingUnit;

use crate::{
    connection::connect,
    error::{Error, INTERRUPTED},
    goal::Goal,
    options::ConnectionArgs,
    print::{self, DryRun, Output},
    screen::Screen,
    stdio::{ctrl_c, write_errors, write_stderr, write_stdout},
    wait::{self, Outcome, Waited},
};
use args::Args;

/// Creates the unit.
///
/// # Errors
/// If it is not created, or the result cannot be written.
pub async fn create(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    if args.dry_run() == Some(DryRun::Client) {
        let unit = object::unit(&args.name, connection.namespace.as_deref(), &args.unit);
        show(&unit, args)?;
        return Ok(ExitCode::SUCCESS);
    }
    let connection = connect(connection).await?;
    let unit = object::unit(&args.name, Some(&connection.namespace), &args.unit);
    let created = request::create(&connection, &unit, args.dry_run().is_some()).await?;
    let Some(timeout) = args.wait.wait else {
        show(&created, args)?;
        return Ok(ExitCode::SUCCESS);
    };
    if matches!(args.output, None | Some(Output::Name)) {
        show(&created, args)?;
    }
    let mut screen = Screen::stderr(false);
    let waiting = wait::wait(connection.units(), created, Goal::Ready, timeout, ctrl_c(), &mut screen);
    let Waited { outcome, last } = waiting.await?;
    write_errors(outcome.messages(Goal::Ready, connection.target(&args.name), timeout));
    match (args.output, &outcome) {
        (Some(Output::Yaml | Output::Json), _) => show(&last, args)?,
        (None, Outcome::Reached) => url(&last)?,
        _ => {}
    }
    Ok(match outcome {
        Outcome::Reached => ExitCode::SUCCESS,
        Outcome::Interrupted => ExitCode::from(INTERRUPTED),
        _ => ExitCode::FAILURE,
    })
}

/// Writes the URL of a unit that is ready.
///
/// # Errors
/// If it cannot be written.
pub fn url(unit: &ComputingUnit) -> Result<(), Error> {
    match unit.status.as_ref().and_then(|status| status.url.as_deref()) {
        Some(url) => write_stdout(url)?,
        None => write_stderr("the unit is ready, but has no URL: set spec.routing.baseURL of its pool"),
    }
    Ok(())
}

fn show(unit: &ComputingUnit, args: &Args) -> Result<(), Error> {
    let text = match args.output {
        Some(output) => print::object(unit, output)?,
        None => print::created(unit, args.dry_run()),
    };
    Ok(write_stdout(&text)?)
}
