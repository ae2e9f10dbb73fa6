//! An operator process, which can be waited for, measured and killed.

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
use crate::{
    cluster::process,
    traffic::{Connection, Reuse, Target, first_success},
};

/// The number of log lines in the error message of a failed process.
const TAIL: usize = 20;

/// A running operator. It is killed on drop.
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

    /// The process id. `None` if the process has exited.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until `/readyz` is answered with 200.
    ///
    /// # Errors
    /// If that takes longer than `deadline`, or the process exits. The error contains the end of its log.
    pub async fn ready(&mut self, deadline: Duration) -> anyhow::Result<()> {
        let target = Target::new(&self.http.to_string(), "/readyz")?;
        let outcome = tokio::select! {
            first = first_success(self.http, &target, Reuse::Fresh, deadline) => first.map(drop),
            ended = self.child.wait() => match ended {
                Ok(status) => Err(anyhow::anyhow!("the operator exited early: {status}")),
                Err(error) => Err(error.into()),
            },
        };
        outcome.with_context(|| format!("the operator is not ready; the end of its log:\n{}", self.tail()))
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    /// If the status is not 200.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let target = Target::new(&self.http.to_string(), "/metrics")?;
        let answer = Connection::open(self.http).await?.send(&target).await?;
        ensure!(answer.status == StatusCode::OK, "/metrics of the operator was answered with {}", answer.status);
        String::from_utf8(answer.body.into()).context("the operator's metrics")
    }

    /// The value of an integer metric with its labels, without the operator's prefix. `None` if it is absent.
    ///
    /// # Errors
    /// If the status is not 200.
    pub async fn metric(&self, name: &str) -> anyhow::Result<Option<u64>> {
        let text = self.metrics().await?;
        let name = format!("computing_unit_operator_{name}");
        Ok(text.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse().ok()))
    }

    /// The number of probes of withdrawn routes that a proxy has answered with the closed route.
    ///
    /// # Errors
    /// If the status is not 200.
    pub async fn closed_routes_seen(&self) -> anyhow::Result<u64> {
        let matched = self.metric("probes_total{goal=\"withdrawn\",result=\"matched\"}").await?;
        Ok(matched.unwrap_or(0))
    }

    /// The resident memory of the process, in bytes.
    ///
    /// # Errors
    /// If the process has exited.
    pub fn resident_memory(&self) -> anyhow::Result<u64> {
        let id = self.id().context("the operator has exited")?;
        process::resident_memory(i32::try_from(id)?)
    }

    /// Kills the process with SIGKILL, if it has not exited, and waits for its exit.
    ///
    /// # Errors
    /// If the process cannot be waited for.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        if self.child.id().is_none() {
            return Ok(());
        }
        self.child.kill().await.context("kill the operator")
    }

    /// Sends SIGTERM to the process, like the kubelet, and waits for its exit.
    ///
    /// # Errors
    /// If it does not exit within `deadline`. It is killed then.
    pub async fn terminate(mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
            kill_process(pid, Signal::TERM).context("send SIGTERM to the operator")?;
        }
        match timeout(deadline, self.child.wait()).await {
            Ok(status) => status.context("wait for the operator's exit"),
            Err(_) => bail!("the operator still runs {deadline:?} after SIGTERM; the end of its log:\n{}", self.tail()),
        }
    }

    /// Waits for the process to exit.
    ///
    /// # Errors
    /// If it does not exit within `deadline`. It is not killed.
    pub async fn ended(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let status = timeout(deadline, self.child.wait()).await;
        status
            .with_context(|| format!("the operator did not exit within {deadline:?}"))?
            .context("wait for the operator")
    }

    /// Kills the process, starts another one with the same command line, and waits until it is ready.
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
