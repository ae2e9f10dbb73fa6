//! kubectl, its plugins, Helm and Maven, run from `PATH`.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use tokio::{process::Command, time::timeout};

use crate::{attach::Cluster, cluster::shell};

/// Runs a program on the cluster to its end. Returns what it printed.
///
/// # Errors
/// If it cannot be run, or fails: its output.
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

/// The output of a program, and its exit code.
#[derive(Debug)]
pub struct Output {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
}

/// The deadline of a command, longer than any timeout that a test passes to it.
const LONGEST: Duration = Duration::from_mins(4);

/// Runs a command line, split at its spaces, and returns its output even if it fails.
///
/// # Errors
/// If it cannot be run, or does not end.
pub async fn output(cluster: &Cluster, line: &str) -> anyhow::Result<Output> {
    let run = timeout(LONGEST, command(cluster, line)?.output()).await;
    let done = run.with_context(|| format!("`{line}` has not ended within {LONGEST:?}"))?;
    let done = done.with_context(|| format!("run {line}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Output { stdout: text(&done.stdout), stderr: text(&done.stderr), code: done.status.code() })
}

/// A command line, split at its spaces, that is not started yet. The process is killed on drop.
///
/// # Errors
/// If the line is empty.
pub fn command(cluster: &Cluster, line: &str) -> anyhow::Result<Command> {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().context("an empty line")?);
    command.args(words).env("KUBECONFIG", cluster.kubeconfig()).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// Runs the tests of a Maven project of this repository, with these variables in its environment.
///
/// # Errors
/// If they cannot be run, or one fails: the output of Maven.
pub async fn maven(cluster: &Cluster, project: &str, variables: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut command = Command::new("mvn");
    command.args(["--batch-mode", "--no-transfer-progress", "--quiet", "--file", &file(project), "test"]);
    command.envs(variables.iter().copied()).env("KUBECONFIG", cluster.kubeconfig());
    let done = command.stdin(Stdio::null()).kill_on_drop(true).output().await.context("run mvn")?;
    ensure!(
        done.status.success(),
        "mvn test in {project} ended with {}:\n{}",
        done.status,
        String::from_utf8_lossy(&done.stdout)
    );
    Ok(())
}

/// The path of a file of this project.
#[must_use]
pub fn file(path: &str) -> String {
    let package = env!("CARGO_MANIFEST_DIR");
    format!("{}/{path}", package.rsplit_once('/').map_or(".", |(project, _)| project))
}
