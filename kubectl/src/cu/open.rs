//! `open`: prints the URLs of units, or opens them in a browser.

use std::{process::ExitCode, time::Duration};

use computing_unit_api::{ComputingUnit, ComputingUnitPool, OperatingMode, Phase};
use kube::{Api, ResourceExt};

use super::{
    mode::{is_suspended, phase, to},
    select::SelectAndWait,
    session::Session,
};
use crate::{
    error::Error,
    goal::Goal,
    options::ConnectionArgs,
    stdio::{write_stderr, write_stdout},
};

/// How long a unit that is started may take, where it is not said.
const START: Duration = Duration::from_mins(10);

/// Which units, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    units: SelectAndWait,

    /// Open the URL in a browser too
    #[arg(short, long)]
    browser: bool,

    /// Start the unit if it is suspended, and wait for it
    #[arg(long)]
    resume: bool,
}

/// Prints the URLs of units.
///
/// # Errors
/// If there is no way to them, or the result cannot be written.
pub async fn open(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let timeout = args.units.wait.wait.or(args.resume.then_some(START));
    let mut waiting = vec![];
    let mut there = vec![];
    for unit in session.choose_not_terminating(&args.units.select).await? {
        let unit = if args.resume && is_suspended(&unit) {
            let Some(unit) = session.patch(&unit, to(OperatingMode::Running)).await else { continue };
            unit
        } else {
            unit
        };
        if timeout.is_some() {
            waiting.push(unit);
        } else if is_ready(&unit) {
            there.push(unit);
        } else if is_suspended(&unit) && wakes(&session, &unit).await {
            write_stderr(&format!("the unit {} is {}: whoever opens its URL wakes it", unit.name_any(), phase(&unit)));
            there.push(unit);
        } else {
            let (name, phase) = (unit.name_any(), phase(&unit));
            let (how, does) = if is_suspended(&unit) { ("--resume", "starts it") } else { ("--wait", "waits for it") };
            session.fail([format!(
                "the unit {name} is {phase}, and does not answer: kubectl cu open {name} {how} {does}"
            )]);
        }
    }
    if let Some(timeout) = timeout {
        there = session.wait_for(waiting, Goal::Ready, timeout).await?;
    }
    for unit in &there {
        let Some(url) = unit.status.as_ref().and_then(|status| status.url.as_deref()) else {
            session.fail([format!("the operator knows no URL of the unit {}", unit.name_any())]);
            continue;
        };
        write_stdout(url)?;
        if args.browser
            && let Err(error) = webbrowser::open(url)
        {
            session.fail([format!("no browser opens {url}: {error}")]);
        }
    }
    Ok(session.code())
}

fn is_ready(unit: &ComputingUnit) -> bool {
    unit.status.as_ref().and_then(|status| status.phase) == Some(Phase::Ready)
}

/// Whether a request to the unit's URL starts it. Who may not read pools is told no.
async fn wakes(session: &Session, unit: &ComputingUnit) -> bool {
    let connection = &session.connection;
    let pools = Api::<ComputingUnitPool>::namespaced(connection.client.clone(), &connection.namespace);
    let pool = connection.request(&unit.spec.pool_name, pools.get(&unit.spec.pool_name)).await;
    pool.is_ok_and(|pool| pool.spec.activator.is_some_and(|entry| entry.wake_on_request))
}
