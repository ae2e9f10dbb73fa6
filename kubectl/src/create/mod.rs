//! `kubectl create computingunit`: creates units, and optionally waits for them.

pub mod args;
mod more;
mod object;
mod request;

use std::{fs, io, path::Path, process::ExitCode};

use computing_unit_api::ComputingUnit;
use kube::ResourceExt;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    connection::connect,
    dry_run::DryRun,
    error::{Error, INTERRUPTED},
    goal::Goal,
    options::ConnectionArgs,
    outcome::{Outcome, Waited},
    printer::Reporter,
    screen::Screen,
    stdio::{ctrl_c, write_errors, write_stderr, write_stdout},
    wait,
};
use args::Args;

/// Creates units.
///
/// # Errors
/// If one is not created, or the result cannot be written.
pub async fn create(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let dry_run = args.dry_run.dry_run;
    let mut reporter = Reporter::new(&args.output, dry_run);
    let manifest = args.filename.as_deref().map(read).transpose()?;
    if dry_run == DryRun::Client {
        for unit in object::units(args, manifest, connection.namespace.as_deref())? {
            reporter.report_value(&unit, "created")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let given = connection.namespace.clone();
    let connection = connect(connection).await?;
    let mut created = vec![];
    for unit in object::units(args, manifest, given.as_deref())? {
        created.push(request::create(&connection, &unit, dry_run.is_dry()).await?);
        let timeout = args.wait.limit().filter(|_| !dry_run.is_dry());
        // With an output format, the state after the wait is printed.
        if timeout.is_none() || reporter.is_message() {
            created.last().map_or(Ok(()), |unit| reporter.report(unit, "created"))?;
        }
    }
    let Some(timeout) = args.wait.limit().filter(|_| !dry_run.is_dry()) else { return Ok(ExitCode::SUCCESS) };
    let mut screen = Screen::stderr(created.iter().map(ResourceExt::name_any).collect());
    let waited =
        wait::wait(&connection, created, &Goal::Ready, Instant::now() + timeout, ctrl_c(), &mut screen).await?;
    let mut code = ExitCode::SUCCESS;
    for Waited { outcome, last } in waited {
        write_errors(outcome.messages(&Goal::Ready, connection.target(&last), timeout));
        if !reporter.is_message() {
            reporter.report(&last, "created")?;
        } else if matches!(outcome, Outcome::Reached) {
            url(&last)?;
        }
        match outcome {
            Outcome::Reached => {}
            Outcome::Interrupted(_) => code = ExitCode::from(INTERRUPTED),
            _ => code = ExitCode::FAILURE,
        }
    }
    Ok(code)
}

/// Reads a manifest from a file, or from standard input.
fn read(file: &Path) -> Result<Vec<Value>, Error> {
    let text = if file == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    let text = text.map_err(|error| Error::message(format!("cannot read {}: {error}", file.display())))?;
    object::parse(&text)
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
