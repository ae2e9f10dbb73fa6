//! Faults of the proxies and of the operator.

use anyhow::Context;

use super::{draw::Fault, stage::Stage};
use crate::{
    faults::OperatorProcess,
    fixture::{Fixture, SOON},
    gateway::scale_proxies,
    proxies,
    wait::eventually,
};

/// The operators of a batch. They are killed on drop.
pub struct Operators(Vec<OperatorProcess>);

impl Operators {
    /// One operator, or two that elect a leader. The first one leads.
    pub async fn start(fixture: &Fixture, fault: Fault) -> anyhow::Result<Self> {
        if fault != Fault::LeaderKilled {
            return Ok(Self(vec![fixture.start().await?]));
        }
        let mut all = vec![];
        for name in ["one", "two"] {
            let mut process = fixture.operator.clone().leader(Some((&fixture.namespace, name))).start()?;
            process.ready(SOON).await?;
            if all.is_empty() {
                until_leading(&process).await?;
            }
            all.push(process);
        }
        Ok(Self(all))
    }

    /// Kills the first operator. Returns when another one works.
    async fn kill(&mut self, fixture: &Fixture) -> anyhow::Result<()> {
        self.0.remove(0).kill().await?;
        if let Some(other) = self.0.first() {
            return until_leading(other).await;
        }
        self.0.push(fixture.start().await?);
        Ok(())
    }
}

/// Only the leader scans.
async fn until_leading(process: &OperatorProcess) -> anyhow::Result<()> {
    let leads = || async {
        let leads = process.metric("leader").await.unwrap_or_default();
        Ok((leads == Some(1)).then_some(()))
    };
    eventually("leader", SOON, leads).await
}

/// Makes the fault, and waits until the system has recovered.
pub async fn happen(fault: Fault, fixture: &Fixture, stage: &Stage, operators: &mut Operators) -> anyhow::Result<()> {
    let proxies = stage.cluster.proxies().await?;
    let proxy = *proxies.first().context("no proxy")?;
    if fault.restarts_idleness() {
        stage.fault_begins();
    }
    match fault {
        Fault::None => {}
        Fault::ProxyKilled => proxies::restart(&stage.cluster, proxy).await?,
        Fault::ProxyLost => proxies::replace(&stage.cluster, proxy, true).await?,
        Fault::ProxyReplaced => proxies::replace(&stage.cluster, proxy, false).await?,
        Fault::ProxyAdded => drop(scale_proxies(&stage.cluster, proxies.len() + 1).await?),
        Fault::ProxyRemoved => drop(scale_proxies(&stage.cluster, proxies.len() - 1).await?),
        Fault::OperatorKilled | Fault::LeaderKilled => operators.kill(fixture).await?,
    }
    stage.fault_ends();
    Ok(())
}
