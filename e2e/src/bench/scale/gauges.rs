//! The operator's metrics during a phase: reconciles and their duration, and the progress of the units once a second.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::ensure;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    keeper::State,
    life::Lives,
    number::{each, float},
};
use crate::traffic::{Connection, Target};

const DURATION: &str = "computing_unit_operator_reconcile_duration_seconds";
/// The name that a metric of the controller's queue would have.
const QUEUE: &str = "computing_unit_operator_queue_depth";
const FAILING: &str = "computing_unit_operator_watches_failing{";
/// The interval of samples.
const TICK: Duration = Duration::from_secs(1);

/// The reconciles so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reconciles {
    count: u64,
    seconds: f64,
    /// Reconciles up to each duration in seconds.
    buckets: Vec<(f64, u64)>,
    /// Watches whose last request failed.
    pub failing: u64,
    /// Objects that wait for a reconcile, if the operator reports it.
    pub queue: Option<u64>,
}

/// The reconciles of a phase.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ReconcileReport {
    /// Their number.
    pub count: u64,
    /// Their number by unit.
    pub per_unit: f64,
    /// The mean duration.
    pub mean_ms: f64,
    /// The upper bound of the histogram's bucket of the median.
    pub p50_at_most_ms: Option<f64>,
    /// The upper bound of the histogram's bucket of the 99th percentile.
    pub p99_at_most_ms: Option<f64>,
}

/// The progress at one time.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Sample {
    /// Seconds since the start of the phase.
    pub at_s: f64,
    /// Units that the phase has created so far.
    pub created: usize,
    /// Units that are Ready.
    pub ready: usize,
    /// Units that the operator has not reported on since they were created, which is the queue as a client sees it.
    pub backlog: usize,
    /// The depth of the operator's queue, if it has a metric of it.
    pub queue_depth: Option<u64>,
    /// Reconciles since the operator started.
    pub reconciles: u64,
}

impl Reconciles {
    /// Reads the text of `/metrics`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let count = value as u64;
            if let Some(queue) = name.strip_prefix(QUEUE)
                && (queue.is_empty() || queue.starts_with('{'))
            {
                all.queue = Some(all.queue.unwrap_or_default() + count);
            }
            if name.starts_with(FAILING) {
                all.failing += count;
            }
            match name.strip_prefix(DURATION) {
                Some("_count") => all.count = count,
                Some("_sum") => all.seconds = value,
                Some(bucket) => {
                    let bound = bucket.strip_prefix("_bucket{le=\"").and_then(|rest| rest.strip_suffix("\"}"));
                    let bound = bound.map(|bound| bound.parse().unwrap_or(f64::INFINITY));
                    all.buckets.extend(bound.map(|bound| (bound, count)));
                }
                None => {}
            }
        }
        all
    }

    /// Their number.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Those since `earlier`. After a restart, those since the restart.
    #[must_use]
    pub fn since(&self, earlier: &Self, units: usize) -> ReconcileReport {
        let none = Self::default();
        let earlier = if self.count < earlier.count { &none } else { earlier };
        let count = self.count - earlier.count;
        let before = |bound: f64| {
            let same = earlier.buckets.iter().find(|(other, _)| other.total_cmp(&bound).is_eq());
            same.map_or(0, |(_, count)| *count)
        };
        let quantile = |percent: u64| {
            let rank = (count * percent).div_ceil(100);
            let found = self.buckets.iter().find(|(bound, sum)| count > 0 && sum - before(*bound) >= rank)?;
            found.0.is_finite().then_some(found.0 * 1000.0)
        };
        ReconcileReport {
            count,
            per_unit: each(float(count), units),
            mean_ms: (self.seconds - earlier.seconds) * 1000.0 / float(count.max(1)),
            p50_at_most_ms: quantile(50),
            p99_at_most_ms: quantile(99),
        }
    }
}

/// Reads the metrics of the operator at this address.
///
/// # Errors
/// If it does not answer in time.
pub async fn read(address: SocketAddr) -> anyhow::Result<Reconciles> {
    let target = Target::new(&address.to_string(), "/metrics")?;
    let answer = timeout(TICK, async { anyhow::Ok(Connection::open(address).await?.send(&target).await?) }).await??;
    ensure!(answer.status == StatusCode::OK, "/metrics was answered with {}", answer.status);
    Ok(Reconciles::parse(&String::from_utf8_lossy(&answer.body)))
}

/// Samples once a second until it is aborted. The address changes when the operator is restarted.
pub async fn sample(operator: watch::Receiver<State>, lives: Lives, samples: watch::Sender<Vec<Sample>>) {
    let began = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let current = operator.borrow().metrics;
        let reconciles = read(current).await.unwrap_or_default();
        let sample = Sample {
            at_s: began.elapsed().as_secs_f64(),
            created: lives.count(|life| life.accepted.is_some()),
            ready: lives.count(|life| life.ready.is_some() && life.deleted.is_none()),
            backlog: lives.count(|life| life.accepted.is_some() && !life.observed && life.gone.is_none()),
            queue_depth: reconciles.queue,
            reconciles: reconciles.count,
        };
        samples.send_modify(|samples| samples.push(sample));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(counts: [u64; 3], seconds: f64) -> Reconciles {
        let [low, middle, all] = counts;
        Reconciles::parse(&format!(
            "# TYPE x histogram\n{DURATION}_sum {seconds}\n{DURATION}_count {all}\n{DURATION}_bucket{{le=\"0.001\"}} {low}\n\
             {DURATION}_bucket{{le=\"0.01\"}} {middle}\n{DURATION}_bucket{{le=\"+Inf\"}} {all}\n{QUEUE} 3\n# EOF\n"
        ))
    }

    #[test]
    fn durations_are_those_since_an_earlier_time() {
        let (before, after) = (metrics([50, 50, 50], 1.0), metrics([60, 140, 150], 2.0));
        assert_eq!(after.queue, Some(3));
        let report = after.since(&before, 50);
        assert_eq!((report.count, report.per_unit, report.mean_ms), (100, 2.0, 10.0));
        assert_eq!((report.p50_at_most_ms, report.p99_at_most_ms), (Some(10.0), None));
        assert_eq!(before.since(&after, 50).count, 50, "the operator was restarted");
        assert_eq!(before.since(&before, 50).p50_at_most_ms, None);
    }
}
