//! The other programs of this workspace, which are built together with this one. The tests run the operator from the
//! same build, and the images contain it.

use std::{env, path::PathBuf};

use anyhow::Context;

/// The program with this name in the target directory of the running program, which may be a test in `deps`.
///
/// # Errors
/// If it is not built.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let this = env::current_exe().context("no path of this program")?;
    let beside = this.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    let found = beside.into_iter().find(|program| program.is_file());
    found.with_context(|| format!("no {name} next to {}: run `cargo build`", this.display()))
}
