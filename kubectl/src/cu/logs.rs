//! `logs`: prints the logs of engines.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use computing_unit_api::{ComputingUnit, names::own_container};
use futures::{AsyncBufReadExt, StreamExt, stream::FuturesUnordered};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::LogParams};

use super::{
    mode::{is_suspended, phase},
    select::Select,
    session::Session,
};
use crate::{
    connection::Connection,
    error::Error,
    options::{ConnectionArgs, positive_duration},
};

/// Units, and which part of their logs.
#[expect(clippy::struct_excessive_bools, reason = "each is an option")]
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    select: Select,

    /// Stream new log lines
    #[arg(short, long)]
    follow: bool,

    /// Name of the container; defaults to the engine
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,

    /// Print the logs of the previous instance of the container
    #[arg(short, long)]
    previous: bool,

    /// Number of most recent log lines to show
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,

    /// Only show log lines newer than DURATION, for example 90s, 5m or 1h30m
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    since: Option<Duration>,

    /// Prefix each line with its timestamp
    #[arg(long)]
    timestamps: bool,

    /// Prefix each line with the name of its unit (default for several units)
    #[arg(long)]
    prefix: bool,
}

/// Writes the logs of units. The lines of several units are interleaved.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn logs(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let units = session.choose(&args.select).await?;
    let prefixed = args.prefix || units.len() > 1;
    let mut all: FuturesUnordered<_> =
        units.iter().map(|unit| copy(&session.connection, unit, args, prefixed)).collect();
    let mut failed = vec![];
    while let Some(copied) = all.next().await {
        failed.extend(copied?.err().unwrap_or_default());
    }
    drop(all);
    session.fail(failed);
    Ok(session.code())
}

/// Copies the log of one unit. The inner error affects this unit only.
async fn copy(
    connection: &Connection,
    unit: &ComputingUnit,
    args: &Args,
    prefixed: bool,
) -> io::Result<Result<(), Vec<String>>> {
    let name = unit.name_any();
    let pods = Api::<Pod>::namespaced(connection.client.clone(), &connection.namespace);
    let pod = unit.status.as_ref().and_then(|status| status.pod_name.clone()).unwrap_or_else(|| name.clone());
    let engine = match connection.request(&name, pods.get_opt(&pod)).await {
        Ok(Some(pod)) => own_container(&pod).map(|container| container.name.clone()),
        Ok(None) => return Ok(Err(vec![no_pod(unit)])),
        Err(messages) => return Ok(Err(messages)),
    };
    let params = LogParams {
        container: args.container.clone().or(engine),
        follow: args.follow,
        previous: args.previous,
        tail_lines: args.tail.map(i64::from),
        since_seconds: args.since.map(|since| i64::try_from(since.as_secs().max(1)).unwrap_or(i64::MAX)),
        timestamps: args.timestamps,
        ..LogParams::default()
    };
    let mut log = match connection.request(&name, pods.log_stream(&pod, &params)).await {
        Ok(log) => log,
        Err(messages) => return Ok(Err(messages)),
    };
    let mut line = vec![];
    loop {
        line.clear();
        // A log is not necessarily UTF-8.
        match log.read_until(b'\n', &mut line).await {
            Ok(0) => return Ok(Ok(())),
            Ok(_) => {}
            Err(error) => return Ok(Err(vec![format!("cannot read the log of computing unit {name:?}: {error}")])),
        }
        let mut out = io::stdout().lock();
        if prefixed {
            write!(out, "[{name}] ")?;
        }
        out.write_all(&line)?;
        if !line.ends_with(b"\n") {
            writeln!(out)?;
        }
        out.flush()?;
    }
}

fn no_pod(unit: &ComputingUnit) -> String {
    let (name, phase) = (unit.name_any(), phase(unit));
    let command = if is_suspended(unit) { "resume" } else { "describe" };
    format!("computing unit {name:?} is {phase} and has no pod; see kubectl cu {command} {name}")
}
