//! `open`: prints the URLs of units, or opens them in a browser.

use std::{process::ExitCode, time::Duration};

use computing_unit_api::{ComputingUnit, ComputingUnitPool, OperatingMode, Phase};
use kube::{Api, ResourceExt};

use super::{
    mode::{is_suspended, mode_patch, phase},
    select::SelectAndWait,
    session::Session,
};
use crate::{
    error::Error,
    goal::Goal,
    options::ConnectionArgs,
    stdio::{write_stderr, write_stdout},
};

/// Default timeout for a unit that is started.
const START: Duration = Duration::from_mins(10);

/// Units, and how to open them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    units: SelectAndWait,

    /// Open the URL in a browser
    #[arg(short, long)]
    browser: bool,

    /// Start the unit if it is suspended, and wait until it is ready
    #[arg(long)]
    resume: bool,
}

/// Prints the URLs of units.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn open(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let timeout = args.units.wait.wait.or(args.resume.then_some(START));
    let mut waiting = vec![];
    let mut ready = vec![];
    for unit in session.choose_not_terminating(&args.units.select).await? {
        let unit = if args.resume && is_suspended(&unit) {
            let Some(unit) = session.patch(&unit, mode_patch(OperatingMode::Running)).await else { continue };
            unit
        } else {
            unit
        };
        if timeout.is_some() {
            waiting.push(unit);
        } else if is_ready(&unit) {
            ready.push(unit);
        } else if is_suspended(&unit) && starts_on_request(&session, &unit).await {
            write_stderr(&format!(
                "computing unit {:?} is {}; a request for its URL starts it",
                unit.name_any(),
                phase(&unit)
            ));
            ready.push(unit);
        } else {
            let (name, phase) = (unit.name_any(), phase(&unit));
            let option = if is_suspended(&unit) { "--resume" } else { "--wait" };
            session.fail([format!("computing unit {name:?} is {phase}; use kubectl cu open {name} {option}")]);
        }
    }
    if let Some(timeout) = timeout {
        ready = session.wait_for(waiting, Goal::Ready, timeout).await?;
    }
    for unit in &ready {
        let Some(url) = unit.status.as_ref().and_then(|status| status.url.as_deref()) else {
            session.fail([format!("computing unit {:?} has no URL", unit.name_any())]);
            continue;
        };
        write_stdout(url)?;
        if args.browser
            && let Err(error) = webbrowser::open(url)
        {
            session.fail([format!("cannot open {url} in a browser: {error}")]);
        }
    }
    Ok(session.code())
}

fn is_ready(unit: &ComputingUnit) -> bool {
    unit.status.as_ref().and_then(|status| status.phase) == Some(Phase::Ready)
}

/// Whether a request for the unit's URL starts it. False if the pool cannot be read.
async fn starts_on_request(session: &Session, unit: &ComputingUnit) -> bool {
    let connection = &session.connection;
    let pools = Api::<ComputingUnitPool>::namespaced(connection.client.clone(), &connection.namespace);
    let pool = connection.request(&unit.spec.pool_name, pools.get(&unit.spec.pool_name)).await;
    pool.is_ok_and(|pool| pool.spec.activator.is_some_and(|activator| activator.wake_on_request))
}
