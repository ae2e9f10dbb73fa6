//! Keeps the operator running, as the kubelet would: starts it again when it has exited, and counts that.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
    time::interval,
};

use crate::faults::OperatorProcess;

/// The deadline until the operator is ready.
pub const READY: Duration = Duration::from_mins(5);
/// How often it is looked at.
const TICK: Duration = Duration::from_millis(200);
/// The longest time to wait for the exit of a process that runs.
const NOW: Duration = Duration::from_millis(1);

/// What is known of the operator.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// The address of its metrics.
    pub metrics: SocketAddr,
    /// How often it has exited by itself.
    pub exits: u64,
}

/// An operator that is kept running.
pub struct Keeper {
    operator: Arc<Mutex<Option<OperatorProcess>>>,
    state: watch::Sender<State>,
    _keeping: JoinSet<()>,
}

impl Keeper {
    /// Keeps this operator running.
    #[must_use]
    pub fn keep(operator: OperatorProcess) -> Self {
        let state = watch::Sender::new(State { metrics: operator.http(), exits: 0 });
        let operator = Arc::new(Mutex::new(Some(operator)));
        let keeping = JoinSet::from_iter([keep(operator.clone(), state.clone())]);
        Self { operator, state, _keeping: keeping }
    }

    /// What is known of it.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Its pid, if it is running.
    pub async fn pid(&self) -> Option<i32> {
        let operator = self.operator.lock().await;
        operator.as_ref().and_then(OperatorProcess::id).and_then(|id| i32::try_from(id).ok())
    }

    /// Kills it and starts it again.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn restart(&self) -> anyhow::Result<()> {
        restart(&mut *self.operator.lock().await, &self.state).await
    }

    /// Kills it.
    ///
    /// # Errors
    /// If its exit cannot be waited for.
    pub async fn kill(self) -> anyhow::Result<()> {
        match self.operator.lock().await.take() {
            Some(operator) => operator.kill().await,
            None => Ok(()),
        }
    }
}

async fn restart(operator: &mut Option<OperatorProcess>, state: &watch::Sender<State>) -> anyhow::Result<()> {
    let started = operator.take().context("no operator")?.restart(READY).await?;
    state.send_modify(|state| state.metrics = started.http());
    *operator = Some(started);
    Ok(())
}

async fn keep(operator: Arc<Mutex<Option<OperatorProcess>>>, state: watch::Sender<State>) {
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        let mut operator = operator.lock().await;
        let Some(process) = operator.as_mut() else { return };
        if process.ended(NOW).await.is_ok() {
            eprintln!("the operator has exited; the end of its log:\n{}", process.tail());
            state.send_modify(|state| state.exits += 1);
            if let Err(error) = restart(&mut operator, &state).await {
                eprintln!("{error:#}");
                return;
            }
        }
    }
}
