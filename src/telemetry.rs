//! Where log lines go and how they look. What is logged is decided where it happens.

use std::io::{self, IsTerminal};

use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{cli::LogFormat, config::Logging};

/// Sends log lines to standard error from now on.
///
/// # Errors
/// If the process already sends them somewhere.
pub fn init(logging: &Logging) -> Result<(), tracing_subscriber::util::TryInitError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match logging.format() {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(logging.filter()).with(lines).try_init()
}
