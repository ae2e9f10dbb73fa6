//! How an operator is started as a process of its own: its program, its arguments, its address. It is not looked at here.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Context;
use tokio::process::Command;

use super::process::OperatorProcess;
use crate::built;

/// Names the operator's program, where it is not to be found beside the tests.
const PROGRAM: &str = "OPERATOR_BIN";

/// How to start an operator, any number of times.
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
    /// `computing-unit-operator run`, on the cluster of `kubeconfig`, with all its output appended to the file `log`.
    /// The program is the one that `OPERATOR_BIN` names, or else the one that was built along with this program.
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

    /// Whether it must hold the Lease in `namespace`, as `identity`; the last word counts, and without one that is for the
    /// program to say.
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

    /// The file with all its output.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Starts the process, with a loopback address of its own for health checks and metrics, without waiting for it.
    ///
    /// # Errors
    /// If there is no such program, or no place for the log.
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

/// The operator's program: the one that is named, or the one that was built along with this program.
fn program() -> anyhow::Result<PathBuf> {
    std::env::var_os(PROGRAM).map_or_else(|| built::program("computing-unit-operator"), |program| Ok(program.into()))
}

/// A loopback address that nobody else takes: a host of this process alone, and a port that was not used before.
/// One that was free a moment ago may be another test's by now, which would then answer in the operator's place.
fn own_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // A process's id has at most 22 bits.
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let port = 10_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 20_000;
    (Ipv4Addr::new(127, 128 | high, middle, low), port).into()
}
