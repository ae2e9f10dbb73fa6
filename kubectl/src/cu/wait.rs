//! `wait`: until units are as they are wanted; nothing is asked of them.

use std::{process::ExitCode, time::Duration};

use super::{select::Select, session::Session};
use crate::{
    error::Error,
    goal::Goal,
    options::{ConnectionArgs, positive_duration},
};

/// Which units, what for, and how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    select: Select,

    /// What to wait for
    #[arg(long = "for", value_name = "STATE", value_enum, default_value = "ready")]
    goal: Goal,

    /// At most so long, written like 90s, 5m or 1h30m; a bare number is seconds
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = positive_duration)]
    timeout: Duration,
}

/// Waits for units.
///
/// # Errors
/// If there is no way to them, or the result cannot be written.
pub async fn wait(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let units = session.choose(&args.select).await?;
    session.wait_and_print(units, args.goal, Some(args.timeout)).await?;
    Ok(session.code())
}
