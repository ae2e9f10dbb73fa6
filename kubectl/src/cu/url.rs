//! `url` prints the URLs of units, and `open` opens them in a browser.

use std::process::ExitCode;

use computing_unit_api::{ComputingUnit, OperatingMode, Phase};
use kube::ResourceExt;

use super::{
    mode::{is_suspended, mode_patch, phase},
    select::Select,
    session::Session,
    wake::starts_on_request,
};
use crate::{
    dry_run::DryRun,
    error::Error,
    goal::Goal,
    object::Unit,
    options::{ConnectionArgs, WaitArgs},
    stdio::{write_stderr, write_stdout},
};

/// Units, and whether to start them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    select: Select,

    #[command(flatten)]
    wait: WaitArgs,

    /// Start the unit if it is suspended, and wait until it is ready
    #[arg(long)]
    resume: bool,

    /// Name of another port of the unit, from spec.ports of its pool
    #[arg(long, value_name = "NAME")]
    port: Option<String>,
}

/// Prints the URLs of units.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn url(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    for url in urls(&mut session, args, "url").await? {
        write_stdout(&url)?;
    }
    Ok(session.code())
}

/// Opens the URLs of units in a browser, and prints them.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn open(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    for url in urls(&mut session, args, "open").await? {
        write_stdout(&url)?;
        if let Err(error) = webbrowser::open(&url) {
            session.fail([format!("cannot open {url} in a browser: {error}")]);
        }
    }
    Ok(session.code())
}

/// The URLs of the selected units. Those that are not ready are waited for if that is asked for.
async fn urls(session: &mut Session, args: &Args, command: &str) -> Result<Vec<String>, Error> {
    let timeout = args.wait.limit().or_else(|| {
        let usual = WaitArgs { wait: Some(true), ..args.wait };
        usual.limit().filter(|_| args.resume)
    });
    let mut waiting = vec![];
    let mut ready = vec![];
    for unit in session.choose_not_terminating(&args.select).await? {
        let unit = if args.resume && is_suspended(&unit) {
            let patch = mode_patch(OperatingMode::Running);
            let Some(unit) = session.patch(&unit, patch, DryRun::None).await else { continue };
            unit
        } else {
            unit
        };
        if timeout.is_some() {
            waiting.push(unit);
        } else if is_ready(&unit) {
            ready.push(unit);
        } else if is_suspended(&unit) && starts_on_request(session, &unit).await {
            let (name, phase) = (unit.name_any(), phase(&unit));
            write_stderr(&format!("computing unit {name:?} is {phase}; a request for its URL starts it"));
            ready.push(unit);
        } else {
            let (name, phase) = (unit.name_any(), phase(&unit));
            let option = if is_suspended(&unit) { "--resume" } else { "--wait" };
            let command = session.connection.target(&unit).command(&format!("cu {command} {option}"));
            session.fail([format!("computing unit {name:?} is {phase}; use {command}")]);
        }
    }
    if let Some(timeout) = timeout {
        ready = session.wait_for(waiting, &Goal::Ready, timeout).await?;
    }
    let mut urls = vec![];
    for unit in &ready {
        match url_of(unit, args.port.as_deref()) {
            Some(url) => urls.push(url.to_owned()),
            None => session.fail([no_url(unit, args.port.as_deref())]),
        }
    }
    Ok(urls)
}

/// The URL of a unit, or of another port of it.
fn url_of<'a>(unit: &'a ComputingUnit, port: Option<&str>) -> Option<&'a str> {
    let status = unit.status.as_ref()?;
    match port {
        Some(port) => status.ports.iter().find(|each| each.name == port).map(|each| each.url.as_str()),
        None => status.url.as_deref(),
    }
}

fn no_url(unit: &Unit, port: Option<&str>) -> String {
    if let Some(port) = port
        && unit.status.as_ref().is_some_and(|status| status.url.is_some())
    {
        return format!("computing unit {:?} has no port {port:?}: see spec.ports of its pool", unit.name_any());
    }
    format!("computing unit {:?} has no URL: set spec.routing.baseURL of its pool", unit.name_any())
}

fn is_ready(unit: &ComputingUnit) -> bool {
    unit.status.as_ref().and_then(|status| status.phase) == Some(Phase::Ready)
}
