//! Runs other programs, and waits for their effects.

use std::{
    ffi::OsStr,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// Runs a program. Returns its standard output.
///
/// # Errors
/// If it cannot be run, or fails. The error contains its output.
pub fn run<I, S>(program: &str, args: I) -> anyhow::Result<String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    output(Command::new(program).args(args))
}

/// Runs a command. Returns its standard output.
///
/// # Errors
/// If it cannot be run, or fails. The error contains its output.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = format!("{command:?}");
    let done: Output = command.stdin(Stdio::null()).output().with_context(|| format!("run {shown}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("{shown} failed with {}: {}", done.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Polls until the condition is true.
///
/// # Errors
/// If that takes longer than `deadline`. The error contains the last error of the condition.
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

/// The pause between two polls.
#[expect(clippy::disallowed_methods, reason = "the effects of other programs cannot be watched")]
pub fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
