//! `suspend`, `resume` and `restart`: change `spec.operatingMode`.

use std::{process::ExitCode, time::Duration};

use computing_unit_api::{ComputingUnit, OperatingMode, Phase};
use serde_json::{Value, json};

use super::{select::Select, session::Session};
use crate::{
    create::url,
    dry_run::{DryRun, DryRunArgs},
    error::Error,
    goal::Goal,
    object::Unit,
    options::{ConnectionArgs, WaitArgs},
    printer::{OutputArgs, Reporter},
    stdio::write_stderr,
};

/// Limit of a restart for stopping a unit, which takes the pool's `drainTimeout` at most.
const STOP: Duration = Duration::from_mins(10);

/// Units, and what to do after the change.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    #[command(flatten)]
    pub select: Select,
    #[command(flatten)]
    pub wait: WaitArgs,
    #[command(flatten)]
    pub dry_run: DryRunArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

impl ChangeArgs {
    /// The printer of the changed units.
    pub fn reporter(&self) -> Reporter {
        Reporter::new(&self.output, self.dry_run.dry_run)
    }
}

/// Suspends units.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn suspend(args: &ChangeArgs, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut reporter = args.reporter();
    let mut changed = vec![];
    for unit in session.choose_not_terminating(&args.select).await? {
        if is_suspended(&unit) {
            reporter.report(&unit, "already suspended")?;
            changed.push(unit);
        } else {
            let change = mode_patch(OperatingMode::Suspended);
            changed.extend(session.change(&unit, change, args.dry_run.dry_run, "suspended", &mut reporter).await?);
        }
    }
    if let Some(timeout) = limit(args) {
        session.wait_for(changed, &Goal::Suspended, timeout).await?;
    }
    Ok(session.code())
}

/// Starts units that are suspended, failed or finished.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn resume(args: &ChangeArgs, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut reporter = args.reporter();
    let dry_run = args.dry_run.dry_run;
    let mut changed = vec![];
    for unit in session.choose_not_terminating(&args.select).await? {
        if !is_suspended(&unit) && !has_ended(&unit) {
            reporter.report(&unit, "already running")?;
            changed.push(unit);
            continue;
        }
        // A failed unit is retried after a change of its spec.
        let suspended = if is_suspended(&unit) || dry_run == DryRun::Client {
            Some(unit)
        } else {
            session.patch(&unit, mode_patch(OperatingMode::Suspended), dry_run).await
        };
        if let Some(unit) = suspended {
            changed.extend(
                session.change(&unit, mode_patch(OperatingMode::Running), dry_run, "resumed", &mut reporter).await?,
            );
        }
    }
    until_ready(&mut session, args, changed).await?;
    Ok(session.code())
}

/// Stops and starts units, which applies pending changes. Without `--wait` it returns as soon as the previous pods stop.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn restart(args: &ChangeArgs, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut reporter = args.reporter();
    let dry_run = args.dry_run.dry_run;
    let mut stopping = vec![];
    for unit in session.choose_not_terminating(&args.select).await? {
        if dry_run.is_dry() {
            session.change(&unit, mode_patch(OperatingMode::Running), dry_run, "restarted", &mut reporter).await?;
        } else {
            stopping.extend(session.patch(&unit, mode_patch(OperatingMode::Suspended), dry_run).await);
        }
    }
    let all = stopping.clone();
    let stopped = session.wait_for(stopping, &Goal::Stopping, limit(args).unwrap_or(STOP)).await?;
    for unit in all.iter().filter(|unit| stopped.iter().all(|one| one.metadata.uid != unit.metadata.uid)) {
        let command = session.connection.target(unit).command("cu resume");
        write_stderr(&format!("the unit stays suspended; start it with {command}"));
    }
    let mut changed = vec![];
    for unit in stopped {
        changed.extend(
            session.change(&unit, mode_patch(OperatingMode::Running), dry_run, "restarted", &mut reporter).await?,
        );
    }
    until_ready(&mut session, args, changed).await?;
    Ok(session.code())
}

/// Waits until units are ready if that is asked for, and prints their URLs.
async fn until_ready(session: &mut Session, args: &ChangeArgs, units: Vec<Unit>) -> Result<(), Error> {
    let Some(timeout) = limit(args) else { return Ok(()) };
    for unit in session.wait_for(units, &Goal::Ready, timeout).await? {
        if args.reporter().is_message() {
            url(&unit)?;
        }
    }
    Ok(())
}

fn limit(args: &ChangeArgs) -> Option<Duration> {
    args.wait.limit().filter(|_| !args.dry_run.dry_run.is_dry())
}

/// The patch for an operating mode.
pub fn mode_patch(mode: OperatingMode) -> Value {
    json!({"spec": {"operatingMode": mode}})
}

/// Whether the operating mode is `Suspended`.
pub fn is_suspended(unit: &ComputingUnit) -> bool {
    unit.spec.operating_mode == OperatingMode::Suspended
}

fn has_ended(unit: &ComputingUnit) -> bool {
    matches!(unit.status.as_ref().and_then(|status| status.phase), Some(Phase::Failed | Phase::Finished))
}

/// The phase of a unit.
pub fn phase(unit: &ComputingUnit) -> &'static str {
    if unit.metadata.deletion_timestamp.is_some() {
        return Phase::Terminating.as_str();
    }
    unit.status.as_ref().and_then(|status| status.phase).map_or("Unknown", Phase::as_str)
}
