//! `wait`: waits until units have reached a state.

use std::{process::ExitCode, time::Duration};

use k8s_openapi::jiff::SignedDuration;

use super::{
    created::{Ended, created},
    select::{Select, Unselected},
    session::{Chosen, Session},
};
use crate::{
    dry_run::DryRun,
    error::{Error, INTERRUPTED},
    goal::Goal,
    options::{ConnectionArgs, WEEK},
    printer::{OutputArgs, Reporter},
    values::signed,
};

/// Units, states and timeout.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    select: Select,

    /// State to wait for: ready, suspended, finished, resized, delete, create, condition=NAME[=STATUS] or
    /// jsonpath=PATH[=VALUE].
    /// Can be repeated: the states are waited for one after another
    #[arg(long = "for", value_name = "STATE", default_value = "ready")]
    pub goals: Vec<Goal>,

    /// Time to wait, for example 90s, 5m or 1h30m. 0 checks once, and a negative duration waits for a week
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = signed, allow_hyphen_values = true)]
    timeout: SignedDuration,

    #[command(flatten)]
    output: OutputArgs,
}

/// Waits for units.
///
/// # Errors
/// If there is no connection, no unit is found, or the result cannot be written.
pub async fn wait(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let for_deletion = args.goals.contains(&Goal::Deleted);
    let mut select = args.select.clone();
    let timeout = Duration::try_from(args.timeout).unwrap_or(WEEK);
    let deadline = tokio::time::Instant::now() + timeout;
    select.ignore_not_found |= for_deletion;
    if args.goals.contains(&Goal::Created) {
        match created(&session.connection, &select, deadline).await? {
            Ended::Created => {}
            Ended::Interrupted => return Ok(ExitCode::from(INTERRUPTED)),
            Ended::TimedOut => {
                return Err(Error::message("timed out waiting for the creation of the computing units"));
            }
        }
    }
    let Chosen { mut units, none_found } = session.choose(&select, Unselected::Refused).await?;
    if none_found && !select.ignore_not_found {
        return Err(Error::message("no matching computing units found"));
    }
    let mut reporter = Reporter::new(&args.output, DryRun::None);
    for goal in &args.goals {
        units = session.wait_until(units, goal, deadline, timeout).await?;
        for unit in &units {
            reporter.report(unit, "condition met")?;
        }
    }
    Ok(session.code())
}
