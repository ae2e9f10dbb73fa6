//! An operator as a process, to be waited for, measured and killed. What it does while it lives is not looked at.

use std::fs;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use http::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::time::timeout;

use super::operator::Operator;
use crate::traffic::{Connection, Reuse, Target, first_success};

/// How much of a log is repeated when its process has failed, in lines.
const TAIL: usize = 20;

/// A running operator; dropping it kills it.
#[derive(Debug)]
pub struct OperatorProcess {
    operator: Operator,
    child: Child,
    http: SocketAddr,
}

impl OperatorProcess {
    pub(super) fn new(operator: Operator, child: Child, http: SocketAddr) -> Self {
        Self { operator, child, http }
    }

    /// The address of its health checks and metrics.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The process's id; none if it has ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until `/readyz` is answered with 200.
    ///
    /// # Errors
    /// If that takes longer than `deadline`, or the process ends: with the end of its log.
    pub async fn ready(&mut self, deadline: Duration) -> anyhow::Result<()> {
        let target = Target::new(&self.http.to_string(), "/readyz")?;
        let outcome = tokio::select! {
            first = first_success(self.http, &target, Reuse::Fresh, deadline) => first.map(drop),
            ended = self.child.wait() => match ended {
                Ok(status) => Err(anyhow::anyhow!("the operator has ended with {status}")),
                Err(error) => Err(error.into()),
            },
        };
        outcome.with_context(|| format!("the operator is not ready; the end of its log:\n{}", self.tail()))
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    /// If it is not answered with 200.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let target = Target::new(&self.http.to_string(), "/metrics")?;
        let answer = Connection::open(self.http).await?.send(&target).await?;
        ensure!(answer.status == StatusCode::OK, "/metrics of the operator: {}", answer.status);
        String::from_utf8(answer.body.into()).context("the operator's metrics")
    }

    /// How much memory the process has in RAM, in bytes.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn resident_memory(&self) -> anyhow::Result<u64> {
        let id = self.id().context("the operator has ended")?;
        let status = fs::read_to_string(format!("/proc/{id}/status")).context("the operator's /proc")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let kilobytes: u64 = resident.context("VmRSS of the operator")?.parse()?;
        Ok(kilobytes * 1024)
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

    /// Kills the process, starts another one like it, and waits until that is ready.
    ///
    /// # Errors
    /// As [`Self::kill`], [`Operator::start`] and [`Self::ready`].
    pub async fn restart(self, deadline: Duration) -> anyhow::Result<Self> {
        let operator = self.operator.clone();
        self.kill().await?;
        let mut process = operator.start()?;
        process.ready(deadline).await?;
        Ok(process)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn tail(&self) -> String {
        let log = fs::read(self.operator.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}
