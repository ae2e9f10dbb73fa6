//! An operator as a process of its own, to be killed. What it does while it lives is not looked at.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use http::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::traffic::{Connection, Reuse, Target, first_success};

/// Names the operator's program, where it is not to be found beside the tests.
const PROGRAM: &str = "OPERATOR_BIN";
/// How much of a log is repeated when its process has failed, in lines.
const TAIL: usize = 20;

/// How to start an operator, any number of times.
#[derive(Clone, Debug)]
pub struct Operator {
    program: Option<PathBuf>,
    kubeconfig: PathBuf,
    log: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Operator {
    /// `computing-unit-operator run`, on the cluster of `kubeconfig`, with all its output appended to the file `log`.
    /// The program is the one that `OPERATOR_BIN` names, or else the one that was built along with this program.
    #[must_use]
    pub fn new(kubeconfig: &Path, log: &Path) -> Self {
        Self {
            program: None,
            kubeconfig: kubeconfig.to_owned(),
            log: log.to_owned(),
            args: vec!["run".to_owned()],
            env: Vec::new(),
        }
    }

    /// Another program.
    #[must_use]
    pub fn program(mut self, program: &Path) -> Self {
        self.program = Some(program.to_owned());
        self
    }

    /// The namespaces of the units that it looks after, instead of all.
    #[must_use]
    pub fn watch(self, namespaces: &[&str]) -> Self {
        self.args([format!("--watch-namespaces={}", namespaces.join(","))])
    }

    /// The namespaces of the Gateways and their proxies, instead of all.
    #[must_use]
    pub fn gateways(self, namespaces: &[&str]) -> Self {
        self.args([format!("--gateway-namespaces={}", namespaces.join(","))])
    }

    /// Whether it must hold the Lease in `namespace`, as `identity`; without a word, that is for the program to say.
    #[must_use]
    pub fn leader(self, election: Option<(&str, &str)>) -> Self {
        match election {
            None => self.args(["--leader-elect=false"]),
            Some((namespace, identity)) => self.args([
                "--leader-elect=true".to_owned(),
                format!("--leader-election-namespace={namespace}"),
                format!("--identity={identity}"),
            ]),
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

    /// Starts the process, with a free loopback port for its health checks and metrics, without waiting for it.
    ///
    /// # Errors
    /// If there is no such program, no place for the log, or no free port.
    pub fn start(&self) -> anyhow::Result<OperatorProcess> {
        let program = self.program.clone().map_or_else(program, Ok)?;
        let http = free_address()?;
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("open {}", self.log.display()))?;
        let child = Command::new(&program)
            .args(&self.args)
            .arg(format!("--http-address={http}"))
            .env("KUBECONFIG", &self.kubeconfig)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(OperatorProcess { operator: self.clone(), child, http })
    }
}

/// A running operator; dropping it kills it.
#[derive(Debug)]
pub struct OperatorProcess {
    operator: Operator,
    child: Child,
    http: SocketAddr,
}

impl OperatorProcess {
    /// Where it answers health checks and tells its metrics.
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

    /// What `/metrics` says.
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
        let log = fs::read(&self.operator.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

/// The operator's program: the one that is named, or the one beside this program, which may be a test in `deps`.
fn program() -> anyhow::Result<PathBuf> {
    if let Some(program) = std::env::var_os(PROGRAM) {
        return Ok(program.into());
    }
    let this = std::env::current_exe().context("the path of this program")?;
    let beside = this.ancestors().skip(1).take(2).map(|directory| directory.join("computing-unit-operator"));
    beside.into_iter().find(|program| program.is_file()).with_context(|| {
        format!(
            "no computing-unit-operator beside {}: run `cargo build -p computing-unit-operator`, or set {PROGRAM}",
            this.display()
        )
    })
}

/// A loopback address that nobody listens on now.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
    Ok(listener.local_addr()?)
}
