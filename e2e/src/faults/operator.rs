//! The command line of an operator process: its program, arguments and address.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Context;
use tokio::process::Command;

use super::process::OperatorProcess;
use crate::built;

/// The variable with the path of the operator's program, if it is not next to the tests.
const PROGRAM: &str = "OPERATOR_BIN";

/// The command line of an operator, which can be started any number of times.
#[derive(Clone, Debug)]
pub struct Operator {
    program: Option<PathBuf>,
    kubeconfig: PathBuf,
    log: PathBuf,
    args: Vec<String>,
    election: Vec<String>,
    env: Vec<(String, String)>,
}

impl Operator {
    /// `computing-unit-operator run`, on the cluster of `kubeconfig`, with its output appended to the file `log`.
    /// The program is `OPERATOR_BIN`, or else the one that was built together with this program.
    #[must_use]
    pub fn new(kubeconfig: &Path, log: &Path) -> Self {
        Self {
            program: None,
            kubeconfig: kubeconfig.to_owned(),
            log: log.to_owned(),
            args: vec!["run".to_owned()],
            election: Vec::new(),
            env: Vec::new(),
        }
    }

    /// Sets another program.
    #[must_use]
    pub fn program(mut self, program: &Path) -> Self {
        self.program = Some(program.to_owned());
        self
    }

    /// Sets another kubeconfig.
    #[must_use]
    pub fn kubeconfig(mut self, kubeconfig: &Path) -> Self {
        kubeconfig.clone_into(&mut self.kubeconfig);
        self
    }

    /// Restricts the namespaces of units.
    #[must_use]
    pub fn watch(self, namespaces: &[&str]) -> Self {
        self.args([format!("--watch-namespaces={}", namespaces.join(","))])
    }

    /// Restricts the namespaces of Gateways and their proxies.
    #[must_use]
    pub fn gateways(self, namespaces: &[&str]) -> Self {
        self.args([format!("--gateway-namespaces={}", namespaces.join(","))])
    }

    /// Enables leader election with a Lease in this namespace and with this identity, or disables it. The last call
    /// applies. Without a call, the default of the program applies.
    #[must_use]
    pub fn leader(mut self, election: Option<(&str, &str)>) -> Self {
        self.election = match election {
            None => vec!["--leader-elect=false".to_owned()],
            Some((namespace, identity)) => vec![
                "--leader-elect=true".to_owned(),
                format!("--leader-election-namespace={namespace}"),
                format!("--identity={identity}"),
            ],
        };
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The file with its output.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Starts the process, with its own loopback address for health checks and metrics. Does not wait for readiness.
    ///
    /// # Errors
    /// If the program does not exist, or the log cannot be opened.
    pub fn start(&self) -> anyhow::Result<OperatorProcess> {
        let program = self.program.clone().map_or_else(program, Ok)?;
        let http = own_address();
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("open {}", self.log.display()))?;
        let child = Command::new(&program)
            .args(self.args.iter().chain(&self.election))
            .arg(format!("--http-address={http}"))
            .env("KUBECONFIG", &self.kubeconfig)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(OperatorProcess::new(self.clone(), child, http))
    }
}

/// The operator's program: `OPERATOR_BIN`, or the one that was built together with this program.
fn program() -> anyhow::Result<PathBuf> {
    std::env::var_os(PROGRAM).map_or_else(|| built::program("computing-unit-operator"), |program| Ok(program.into()))
}

/// A loopback address that is unique to this operator: a host for this process, and a port that was not used before.
/// The address of a free port could be taken by another test, which would then answer instead of the operator.
fn own_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // A process's id has at most 22 bits.
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let port = 10_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 20_000;
    (Ipv4Addr::new(127, 128 | high, middle, low), port).into()
}
