//! Measures a phase: what is read before and after it, and once a second in between.

use std::time::{Duration, Instant};

use tokio::{sync::watch, task::JoinSet};

use super::{
    audit::Calls,
    etcd,
    gauges::{self, Reconciles, Sample},
    life,
    number::{each, float, size},
    report::{Kind, Latency, Phase},
    site::Site,
    usage::Usage,
};

/// The time without a write after which a phase has no effects any more.
const QUIET: Duration = Duration::from_secs(3);
/// The maximum time to wait for it.
const SETTLING: Duration = Duration::from_mins(5);

/// What was read before a phase.
pub struct Meter {
    name: String,
    calls: Calls,
    usage: Usage,
    reconciles: Reconciles,
    etcd: Option<u64>,
    exits: u64,
    began: Instant,
    samples: watch::Receiver<Vec<Sample>>,
    _sampling: JoinSet<()>,
}

/// What happened in a phase.
pub struct Work {
    /// Its kind.
    pub kind: Kind,
    /// Units to divide by.
    pub units: usize,
    /// The time until it was complete.
    pub took: Duration,
    /// The units with their times.
    pub names: Vec<String>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

impl Meter {
    /// Begins a phase.
    ///
    /// # Errors
    /// If something cannot be read.
    pub async fn start(site: &Site, name: &str) -> anyhow::Result<Self> {
        eprintln!("{name} ...");
        let etcd = etcd_size(site).await?;
        let usage = Usage::read(&site.processes().await?);
        let reconciles = reconciles(site).await;
        let (tell, samples) = watch::channel(vec![]);
        let mut sampling = JoinSet::new();
        sampling.spawn(gauges::sample(site.operator.state(), site.lives.clone(), tell));
        let calls = site.audit.calls();
        Ok(Self {
            name: name.to_owned(),
            calls,
            usage,
            reconciles,
            etcd,
            exits: site.operator.state().borrow().exits,
            began: Instant::now(),
            samples,
            _sampling: sampling,
        })
    }

    /// When the phase began.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Waits until the writes have ended, and ends the phase.
    ///
    /// # Errors
    /// If something cannot be read.
    pub async fn finish(self, site: &Site, mut work: Work) -> anyhow::Result<Phase> {
        let samples = self.samples.borrow().clone();
        if !site.audit.quiet(QUIET, SETTLING).await {
            work.notes.push(format!("The writes had not ended after {} s.", SETTLING.as_secs()));
        }
        let exits = site.operator.state().borrow().exits - self.exits;
        if exits > 0 {
            work.notes.push(format!("The operator exited {exits} times, as it does when it cannot renew its Lease."));
        }
        let counted = self.began.elapsed();
        let calls = site.audit.calls().since(&self.calls);
        let usage = Usage::read(&site.processes().await?);
        let reconciles = reconciles(site).await.since(&self.reconciles, work.units);
        let etcd = etcd_size(site).await?;
        let lives = site.lives.of(&work.names);
        let difference = self.etcd.zip(etcd).map(|(before, after)| float(after) - float(before));
        let seconds = work.took.as_secs_f64();
        let changes = matches!(work.kind, Kind::Fill | Kind::Burst | Kind::Delete | Kind::Pools);
        let sized = matches!(work.kind, Kind::Fill | Kind::Burst);
        let mut phase = Phase {
            name: self.name,
            kind: work.kind,
            total: site.lives.present().len(),
            units: work.units,
            seconds,
            units_per_second: changes.then(|| size(work.units) / seconds.max(0.001)),
            latency: life::latency(&lives).into_iter().map(|(name, times)| Latency { name, times }).collect(),
            asked: lives.iter().filter(|life| life.asked).count(),
            server_errors: 0,
            other_answers: 0,
            foreign_answers: 0,
            reconciles,
            samples,
            counted_seconds: counted.as_secs_f64(),
            calls: calls.table(work.units),
            components: usage.since(&self.usage, counted.as_secs_f64(), work.units),
            etcd_before_bytes: self.etcd,
            etcd_after_bytes: etcd,
            etcd_bytes_per_unit: difference.filter(|_| sized).map(|bytes| each(bytes, work.units)),
            notes: work.notes,
        };
        for life in &lives {
            phase.add(life.answers);
        }
        Ok(phase)
    }
}

/// The operator's reconciles. None if it does not answer, because it may be restarting.
async fn reconciles(site: &Site) -> Reconciles {
    let address = site.operator.state().borrow().metrics;
    gauges::read(address).await.unwrap_or_default()
}

async fn etcd_size(site: &Site) -> anyhow::Result<Option<u64>> {
    match &site.layout {
        Some(layout) => etcd::compacted_size(layout).await.map(Some),
        None => Ok(None),
    }
}
