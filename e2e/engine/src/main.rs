//! A small server that answers like Texera's execution engine, to run inside a unit.
//!
//! This file decides the order of a life: start, serve, drain, end. It answers no request itself.

mod answer;
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
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::connections::Counted;
use crate::routes::Engine;
use crate::settings::Settings;

/// Where Kubernetes reads the last words of a container from.
const TERMINATION_LOG: &str = "/dev/termination-log";

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let settings = Settings::parse();
    let mut terminated = signal(SignalKind::terminate()).context("listen for SIGTERM")?;

    if let Some(start_delay) = settings.start_delay() {
        println!("starting, {start_delay:?} to go");
        if within(start_delay, &mut terminated).await {
            println!("stopped before it had started");
            return Ok(ExitCode::SUCCESS);
        }
    }
    if let Some(code) = settings.fail_start {
        last_words(&format!("the engine was told to fail its start with exit code {code}"));
        return Ok(ExitCode::from(code));
    }
    serve(&settings, &mut terminated).await
}

/// Serves until the process is told to stop and has drained, or until it is due to crash.
async fn serve(settings: &Settings, terminated: &mut Signal) -> anyhow::Result<ExitCode> {
    let engine = Arc::new(Engine::new(settings.unit()));
    let listener = TcpListener::bind(("0.0.0.0", settings.port))
        .await
        .with_context(|| format!("listen on port {}", settings.port))?;
    let listener = Counted::new(listener);
    let open = listener.open();
    println!("{} listens on port {}", engine.unit(), settings.port);
    let server = axum::serve(listener, routes::router(Arc::clone(&engine)));
    let server = tokio::spawn(server.into_future());

    let crash_after = settings.crash_after().unwrap_or(Duration::MAX);
    if !within(crash_after, terminated).await {
        last_words("the engine was told to crash");
        return Ok(ExitCode::FAILURE);
    }

    engine.drain();
    println!("draining {} connections for up to {:?}", open.count(), settings.drain());
    match timeout(settings.drain(), open.none()).await {
        Ok(()) => println!("no connection is open, the end"),
        Err(_) => println!("the drain is over with {} connections open", open.count()),
    }
    server.abort();
    Ok(ExitCode::SUCCESS)
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
