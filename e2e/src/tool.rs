//! The programs that people use, run as they run them: kubectl, its plugin and Helm, from `PATH`.

use anyhow::Context;

use crate::{attach::Cluster, cluster::shell};

/// Runs a program on the cluster to its end. Returns what it printed.
///
/// # Errors
/// If it cannot be run, or fails: what it said.
pub async fn run(cluster: &Cluster, program: &str, args: &[&str]) -> anyhow::Result<String> {
    let mut command = std::process::Command::new(program);
    command.args(args).env("KUBECONFIG", cluster.kubeconfig());
    tokio::task::spawn_blocking(move || shell::output(&mut command))
        .await?
        .with_context(|| format!("{program} has to be on PATH: eval \"$(make env)\""))
}

/// Splits a command line at its spaces, and runs it.
///
/// # Errors
/// As [`run`].
pub async fn line(cluster: &Cluster, line: &str) -> anyhow::Result<String> {
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty line")?;
    run(cluster, program, &words.collect::<Vec<_>>()).await
}

/// The path of a file of this project.
#[must_use]
pub fn file(path: &str) -> String {
    format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))
}
