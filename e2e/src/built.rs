//! The other programs of this workspace, which are built along with this one: the tests run the operator that
//! `cargo build` has made, and the images contain it.

use std::{env, path::PathBuf};

use anyhow::Context;

/// The program of that name that lies beside this program, which may be a test in `deps`.
///
/// # Errors
/// If it is not built.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let this = env::current_exe().context("the path of this program")?;
    let beside = this.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    let found = beside.into_iter().find(|program| program.is_file());
    found.with_context(|| format!("no {name} beside {}: run `cargo build`", this.display()))
}
