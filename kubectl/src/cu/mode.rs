//! `suspend`, `resume` and `restart`: change `spec.operatingMode`.

use std::{process::ExitCode, time::Duration};

use computing_unit_api::{ComputingUnit, OperatingMode, Phase};
use serde_json::{Value, json};

use super::{select::SelectAndWait, session::Session};
use crate::{error::Error, goal::Goal, options::ConnectionArgs, print, stdio::write_stdout};

/// Default timeout of a restart for stopping a unit.
const STOP: Duration = Duration::from_mins(10);

/// Suspends units.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn suspend(args: &SelectAndWait, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut changed = vec![];
    for unit in session.choose_not_terminating(&args.select).await? {
        if is_suspended(&unit) {
            unchanged(&unit)?;
            changed.push(unit);
        } else {
            changed.extend(session.change(&unit, mode_patch(OperatingMode::Suspended), "suspending").await?);
        }
    }
    session.wait_and_print(changed, Goal::Suspended, args.wait.wait).await?;
    Ok(session.code())
}

/// Starts units that are suspended, failed or finished.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn resume(args: &SelectAndWait, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut changed = vec![];
    for unit in session.choose_not_terminating(&args.select).await? {
        if !is_suspended(&unit) && !has_ended(&unit) {
            unchanged(&unit)?;
            changed.push(unit);
            continue;
        }
        // A failed unit is retried after a change of its spec.
        let suspended = if is_suspended(&unit) {
            Some(unit)
        } else {
            session.patch(&unit, mode_patch(OperatingMode::Suspended)).await
        };
        if let Some(unit) = suspended {
            changed.extend(session.change(&unit, mode_patch(OperatingMode::Running), "resuming").await?);
        }
    }
    session.wait_and_print(changed, Goal::Ready, args.wait.wait).await?;
    Ok(session.code())
}

/// Stops and starts units, which applies pending changes.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn restart(args: &SelectAndWait, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut stopping = vec![];
    for unit in session.choose_not_terminating(&args.select).await? {
        stopping.extend(session.change(&unit, mode_patch(OperatingMode::Suspended), "suspending").await?);
    }
    let timeout = args.wait.wait.unwrap_or(STOP);
    let mut changed = vec![];
    for unit in session.wait_for(stopping, Goal::Suspended, timeout).await? {
        changed.extend(session.change(&unit, mode_patch(OperatingMode::Running), "resuming").await?);
    }
    session.wait_and_print(changed, Goal::Ready, args.wait.wait).await?;
    Ok(session.code())
}

/// The patch for an operating mode.
pub fn mode_patch(mode: OperatingMode) -> Value {
    json!({"spec": {"operatingMode": mode}})
}

/// Whether the operating mode is `Suspended`.
pub fn is_suspended(unit: &ComputingUnit) -> bool {
    unit.spec.operating_mode == OperatingMode::Suspended
}

fn unchanged(unit: &ComputingUnit) -> Result<(), Error> {
    Ok(write_stdout(&format!("{} unchanged (phase {})", print::name(unit), phase(unit)))?)
}

fn has_ended(unit: &ComputingUnit) -> bool {
    matches!(unit.status.as_ref().and_then(|status| status.phase), Some(Phase::Failed | Phase::Finished))
}

/// The phase of a unit.
pub fn phase(unit: &ComputingUnit) -> &'static str {
    unit.status.as_ref().and_then(|status| status.phase).map_or("Unknown", Phase::as_str)
}
