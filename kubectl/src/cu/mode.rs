//! `suspend`, `resume` and `restart`: what `spec.operatingMode` is to be. When a unit has got there the operator decides;
//! here it is only waited for.

use std::{process::ExitCode, time::Duration};

use computing_unit_api::{ComputingUnit, OperatingMode, Phase};
use serde_json::{Value, json};

use super::{select::SelectAndWait, session::Session};
use crate::{error::Error, goal::Goal, options::ConnectionArgs, print, stdio::write_stdout};

/// How long a restart may take to stop a unit, where it is not said how long to wait.
const STOP: Duration = Duration::from_mins(10);

/// Suspends units.
///
/// # Errors
/// If there is no way to them, or the result cannot be written.
pub async fn suspend(args: &SelectAndWait, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut asked = vec![];
    for unit in session.choose_not_terminating(&args.select).await? {
        if is_suspended(&unit) {
            unchanged(&unit)?;
            asked.push(unit);
        } else {
            asked.extend(session.change(&unit, to(OperatingMode::Suspended), "suspending").await?);
        }
    }
    session.wait_and_print(asked, Goal::Suspended, args.wait.wait).await?;
    Ok(session.code())
}

/// Starts units that are suspended, or that have failed.
///
/// # Errors
/// If there is no way to them, or the result cannot be written.
pub async fn resume(args: &SelectAndWait, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut asked = vec![];
    for unit in session.choose_not_terminating(&args.select).await? {
        if !is_suspended(&unit) && !has_ended(&unit) {
            unchanged(&unit)?;
            asked.push(unit);
            continue;
        }
        // A unit that has failed is not tried again until its spec is changed.
        let resting =
            if is_suspended(&unit) { Some(unit) } else { session.patch(&unit, to(OperatingMode::Suspended)).await };
        if let Some(unit) = resting {
            asked.extend(session.change(&unit, to(OperatingMode::Running), "resuming").await?);
        }
    }
    session.wait_and_print(asked, Goal::Ready, args.wait.wait).await?;
    Ok(session.code())
}

/// Stops units and starts them again, by which changes that wait for it take effect.
///
/// # Errors
/// If there is no way to them, or the result cannot be written.
pub async fn restart(args: &SelectAndWait, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut stopping = vec![];
    for unit in session.choose_not_terminating(&args.select).await? {
        stopping.extend(session.change(&unit, to(OperatingMode::Suspended), "suspending").await?);
    }
    let timeout = args.wait.wait.unwrap_or(STOP);
    let mut asked = vec![];
    for unit in session.wait_for(stopping, Goal::Suspended, timeout).await? {
        asked.extend(session.change(&unit, to(OperatingMode::Running), "resuming").await?);
    }
    session.wait_and_print(asked, Goal::Ready, args.wait.wait).await?;
    Ok(session.code())
}

/// What asks a unit to run or to rest.
pub fn to(mode: OperatingMode) -> Value {
    json!({"spec": {"operatingMode": mode}})
}

/// Whether a unit is to have no pod.
pub fn is_suspended(unit: &ComputingUnit) -> bool {
    unit.spec.operating_mode == OperatingMode::Suspended
}

fn unchanged(unit: &ComputingUnit) -> Result<(), Error> {
    Ok(write_stdout(&format!("{} unchanged: it is {}", print::name(unit), phase(unit)))?)
}

fn has_ended(unit: &ComputingUnit) -> bool {
    matches!(unit.status.as_ref().and_then(|status| status.phase), Some(Phase::Failed | Phase::Finished))
}

/// The unit's phase, in one word.
pub fn phase(unit: &ComputingUnit) -> &'static str {
    unit.status.as_ref().and_then(|status| status.phase).map_or("Unknown", Phase::as_str)
}
