//! `suspend`, `resume` and `restart`: what `spec.operatingMode` is to be. When a unit has got there the operator decides;
//! here it is only waited for.

use std::{process::ExitCode, time::Duration};

use computing_unit_operator::api::{ComputingUnit, OperatingMode, Phase};
use serde_json::json;

use super::{select::Select, session::Session};
use crate::{
    create::url,
    error::Error,
    goal::Goal,
    options::{ConnectionArgs, WaitArgs},
    print,
    stdio::say,
};

/// How long a restart may take to stop a unit, where it is not said how long to wait.
const STOP: Duration = Duration::from_mins(10);

/// Which units, and whether to wait for them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    wait: WaitArgs,
}

/// Suspends units.
///
/// # Errors
/// If there is no way to them, or the result cannot be written.
pub async fn suspend(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut asked = vec![];
    for unit in session.choose_staying(&args.select).await? {
        if is_suspended(&unit) {
            say(&format!("{} unchanged: it is {}", print::name(&unit), phase(&unit)))?;
            asked.push(unit);
        } else if let Some(unit) = ask(&mut session, &unit, OperatingMode::Suspended).await {
            say(&format!("{} suspending", print::name(&unit)))?;
            asked.push(unit);
        }
    }
    if let Some(patience) = args.wait.wait {
        for unit in session.reach(asked, Goal::Suspended, patience).await? {
            say(&format!("{} suspended", print::name(&unit)))?;
        }
    }
    Ok(session.code())
}

/// Starts units that are suspended, or that have failed.
///
/// # Errors
/// If there is no way to them, or the result cannot be written.
pub async fn resume(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut asked = vec![];
    for unit in session.choose_staying(&args.select).await? {
        if !is_suspended(&unit) && !has_ended(&unit) {
            say(&format!("{} unchanged: it is {}", print::name(&unit), phase(&unit)))?;
            asked.push(unit);
            continue;
        }
        // A unit that has failed is not tried again until its spec is changed.
        let changed =
            if is_suspended(&unit) { Some(unit) } else { ask(&mut session, &unit, OperatingMode::Suspended).await };
        let Some(unit) = changed else { continue };
        if let Some(unit) = ask(&mut session, &unit, OperatingMode::Running).await {
            say(&format!("{} resuming", print::name(&unit)))?;
            asked.push(unit);
        }
    }
    ready(&mut session, asked, args.wait.wait).await?;
    Ok(session.code())
}

/// Stops units and starts them again, by which changes that wait for it take effect.
///
/// # Errors
/// If there is no way to them, or the result cannot be written.
pub async fn restart(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut stopping = vec![];
    for unit in session.choose_staying(&args.select).await? {
        stopping.extend(ask(&mut session, &unit, OperatingMode::Suspended).await);
    }
    for unit in &stopping {
        say(&format!("{} suspending", print::name(unit)))?;
    }
    let patience = args.wait.wait.unwrap_or(STOP);
    let mut asked = vec![];
    for unit in session.reach(stopping, Goal::Suspended, patience).await? {
        if let Some(unit) = ask(&mut session, &unit, OperatingMode::Running).await {
            say(&format!("{} resuming", print::name(&unit)))?;
            asked.push(unit);
        }
    }
    ready(&mut session, asked, args.wait.wait).await?;
    Ok(session.code())
}

/// Asks a unit to run or to rest.
pub async fn ask(session: &mut Session, unit: &ComputingUnit, mode: OperatingMode) -> Option<ComputingUnit> {
    session.patch(unit, json!({"spec": {"operatingMode": mode}})).await
}

/// Waits for units that were asked to run, where that is wanted, and writes their URLs.
///
/// # Errors
/// If the result cannot be written.
pub async fn ready(session: &mut Session, units: Vec<ComputingUnit>, patience: Option<Duration>) -> Result<(), Error> {
    let Some(patience) = patience else { return Ok(()) };
    for unit in session.reach(units, Goal::Ready, patience).await? {
        url(&unit)?;
    }
    Ok(())
}

/// Whether a unit is to have no pod.
pub fn is_suspended(unit: &ComputingUnit) -> bool {
    unit.spec.operating_mode == OperatingMode::Suspended
}

fn has_ended(unit: &ComputingUnit) -> bool {
    matches!(unit.status.as_ref().and_then(|status| status.phase), Some(Phase::Failed | Phase::Finished))
}

/// The unit's phase, in one word.
pub fn phase(unit: &ComputingUnit) -> &'static str {
    unit.status.as_ref().and_then(|status| status.phase).map_or("Unknown", Phase::as_str)
}
