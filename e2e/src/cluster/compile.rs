//! Runs compilers, and prints the progress of long builds.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::shell;

/// Shorter builds are not printed.
const MOMENT: Duration = Duration::from_secs(1);
/// The interval of progress messages.
const NEWS: Duration = Duration::from_secs(10);

/// Runs a compiler. `takes` is the usual duration of a first build, and `log` the file for the output.
///
/// # Errors
/// If it fails. The error contains the output.
pub fn compile(what: &str, takes: &str, command: &mut Command, log: &Path) -> anyhow::Result<()> {
    let output = File::create(log).with_context(|| format!("write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("run the compiler of {what}"))?;
    let mut told = None;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        match told {
            None if began.elapsed() >= MOMENT => {
                eprintln!("compiling {what} (the first build takes {takes} on two cores)");
                told = Some(Instant::now());
            }
            Some(last) if last.elapsed() >= NEWS => {
                eprintln!("compiling {what}: {} s", began.elapsed().as_secs());
                told = Some(Instant::now());
            }
            _ => {}
        }
        shell::pause();
    };
    if !status.success() {
        let said = fs::read_to_string(log).unwrap_or_default();
        bail!("cannot compile {what}; a further run continues from here:\n{}", said.trim());
    }
    if told.is_some() {
        eprintln!("compiled {what} in {} s", began.elapsed().as_secs());
    }
    Ok(())
}
