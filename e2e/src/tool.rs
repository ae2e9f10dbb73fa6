//! kubectl, its plugins, Helm and Maven, run from `PATH`.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use tokio::{process::Command, time::timeout};

use crate::{attach::Cluster, cluster::shell};

/// Runs a program with the kubeconfig of the cluster. Returns its standard output.
///
/// # Errors
/// If it cannot be run, or fails. The error contains its output.
pub async fn run(cluster: &Cluster, program: &str, args: &[&str]) -> anyhow::Result<String> {
    let mut command = std::process::Command::new(program);
    command.args(args).env("KUBECONFIG", cluster.kubeconfig());
    tokio::task::spawn_blocking(move || shell::output(&mut command))
        .await?
        .with_context(|| format!("{program} failed, or is not in PATH (run eval \"$(make env)\")"))
}

/// Runs a command line, split at its spaces.
///
/// # Errors
/// Same as [`run`].
pub async fn line(cluster: &Cluster, line: &str) -> anyhow::Result<String> {
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty line")?;
    run(cluster, program, &words.collect::<Vec<_>>()).await
}

/// The output of a program, and its exit code.
#[derive(Debug)]
pub struct Output {
    /// The standard output.
    pub stdout: String,
    /// The standard error.
    pub stderr: String,
    /// The exit code. `None` if a signal terminated the program.
    pub code: Option<i32>,
}

/// The deadline of a command, which is longer than any timeout that tests pass to commands.
const LONGEST: Duration = Duration::from_mins(4);

/// Runs a command line, split at its spaces, and returns its output even if it fails.
///
/// # Errors
/// If it cannot be run, or does not exit.
pub async fn output(cluster: &Cluster, line: &str) -> anyhow::Result<Output> {
    let run = timeout(LONGEST, command(cluster, line)?.output()).await;
    let done = run.with_context(|| format!("`{line}` did not exit within {LONGEST:?}"))?;
    let done = done.with_context(|| format!("run {line}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Output { stdout: text(&done.stdout), stderr: text(&done.stderr), code: done.status.code() })
}

/// The command of a command line, split at its spaces. Its process is killed on drop.
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
/// If they cannot be run, or one fails. The error contains the output of Maven.
pub async fn maven(cluster: &Cluster, project: &str, variables: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut command = Command::new("mvn");
    command.args(["--batch-mode", "--no-transfer-progress", "--quiet", "--file", &file(project), "test"]);
    command.envs(variables.iter().copied()).env("KUBECONFIG", cluster.kubeconfig());
    let done = command.stdin(Stdio::null()).kill_on_drop(true).output().await.context("run mvn")?;
    ensure!(
        done.status.success(),
        "mvn test in {project} failed with {}:\n{}",
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
