//! Runs compilers, and shows what is compiled and for how long.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::shell;

/// What takes less is not shown.
const MOMENT: Duration = Duration::from_secs(1);
/// The interval at which a long build shows its progress.
const NEWS: Duration = Duration::from_secs(10);

/// Runs a compiler. `takes` is the duration of a first run, and `log` the file for its output.
///
/// # Errors
/// If it fails: its output.
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
                eprintln!("compiling {what} (the first time {takes} on two cores)");
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
        bail!("{what} cannot be compiled; run it again to go on where it ended:\n{}", said.trim());
    }
    if told.is_some() {
        eprintln!("compiled {what} in {} s", began.elapsed().as_secs());
    }
    Ok(())
}
