//! Sends log lines to standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogFormat, Logging};

#[derive(Debug, thiserror::Error)]
#[error("cannot initialize logging: {0}")]
pub struct Error(#[from] tracing_subscriber::util::TryInitError);

/// Fails if the process has initialized logging already.
pub fn init(logging: &Logging) -> Result<(), Error> {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match logging.format() {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(tracing_subscriber::registry().with(logging.filter()).with(lines).try_init()?)
}
