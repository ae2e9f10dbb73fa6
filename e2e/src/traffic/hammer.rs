//! Sends one request repeatedly on many connections until it is stopped, and reports the results.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{self, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::answer::Answer;
use super::connection::{Connection, Failure, Reuse};
use super::report::Report;
use super::target::Target;

/// The default deadline of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a failure, which prevents a busy loop if connections are refused.
const PAUSE: Duration = Duration::from_millis(1);

/// The configuration of a load: the target, the proxies and the rate.
#[derive(Clone, Debug)]
pub struct Hammer {
    target: Target,
    addresses: Vec<SocketAddr>,
    connections: u32,
    reuse: Reuse,
    rate: Option<f64>,
    timeout: Duration,
}

impl Hammer {
    /// One connection to each of `addresses`, without a rate limit.
    #[must_use]
    pub fn new(addresses: &[SocketAddr], target: Target) -> Self {
        Self {
            target,
            addresses: addresses.to_vec(),
            connections: u32::try_from(addresses.len()).unwrap_or(u32::MAX),
            reuse: Reuse::default(),
            rate: None,
            timeout: TIMEOUT,
        }
    }

    /// Sets the total number of connections. They are distributed over the addresses round-robin.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// Sets whether connections are reused.
    #[must_use]
    pub fn reuse(mut self, reuse: Reuse) -> Self {
        self.reuse = reuse;
        self
    }

    /// Limits the rate in requests per second, over all connections.
    #[must_use]
    pub fn rate(mut self, per_second: f64) -> Self {
        self.rate = Some(per_second);
        self
    }

    /// Sets the deadline of a request.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Starts the load.
    ///
    /// # Errors
    /// If there is no address or no connection, or the rate is not positive.
    pub fn start(self) -> anyhow::Result<Hammering> {
        ensure!(!self.addresses.is_empty() && self.connections > 0, "no address or no connection");
        let period = self.rate.map(|rate| Duration::try_from_secs_f64(f64::from(self.connections) / rate));
        let period = period.transpose().context("the rate is not positive")?.filter(|period| !period.is_zero());
        let started = Instant::now();
        let answered = watch::Sender::new(0);
        let stop = CancellationToken::new();
        let mut workers = JoinSet::new();
        for (number, address) in (0..self.connections).zip(self.addresses.iter().copied().cycle()) {
            let worker = Worker {
                address,
                target: self.target.clone(),
                reuse: self.reuse,
                timeout: self.timeout,
                pace: period.map(|period| pace(period, period * number / self.connections)),
                connection: None,
                report: Report::new(started),
                answered: answered.clone(),
            };
            workers.spawn(worker.run(stop.clone()));
        }
        Ok(Hammering { started, answered: answered.subscribe(), workers, stop: stop.drop_guard() })
    }
}

/// A tick every `period`, the first after `offset`. Missed ticks are skipped.
fn pace(period: Duration, offset: Duration) -> Interval {
    let mut pace = interval_at(time::Instant::now() + offset, period);
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    pace
}

/// A running load. It is stopped on drop.
#[derive(Debug)]
pub struct Hammering {
    started: Instant,
    answered: watch::Receiver<u64>,
    workers: JoinSet<Report>,
    stop: DropGuard,
}

impl Hammering {
    /// When it started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The number of responses so far, with any status.
    #[must_use]
    pub fn answered(&self) -> u64 {
        *self.answered.borrow()
    }

    /// Waits for that many more responses.
    ///
    /// # Errors
    /// If that takes longer than `deadline`.
    pub async fn answer_more(&self, requests: u64, deadline: Duration) -> anyhow::Result<()> {
        let goal = self.answered() + requests;
        let mut answered = self.answered.clone();
        let reached = timeout(deadline, answered.wait_for(|count| *count >= goal)).await;
        reached.with_context(|| format!("no {requests} responses within {deadline:?}"))?.context("the load ended")?;
        Ok(())
    }

    /// Waits for the requests in flight, and returns the report.
    ///
    /// # Errors
    /// If the task of a connection panicked.
    pub async fn stop(mut self) -> anyhow::Result<Report> {
        let mut report = Report::new(self.started);
        drop(self.stop);
        while let Some(part) = self.workers.join_next().await {
            report.merge(part.context("a connection's task")?);
        }
        Ok(report)
    }
}

/// One connection, which is reopened whenever it is closed.
struct Worker {
    address: SocketAddr,
    target: Target,
    reuse: Reuse,
    timeout: Duration,
    pace: Option<Interval>,
    connection: Option<Connection>,
    report: Report,
    answered: watch::Sender<u64>,
}

impl Worker {
    async fn run(mut self, stop: CancellationToken) -> Report {
        loop {
            if let Some(pace) = &mut self.pace {
                let _ = stop.run_until_cancelled(pace.tick()).await;
            }
            if stop.is_cancelled() {
                break;
            }
            match timeout(self.timeout, self.ask()).await.unwrap_or(Err(Failure::TimedOut)) {
                Ok(answer) => {
                    let misrouted = self.target.misrouted(&answer.by());
                    self.report.answered(&answer, misrouted);
                    self.answered.send_modify(|count| *count += 1);
                }
                Err(failure) => {
                    self.connection = None;
                    self.report.failed(&failure);
                    let _ = timeout(PAUSE, stop.cancelled()).await;
                }
            }
        }
        self.report.lasted = self.report.started.elapsed();
        self.report
    }

    /// Sends one request. If a reused connection is closed, retries on a new one like browsers (RFC 9112, 9.3.1).
    async fn ask(&mut self) -> Result<Answer, Failure> {
        if let Some(mut connection) = self.connection.take()
            && !connection.closed().await
        {
            match connection.send(&self.target).await {
                Err(Failure::Closed(_)) if connection.used() => self.report.retried(),
                outcome => return self.keep(connection, outcome),
            }
        }
        let mut connection = Connection::open(self.address).await?;
        let outcome = connection.send(&self.target).await;
        self.keep(connection, outcome)
    }

    fn keep(&mut self, connection: Connection, outcome: Result<Answer, Failure>) -> Result<Answer, Failure> {
        if outcome.is_ok() && self.reuse == Reuse::Kept {
            self.connection = Some(connection);
        }
        outcome
    }
}
