//! Many connections that repeat one request until they are stopped. The results are in the report.

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

/// What a request may take by default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a failure, so that refused connections are not retried in a busy loop.
const PAUSE: Duration = Duration::from_millis(1);

/// A load to be: a target, the proxies to send it to, and how hard.
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
    /// One connection to each of `addresses`, as fast as it can.
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

    /// How many connections there are in all; they take turns at the addresses.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// Whether connections are used again.
    #[must_use]
    pub fn reuse(mut self, reuse: Reuse) -> Self {
        self.reuse = reuse;
        self
    }

    /// The most requests per second, of all connections together.
    #[must_use]
    pub fn rate(mut self, per_second: f64) -> Self {
        self.rate = Some(per_second);
        self
    }

    /// What a request may take until it counts as failed.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Starts to send.
    ///
    /// # Errors
    /// If there is no address or no connection, or the rate is not a number above zero.
    pub fn start(self) -> anyhow::Result<Hammering> {
        ensure!(!self.addresses.is_empty() && self.connections > 0, "nothing to send to");
        let period = self.rate.map(|rate| Duration::try_from_secs_f64(f64::from(self.connections) / rate));
        let period = period.transpose().context("a rate above zero")?.filter(|period| !period.is_zero());
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

/// A tick every `period`, the first after `offset`; ticks that were missed are not made up for.
fn pace(period: Duration, offset: Duration) -> Interval {
    let mut pace = interval_at(time::Instant::now() + offset, period);
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    pace
}

/// A load that is running; dropping it ends it.
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

    /// How many requests were answered so far, whatever the status.
    #[must_use]
    pub fn answered(&self) -> u64 {
        *self.answered.borrow()
    }

    /// Waits until that many more requests were answered.
    ///
    /// # Errors
    /// If that takes longer than `deadline`.
    pub async fn answer_more(&self, requests: u64, deadline: Duration) -> anyhow::Result<()> {
        let goal = self.answered() + requests;
        let mut answered = self.answered.clone();
        let reached = timeout(deadline, answered.wait_for(|count| *count >= goal)).await;
        reached.with_context(|| format!("{requests} answers within {deadline:?}"))?.context("the load has ended")?;
        Ok(())
    }

    /// Waits for the requests in flight, and returns the report.
    ///
    /// # Errors
    /// If a connection's task has panicked.
    pub async fn stop(mut self) -> anyhow::Result<Report> {
        let mut report = Report::new(self.started);
        drop(self.stop);
        while let Some(part) = self.workers.join_next().await {
            report.merge(part.context("a connection's task")?);
        }
        Ok(report)
    }
}

/// One connection, opened again whenever it was closed.
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

    /// Sends one request, and again on a new connection if it met the end of a reused one, as browsers do (RFC 9112, 9.3.1).
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
