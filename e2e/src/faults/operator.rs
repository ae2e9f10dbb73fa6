//! An operator as a process of its own, to be killed. What it does while it lives is not looked at.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::traffic::{Reuse, Target, first_success};

/// How much of a log is repeated when its process has failed, in lines.
const TAIL: usize = 20;

/// How to start an operator.
#[derive(Clone, Debug)]
pub struct Operator {
    program: PathBuf,
    kubeconfig: PathBuf,
    log: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Operator {
    /// `program run`, on the cluster of `kubeconfig`, with all its output appended to the file `log`.
    #[must_use]
    pub fn new(program: &Path, kubeconfig: &Path, log: &Path) -> Self {
        Self {
            program: program.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            log: log.to_owned(),
            args: vec!["run".to_owned()],
            env: Vec::new(),
        }
    }

    /// More arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts the process, without waiting for it to be ready.
    ///
    /// # Errors
    /// If there is no such program, or no place for the log.
    pub fn start(&self) -> anyhow::Result<OperatorProcess> {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("open {}", self.log.display()))?;
        let child = Command::new(&self.program)
            .args(&self.args)
            .env("KUBECONFIG", &self.kubeconfig)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        Ok(OperatorProcess { child, log: self.log.clone() })
    }
}

/// A running operator; dropping it kills it.
#[derive(Debug)]
pub struct OperatorProcess {
    child: Child,
    log: PathBuf,
}

impl OperatorProcess {
    /// Waits until `/readyz` at `health` is answered with 200.
    ///
    /// # Errors
    /// If that takes longer than `deadline`, or the process ends: with the end of its log.
    pub async fn ready(&mut self, health: SocketAddr, deadline: Duration) -> anyhow::Result<()> {
        let target = Target::new(&health.to_string(), "/readyz")?;
        let outcome = tokio::select! {
            first = first_success(health, &target, Reuse::Fresh, deadline) => first.map(drop),
            ended = self.child.wait() => match ended {
                Ok(status) => Err(anyhow::anyhow!("the operator has ended with {status}")),
                Err(error) => Err(error.into()),
            },
        };
        outcome.with_context(|| format!("the operator is not ready; the end of its log:\n{}", self.tail()))
    }

    /// The process's id; none if it has ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Kills the process, and waits for its end: it gets no time to do anything more.
    ///
    /// # Errors
    /// If the process cannot be waited for.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("kill the operator")
    }

    /// Asks the process to end, as the kubelet does, and waits for that.
    ///
    /// # Errors
    /// If it has not ended within `deadline`; it is killed then.
    pub async fn terminate(mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
            kill_process(pid, Signal::TERM).context("send SIGTERM to the operator")?;
        }
        match timeout(deadline, self.child.wait()).await {
            Ok(status) => status.context("wait for the operator's end"),
            Err(_) => bail!("the operator runs {deadline:?} after SIGTERM; the end of its log:\n{}", self.tail()),
        }
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    /// If it has not within `deadline`; it goes on running.
    pub async fn ended(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let status = timeout(deadline, self.child.wait()).await;
        status
            .with_context(|| format!("the operator has not ended within {deadline:?}"))?
            .context("wait for the operator")
    }

    fn tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

/// A loopback address that nobody listens on now.
///
/// # Errors
/// If there is no free port.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
    Ok(listener.local_addr()?)
}
