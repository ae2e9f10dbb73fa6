//! An nginx that finds units in a routing table and is reloaded at each change, like an ingress controller that
//! generates configuration files.

use std::{collections::BTreeMap, fmt::Write, fs, net::SocketAddr, path::PathBuf, sync::Mutex};

use anyhow::Context;
use kube::ResourceExt;
use rustix::process::{Pid, Signal, kill_process};

use super::{NGINX, Plan, bring, nginx, run_nginx};
use crate::{
    fixture::Fixture,
    proxies::{pid, processes},
};

/// The running nginx.
#[derive(Debug)]
pub struct Reloads {
    /// The address for clients.
    pub front: SocketAddr,
    /// The master process, as a directory in `/proc`.
    master: PathBuf,
    table: Mutex<(BTreeMap<i64, SocketAddr>, u32)>,
}

impl Reloads {
    /// Starts it in the namespace of a fixture, with an empty table. Returns `None` if the cluster is not local.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start(fixture: &Fixture, plan: &Plan) -> anyhow::Result<Option<Self>> {
        if !bring().await? {
            return Ok(None);
        }
        let front = run_nginx(fixture, &nginx::with_table(plan)).await?;
        let uid = fixture.pods().get(NGINX).await?.uid().context("a UID")?;
        let is_master = |process: &PathBuf| {
            fs::read_to_string(process.join("cmdline")).is_ok_and(|line| line.starts_with("nginx: master"))
        };
        let master = processes(&uid)?.find(is_master).context("nginx on this machine")?;
        Ok(Some(Self { front, master, table: Mutex::default() }))
    }

    /// Adds a unit to the table or removes it from there, and reloads nginx.
    ///
    /// # Errors
    /// If nginx is not running.
    pub fn put(&self, cuid: i64, unit: Option<SocketAddr>) -> anyhow::Result<()> {
        let mut table = self.table.lock().ok().context("the table")?;
        match unit {
            Some(unit) => table.0.insert(cuid, unit),
            None => table.0.remove(&cuid),
        };
        table.1 += 1;
        let mut lines = String::new();
        for (cuid, unit) in &table.0 {
            let _ = writeln!(lines, "{cuid} {unit};");
        }
        fs::write(self.master.join("root").join(nginx::TABLE.trim_start_matches('/')), lines)?;
        Ok(kill_process(Pid::from_raw(pid(&self.master)?).context("a pid")?, Signal::HUP)?)
    }

    /// The number of reloads.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.table.lock().map_or(0, |table| table.1)
    }
}
