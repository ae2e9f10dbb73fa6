//! Running other programs to their end, and waiting for what they bring about.

use std::{
    ffi::OsStr,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// Runs a program quietly. Returns what it printed.
///
/// # Errors
/// If it cannot be run, or fails: its output.
pub fn run<I, S>(program: &str, args: I) -> anyhow::Result<String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    output(Command::new(program).args(args))
}

/// Runs a command quietly. Returns what it printed.
///
/// # Errors
/// If it cannot be run, or fails: its output.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = format!("{command:?}");
    let done: Output = command.stdin(Stdio::null()).output().with_context(|| format!("run {shown}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("{shown} ended with {}: {}", done.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Asks again and again until the answer is yes.
///
/// # Errors
/// If that takes longer than `deadline`: the last refusal.
pub fn wait(what: &str, deadline: Duration, mut ask: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let end = Instant::now() + deadline;
    loop {
        let answer = ask();
        if matches!(answer, Ok(true)) {
            return Ok(());
        }
        if Instant::now() >= end {
            return match answer {
                Err(error) => Err(error.context(format!("{what}: not within {deadline:?}"))),
                Ok(_) => bail!("{what}: not within {deadline:?}"),
            };
        }
        pause();
    }
}

/// The only pause of the harness, between two polls.
#[expect(clippy::disallowed_methods, reason = "the programs that are waited for cannot be subscribed to")]
pub fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
