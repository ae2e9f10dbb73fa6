//! `logs`: prints the logs of units, with the options of `kubectl logs`.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use computing_unit_api::names::own_container;
use futures::{AsyncBufReadExt, StreamExt, stream::FuturesUnordered};
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{Api, ResourceExt, api::LogParams};

use super::{
    mode::{is_suspended, phase},
    select::Select,
    session::Session,
};
use crate::{connection::Connection, error::Error, object::Unit, options::ConnectionArgs, values::positive_duration};

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
    #[arg(short, long, value_name = "NAME", conflicts_with = "all_containers")]
    container: Option<String>,

    /// Print the logs of all containers
    #[arg(long)]
    all_containers: bool,

    /// Print the logs of the previous instance of the container
    #[arg(short, long)]
    previous: bool,

    /// Number of most recent log lines to show; -1 for all. Defaults to -1, or to 10 for a selection other than NAME
    #[arg(long, value_name = "LINES", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..))]
    tail: Option<i64>,

    /// Only show log lines newer than DURATION, for example 90s, 5m or 1h30m
    #[arg(long, value_name = "DURATION", value_parser = positive_duration, conflicts_with = "since_time")]
    since: Option<Duration>,

    /// Only show log lines after a time in RFC 3339
    #[arg(long, value_name = "TIME")]
    since_time: Option<Timestamp>,

    /// Maximum number of bytes of each log
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(i64).range(1..))]
    limit_bytes: Option<i64>,

    /// Prefix each line with its timestamp
    #[arg(long)]
    timestamps: bool,

    /// Prefix each line with the names of its pod and container (default for several logs)
    #[arg(long)]
    prefix: bool,

    /// With --follow: maximum number of logs
    #[arg(long, value_name = "N", default_value_t = 5)]
    max_log_requests: usize,

    /// With --follow: report errors of a log at the end, and exit with code 0
    #[arg(long)]
    ignore_errors: bool,
}

/// A log: the pod of a unit, and one of its containers.
struct Source {
    unit: Unit,
    pod: String,
    container: Option<String>,
}

/// Writes the logs of units. The lines of several logs are interleaved.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn logs(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut sources = vec![];
    for unit in session.choose_or_note(&args.select).await? {
        match containers(&session.connection, &unit, args).await {
            Ok(found) => sources.extend(found),
            Err(messages) => session.fail(messages),
        }
    }
    if args.follow && sources.len() > args.max_log_requests {
        return Err(Error::message(format!(
            "you are attempting to follow {} log streams, but maximum allowed concurrency is {}, use \
             --max-log-requests to increase the limit",
            sources.len(),
            args.max_log_requests
        )));
    }
    let prefixed = args.prefix || sources.len() > 1;
    let mut all: FuturesUnordered<_> =
        sources.iter().map(|source| copy(&session.connection, source, args, prefixed)).collect();
    let mut failed = vec![];
    while let Some(copied) = all.next().await {
        failed.extend(copied?.err().unwrap_or_default());
    }
    drop(all);
    session.fail(failed);
    Ok(if args.ignore_errors && args.follow { ExitCode::SUCCESS } else { session.code() })
}

/// The logs of a unit.
async fn containers(connection: &Connection, unit: &Unit, args: &Args) -> Result<Vec<Source>, Vec<String>> {
    let pods = Api::<Pod>::namespaced(connection.client.clone(), &connection.namespace_of(unit));
    let name = unit.status.as_ref().and_then(|status| status.pod_name.clone()).unwrap_or_else(|| unit.name_any());
    let source = |container: Option<String>| Source { unit: unit.clone(), pod: name.clone(), container };
    let Some(pod) = connection.request(connection.target(unit), pods.get_opt(&name)).await? else {
        return Err(vec![no_pod(connection, unit)]);
    };
    if !args.all_containers {
        let engine = own_container(&pod).map(|container| container.name.clone());
        return Ok(vec![source(args.container.clone().or(engine))]);
    }
    let spec = pod.spec.unwrap_or_default();
    let first = spec.init_containers.unwrap_or_default();
    Ok(first.into_iter().chain(spec.containers).map(|container| source(Some(container.name))).collect())
}

/// Copies a log. The inner error affects this log only.
async fn copy(
    connection: &Connection,
    source: &Source,
    args: &Args,
    prefixed: bool,
) -> io::Result<Result<(), Vec<String>>> {
    let Source { unit, pod, container } = source;
    let pods = Api::<Pod>::namespaced(connection.client.clone(), &connection.namespace_of(unit));
    let tail = args.tail.unwrap_or(if args.select.names.is_empty() { 10 } else { -1 });
    let params = LogParams {
        container: container.clone(),
        follow: args.follow,
        previous: args.previous,
        tail_lines: Some(tail).filter(|tail| *tail >= 0),
        since_seconds: args.since.map(|since| i64::try_from(since.as_secs().max(1)).unwrap_or(i64::MAX)),
        since_time: args.since_time,
        limit_bytes: args.limit_bytes,
        timestamps: args.timestamps,
        ..LogParams::default()
    };
    let mut log = match connection.request(connection.target(unit), pods.log_stream(pod, &params)).await {
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
            Err(error) => {
                return Ok(Err(vec![format!("cannot read the log of computing unit {:?}: {error}", unit.name_any())]));
            }
        }
        let mut out = io::stdout().lock();
        if prefixed {
            write!(out, "[pod/{pod}/{}] ", container.as_deref().unwrap_or_default())?;
        }
        out.write_all(&line)?;
        if !line.ends_with(b"\n") {
            writeln!(out)?;
        }
        out.flush()?;
    }
}

fn no_pod(connection: &Connection, unit: &Unit) -> String {
    let (name, phase) = (unit.name_any(), phase(unit));
    let command = if is_suspended(unit) { "cu resume" } else { "cu describe" };
    format!("computing unit {name:?} is {phase} and has no pod; see {}", connection.target(unit).command(command))
}
