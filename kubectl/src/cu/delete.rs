//! `delete`: deletes units, and waits until they are gone, like `kubectl delete`.

use std::{process::ExitCode, time::Duration};

use kube::{
    ResourceExt,
    api::{DeleteParams, Preconditions},
};

use super::{grace::GraceArgs, select::Select, session::Session};
use crate::{
    connection::Connection,
    dry_run::{DryRun, DryRunArgs},
    error::Error,
    goal::Goal,
    object::Unit,
    options::{ConnectionArgs, WEEK},
    printer,
    stdio::write_stdout,
    values::{duration, switch},
};

/// Units, and whether to wait for them.
#[derive(Debug, clap::Args)]
#[command(mut_arg("wait", switch))]
pub struct Args {
    #[command(flatten)]
    select: Select,

    /// Wait until the units are gone
    #[arg(long, default_value = "true")]
    wait: bool,

    /// Time to wait, for example 90s, 5m or 1h30m; 0 for no limit
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    timeout: Duration,

    #[command(flatten)]
    grace: GraceArgs,

    #[command(flatten)]
    dry_run: DryRunArgs,

    /// Output format: name
    #[arg(short, long, value_name = "name", value_parser = ["name"])]
    output: Option<String>,
}

/// Deletes units.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn delete(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let dry_run = args.dry_run.dry_run;
    let mut deleted = vec![];
    for unit in session.choose_or_note(&args.select).await? {
        match deletion(&session.connection, &unit, dry_run).await {
            Ok(()) => {
                report(&session.connection, &unit, args)?;
                deleted.push(unit);
            }
            Err(messages) => session.fail(messages),
        }
    }
    if args.wait && !dry_run.is_dry() {
        let timeout = if args.timeout.is_zero() { WEEK } else { args.timeout };
        session.wait_for(deleted, &Goal::Deleted, timeout).await?;
    }
    Ok(session.code())
}

async fn deletion(connection: &Connection, unit: &Unit, dry_run: DryRun) -> Result<(), Vec<String>> {
    if dry_run == DryRun::Client {
        return Ok(());
    }
    let name = unit.name_any();
    // A new unit of the same name must not be deleted.
    let preconditions = Preconditions { uid: unit.uid(), resource_version: None };
    let params =
        DeleteParams { preconditions: Some(preconditions), dry_run: dry_run.is_dry(), ..DeleteParams::default() };
    let api = connection.units(&connection.namespace_of(unit));
    connection.request(connection.target(unit), api.delete(&name, &params)).await.map(drop)
}

fn report(connection: &Connection, unit: &Unit, args: &Args) -> Result<(), Error> {
    if args.output.is_some() {
        return Ok(write_stdout(&printer::name(unit))?);
    }
    let (resource, name) = (printer::RESOURCE, unit.name_any());
    let (namespace, suffix) = (connection.namespace_of(unit), args.dry_run.dry_run.suffix());
    Ok(write_stdout(&format!("{resource} {name:?} deleted from {namespace} namespace{suffix}"))?)
}
