//! Standard output for results, and standard error for everything else.

use std::{
    future::pending,
    io::{self, Write},
};

/// Writes a result.
///
/// # Errors
/// If standard output cannot be written.
pub fn write_stdout(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes a result without adding a newline.
///
/// # Errors
/// If standard output cannot be written.
pub fn write_raw(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a note. Errors of standard error itself are ignored.
pub fn write_stderr(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes error messages.
pub fn write_errors(messages: impl IntoIterator<Item = impl AsRef<str>>) {
    for message in messages {
        for line in message.as_ref().lines() {
            write_stderr(&format!("error: {line}"));
        }
    }
}

/// Completes on Ctrl-C.
pub async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler, the signal terminates the program.
        pending::<()>().await;
    }
}
