//! What the units of a batch share: the clock, the proxies, and the record of what happened.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use computing_unit_api::{ComputingUnit, OperatingMode};
use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    runtime::watcher::{self, Event},
};
use tokio::time::{Instant, sleep_until};

use super::verdict::Timeline;
use crate::attach::Cluster;

/// The clock of a batch.
pub struct Stage {
    pub cluster: Cluster,
    began: Instant,
    /// When each unit was stopped.
    stopped: Mutex<HashMap<String, f64>>,
    /// The faults after which idleness is counted from the start. The end of one is infinite until the system has recovered.
    faults: Mutex<Vec<(f64, f64)>>,
}

impl Stage {
    /// A batch that begins now.
    pub fn begin(cluster: Cluster) -> Arc<Self> {
        Arc::new(Self { cluster, began: Instant::now(), stopped: Mutex::default(), faults: Mutex::default() })
    }

    /// Seconds since the beginning.
    pub fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Waits until that many seconds after the beginning.
    pub async fn until(&self, at: f64) {
        sleep_until(self.began + Duration::from_secs_f64(at)).await;
    }

    /// A proxy that is ready.
    pub async fn proxy(&self) -> anyhow::Result<SocketAddr> {
        let proxies = self.cluster.proxies().await?;
        fastrand::choice(proxies).context("no proxy")
    }

    pub fn stopped(&self, name: &str) -> Option<f64> {
        lock(&self.stopped).get(name).copied()
    }

    pub fn fault_begins(&self) {
        lock(&self.faults).push((self.now(), f64::INFINITY));
    }

    pub fn fault_ends(&self) {
        let now = self.now();
        for fault in lock(&self.faults).iter_mut().filter(|fault| fault.1.is_infinite()) {
            fault.1 = now;
        }
    }

    pub fn faults(&self) -> Vec<(f64, f64)> {
        lock(&self.faults).clone()
    }

    /// Records when units are stopped, until dropped.
    pub async fn watch(&self, units: Api<ComputingUnit>) {
        let mut events = std::pin::pin!(watcher::watcher(units, watcher::Config::default()));
        while let Some(event) = events.next().await {
            let Ok(Event::Apply(unit) | Event::InitApply(unit)) = event else { continue };
            if unit.spec.operating_mode == OperatingMode::Suspended {
                let now = self.now();
                lock(&self.stopped).entry(unit.name_any()).or_insert(now);
            }
        }
    }
}

/// What happened to one unit.
#[derive(Clone)]
pub struct Diary {
    stage: Arc<Stage>,
    name: String,
    used: Arc<Mutex<Vec<(f64, f64)>>>,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Diary {
    pub fn new(stage: Arc<Stage>, name: &str) -> Self {
        Self { stage, name: name.to_owned(), used: Arc::default(), notes: Arc::default() }
    }

    /// The unit is in use from then until then.
    pub fn used(&self, from: f64, to: f64, what: &str) {
        lock(&self.used).push((from, to));
        self.note(&format!("{what} from {from:.2} to {to:.2}"));
    }

    /// The last use lasts at least until then.
    pub fn lasts_until(&self, to: f64) {
        if let Some(last) = lock(&self.used).last_mut() {
            last.1 = to;
        }
    }

    pub fn note(&self, text: &str) {
        let now = self.stage.now();
        lock(&self.notes).push(format!("{now:.2}: {text}"));
    }

    pub fn notes(&self) -> Vec<String> {
        lock(&self.notes).clone()
    }

    pub fn timeline(&self) -> Timeline {
        Timeline {
            used: lock(&self.used).clone(),
            faults: self.stage.faults(),
            stopped: self.stage.stopped(&self.name),
            observed: self.stage.now(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
