//! A small server that stands in for Texera's execution engine in a unit.
//!
//! | request | answer |
//! |---|---|
//! | WebSocket at `/wsapi...`, `/api/pve...` or a path not listed below | echoes text and binary messages |
//! | `/api/executions/result/export...` | numbered lines, one per chunk, set by `?chunks=` and `?interval_ms=` |
//! | `/api/healthcheck` | 200, or 503 if set to unhealthy or draining |
//! | `POST /api/healthcheck?healthy=false` (or `true`) | sets the result of health checks |
//! | `/busy` | `{"busy": false}`, or the configured answer |
//! | `PUT /busy?answer=true` (or `false`, `hang`, `garbage`, `huge`) | sets the answer of `/busy` |
//! | anything else, any method | JSON: unit, part, method, path, query, bytes received and their SHA-256, credentials, host and `x-` headers |
//!
//! Every response has the header `x-engine: <unit>`. A path prefix that a gateway did not strip is ignored.
//!
//! | variable | meaning |
//! |---|---|
//! | `COMPUTING_UNIT_NAME` | the unit's name, default: the host name |
//! | `PORT` | TCP port, default 8085; 0 selects a free port, which is logged |
//! | `START_DELAY` | seconds before it listens |
//! | `FAIL_START`, `FAIL_MESSAGE` | exits with this code and termination message instead of listening |
//! | `UNREADY_AFTER` | seconds of serving after which health checks fail |
//! | `CRASH_AFTER` | seconds of serving after which it exits with code 1 |
//! | `DRAIN` | seconds to keep serving after SIGTERM while connections are open, including WebSockets and exports |
//! | `PAGE` | HTML for a GET of any other path, like a static service |
//! | `SCRIPT` | JavaScript for such a path with a query parameter `script` |
//! | `FILES` | folder of the files of `PUT` and `GET /files/<name>` |
//! | `HEADERS` | headers of the page and the script, as lines `name: value` |
//! | `EXPORT_CHUNKS`, `EXPORT_INTERVAL_MS` | the default export: 10 lines, 100 ms apart |
//!
//! Arguments that it does not know are ignored, so that it can run with the command line of another server.
//! It starts no process, reads no file outside of `FILES` and needs no user, so it can be process 1 of an empty image.
//! This file is the life cycle: start, serve, drain, exit. Requests are handled in `routes`.

mod answer;
mod busy;
mod connections;
mod export;
mod files;
mod routes;
mod settings;
mod site;

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::serve::Listener;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::connections::Counted;
use crate::routes::Engine;
use crate::settings::Settings;

/// The termination message of a container.
const TERMINATION_LOG: &str = "/dev/termination-log";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    // First of all: the kernel does not deliver a signal to process 1 unless it has a handler.
    let mut terminated = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let settings = Settings::of(std::env::args_os()).unwrap_or_else(|error| error.exit());

    if !settings.start_delay.is_zero() {
        println!("starting in {:?}", settings.start_delay);
        if within(settings.start_delay, &mut terminated).await {
            println!("terminated before start");
            return Ok(ExitCode::SUCCESS);
        }
    }
    if let Some(code) = settings.fail_start {
        report_exit(&settings.fail_message);
        return Ok(ExitCode::from(code));
    }
    serve(&settings, &mut terminated).await
}

/// Serves until SIGTERM and the drain that follows, or until the scheduled crash.
async fn serve(settings: &Settings, terminated: &mut Signal) -> anyhow::Result<ExitCode> {
    let engine = Arc::new(Engine::new(settings.unit(), settings.export(), settings.site()));
    let listener = TcpListener::bind(("0.0.0.0", settings.port))
        .await
        .with_context(|| format!("listen on port {}", settings.port))?;
    let listener = Counted::new(listener);
    println!("{} listens on port {}", engine.unit(), listener.local_addr()?.port());
    let open = listener.open();
    let server = axum::serve(listener, routes::router(Arc::clone(&engine)));
    let server = tokio::spawn(server.into_future());

    if !live(settings, &engine, terminated).await {
        report_exit("scheduled crash");
        return Ok(ExitCode::FAILURE);
    }

    engine.drain();
    println!("draining {} connections for up to {:?}", open.count(), settings.drain);
    match timeout(settings.drain, open.none()).await {
        Ok(()) => println!("all connections are closed"),
        Err(_) => println!("drain timeout with {} connections open", open.count()),
    }
    server.abort();
    Ok(ExitCode::SUCCESS)
}

/// Waits for SIGTERM or for the scheduled crash. Returns true on SIGTERM.
async fn live(settings: &Settings, engine: &Engine, terminated: &mut Signal) -> bool {
    let crash = settings.crash_after.unwrap_or(Duration::MAX);
    let unready = settings.unready_after.filter(|unready| *unready < crash);
    if let Some(unready) = unready {
        if within(unready, terminated).await {
            return true;
        }
        engine.set_healthy(false);
    }
    within(crash.saturating_sub(unready.unwrap_or_default()), terminated).await
}

/// Waits for SIGTERM for at most `limit`. Returns true on SIGTERM.
async fn within(limit: Duration, terminated: &mut Signal) -> bool {
    timeout(limit, terminated.recv()).await.is_ok()
}

/// Writes the reason for the exit to the log and to the termination message.
fn report_exit(reason: &str) {
    eprintln!("{reason}");
    // Outside of a container the file does not exist.
    let log = File::options().write(true).truncate(true).open(TERMINATION_LOG);
    if let Ok(mut log) = log
        && let Err(error) = log.write_all(reason.as_bytes())
    {
        eprintln!("{TERMINATION_LOG}: {error}");
    }
}
