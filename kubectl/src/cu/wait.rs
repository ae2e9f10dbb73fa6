//! `wait`: waits until units have reached a state.

use std::{process::ExitCode, time::Duration};

use super::{select::Select, session::Session};
use crate::{
    error::Error,
    goal::Goal,
    options::{ConnectionArgs, positive_duration},
};

/// Units, state and timeout.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    select: Select,

    /// State to wait for
    #[arg(long = "for", value_name = "STATE", value_enum, default_value = "ready")]
    goal: Goal,

    /// Time to wait, for example 90s, 5m or 1h30m; a number without a unit is in seconds
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = positive_duration)]
    timeout: Duration,
}

/// Waits for units.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn wait(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let units = session.choose(&args.select).await?;
    session.wait_and_print(units, args.goal, Some(args.timeout)).await?;
    Ok(session.code())
}
