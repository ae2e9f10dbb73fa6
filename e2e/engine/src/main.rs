//! A small server that answers like Texera's execution engine, to run inside a unit.
//!
//! | request | answer |
//! |---|---|
//! | WebSocket at `/wsapi...`, `/api/pve...` or any path of no part below | echoes text and binary messages |
//! | `/api/executions/result/export...` | numbered lines, one a chunk; `?chunks=` and `?interval_ms=` say how long |
//! | `/api/healthcheck` | 200, or 503 once told so and while it drains |
//! | `POST /api/healthcheck?healthy=false` (or `true`) | sets what health checks say |
//! | `/busy` | `{"busy": false}`, or what it was told |
//! | `PUT /busy?answer=true` (or `false`, `hang`, `garbage`, `huge`) | sets what `/busy` answers |
//! | anything else, any method | JSON: the unit, the part of the engine, method, path, query, bytes received, host and `x-` headers |
//!
//! Every answer carries `x-engine: <unit>`. A path keeps its meaning behind any prefix that a gateway leaves there.
//!
//! | variable | meaning |
//! |---|---|
//! | `COMPUTING_UNIT_NAME` | the unit's name; the host's name if absent |
//! | `PORT` | TCP port, 8085; 0 takes any free one, which the log tells |
//! | `START_DELAY` | seconds before it listens |
//! | `FAIL_START`, `FAIL_MESSAGE` | exit code instead of listening, and the last words (also in the container's status) |
//! | `UNREADY_AFTER` | seconds of serving after which health checks fail |
//! | `CRASH_AFTER` | seconds of serving after which it exits with code 1 |
//! | `DRAIN` | seconds to go on serving after SIGTERM, WebSockets and exports included; it ends with the last connection |
//! | `PAGE` | HTML that a GET of any other path is answered with, as by a static service |
//! | `EXPORT_CHUNKS`, `EXPORT_INTERVAL_MS` | the usual export: 10 lines, 100 ms apart |
//!
//! It starts no process, takes no file and needs no user, so it can be process 1 of an empty image.
//! This file decides the order of a life: start, serve, drain, end. It answers no request itself.

mod answer;
mod busy;
mod connections;
mod export;
mod routes;
mod settings;

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::serve::Listener;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::connections::Counted;
use crate::routes::Engine;
use crate::settings::Settings;

/// Where Kubernetes reads the last words of a container from.
const TERMINATION_LOG: &str = "/dev/termination-log";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let settings = Settings::parse();
    // Process 1 is not ended by a signal that it does not handle.
    let mut terminated = signal(SignalKind::terminate()).context("listen for SIGTERM")?;

    if !settings.start_delay.is_zero() {
        println!("starting, {:?} to go", settings.start_delay);
        if within(settings.start_delay, &mut terminated).await {
            println!("stopped before it had started");
            return Ok(ExitCode::SUCCESS);
        }
    }
    if let Some(code) = settings.fail_start {
        last_words(&settings.fail_message);
        return Ok(ExitCode::from(code));
    }
    serve(&settings, &mut terminated).await
}

/// Serves until the process is told to stop and has drained, or until it is due to crash.
async fn serve(settings: &Settings, terminated: &mut Signal) -> anyhow::Result<ExitCode> {
    let engine = Arc::new(Engine::new(settings.unit(), settings.export(), settings.page.clone()));
    let listener = TcpListener::bind(("0.0.0.0", settings.port))
        .await
        .with_context(|| format!("listen on port {}", settings.port))?;
    let listener = Counted::new(listener);
    println!("{} listens on port {}", engine.unit(), listener.local_addr()?.port());
    let open = listener.open();
    let server = axum::serve(listener, routes::router(Arc::clone(&engine)));
    let server = tokio::spawn(server.into_future());

    if !live(settings, &engine, terminated).await {
        last_words("the engine was told to crash");
        return Ok(ExitCode::FAILURE);
    }

    engine.drain();
    println!("draining {} connections for up to {:?}", open.count(), settings.drain);
    match timeout(settings.drain, open.none()).await {
        Ok(()) => println!("no connection is open, the end"),
        Err(_) => println!("the drain is over with {} connections open", open.count()),
    }
    server.abort();
    Ok(ExitCode::SUCCESS)
}

/// Lets the time pass until SIGTERM, or until a crash is due; whether it was the former.
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

/// Waits for SIGTERM, but not for longer than `limit`; whether it came.
async fn within(limit: Duration, terminated: &mut Signal) -> bool {
    timeout(limit, terminated.recv()).await.is_ok()
}

/// Prints why the process ends, where its log and its container status show it.
fn last_words(reason: &str) {
    eprintln!("{reason}");
    // Outside of a container there is no such file, and nobody to read it.
    let log = File::options().write(true).truncate(true).open(TERMINATION_LOG);
    if let Ok(mut log) = log
        && let Err(error) = log.write_all(reason.as_bytes())
    {
        eprintln!("{TERMINATION_LOG}: {error}");
    }
}
