//! Where words go: results to stdout, all else to stderr.

use std::{
    future::pending,
    io::{self, Write},
};

/// Writes a result.
///
/// # Errors
/// Where nobody reads it.
pub fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes what is no result. There is nowhere left to say that stderr is gone.
pub fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes why something was not done.
pub fn complain(sentences: impl IntoIterator<Item = impl AsRef<str>>) {
    for line in sentences.into_iter().flat_map(|text| text.as_ref().lines().map(str::to_owned).collect::<Vec<_>>()) {
        tell(&format!("error: {line}"));
    }
}

/// Resolves when the user has had enough.
pub async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler, the signal ends the program by itself.
        pending::<()>().await;
    }
}
