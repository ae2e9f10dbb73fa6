//! A background task that probes the proxies for one goal of one unit until all of them confirm it.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use computing_unit_api::ComputingUnit;
use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Goal, Progress, Request, Target,
    outcome::Outcome,
    pacing::{NO_PROXIES, SETTLE, UNREAD_LIMIT, WITHDRAWN_PROBES, backoff},
    question::{Question, question},
    request::ProbeClient,
    tally::{Missing, Tally},
    wake::WakePolicy,
};
use crate::{
    gateway::proxies::{NotListed, Proxy, ProxyResolver, Requests},
    metrics::Metrics,
};

/// The running probes by the UID of their unit.
pub(super) type Tasks = Mutex<HashMap<String, RunningProbe>>;

/// Shared by all tasks.
pub(super) struct ProbeContext {
    pub(super) proxies: Box<dyn ProxyResolver>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) client: ProbeClient,
    /// One permit for each connection.
    pub(super) connections: Semaphore,
    pub(super) wakes: mpsc::Sender<ObjectRef<ComputingUnit>>,
}

/// Dropping it ends the task.
pub(super) struct RunningProbe {
    pub(super) target: Target,
    pub(super) goal: Goal,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) _task: AbortOnDropHandle<()>,
}

/// Shared by a task and its readers.
pub(super) struct State {
    pub(super) progress: Progress,
    pub(super) last_read: Instant,
}

pub(super) struct Task {
    pub(super) target: Target,
    pub(super) goal: Goal,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) context: Arc<ProbeContext>,
    pub(super) tasks: Weak<Tasks>,
}

impl Task {
    pub(super) async fn run(self) {
        if self.reach_goal().await {
            self.state.lock().progress = Progress::Done { at: Timestamp::now() };
            self.wake().await;
            while !self.expire() {
                pause(UNREAD_LIMIT.saturating_sub(self.unread())).await;
            }
        }
    }

    /// Probes the proxies until the goal is reached. Returns false if the task has expired.
    async fn reach_goal(&self) -> bool {
        let began = Instant::now();
        let mut tally = Tally::new(self.goal);
        let mut wakes = WakePolicy::default();
        let mut without_proxies_since = None;
        let mut attempt = 0;
        loop {
            let missing = match self.round(&mut tally, began.elapsed()).await {
                Ok(true) => continue,
                Ok(false) => tally.missing(&self.target.gateway),
                Err(not_listed) => Some(not_listed.into()),
            };
            let Some(missing) = missing else { break };
            if let Missing::Proxies(_) = missing
                && self.goal == Goal::Withdrawn
            {
                if without_proxies_since.get_or_insert_with(Instant::now).elapsed() >= NO_PROXIES {
                    break;
                }
            } else {
                without_proxies_since = None;
            }
            self.publish(&missing);
            if wakes.is_due(&missing, began.elapsed()) {
                self.wake().await;
            }
            if self.expire() {
                return false;
            }
            if wakes.is_reminder_due(self.unread()) {
                self.wake().await;
            }
            pause(backoff(attempt, began.elapsed())).await;
            attempt = attempt.saturating_add(1);
        }
        if self.goal == Goal::Withdrawn {
            pause(SETTLE).await;
        }
        self.context.metrics.route_propagated(self.goal, began.elapsed());
        true
    }

    /// Probes each pending proxy. Returns whether that completed the tally, in which case the proxies have to be resolved
    /// once more: there may be new ones.
    async fn round(&self, tally: &mut Tally, elapsed: Duration) -> Result<bool, NotListed> {
        let (question, request) = question(self.goal, &self.target, elapsed);
        let requests = Requests { namespace: self.target.unit.namespace.as_deref(), host: request.host.as_deref() };
        let proxies = tally.pending_proxies(self.context.proxies.resolve(&self.target.gateway, requests)?);
        if proxies.is_empty() {
            return Ok(false);
        }
        let confirms = |proxy: &Proxy, outcome: &Outcome| tally.confirms(proxy, question, outcome);
        let probe = |proxy| self.probe(proxy, question, request, confirms);
        let outcomes = join_all(proxies.into_iter().map(probe)).await;
        for (proxy, outcome) in outcomes {
            tally.record(proxy, question, outcome);
        }
        Ok(tally.missing(&self.target.gateway).is_none())
    }

    /// Probes one proxy as often as the goal requires, or until an outcome does not confirm it. Returns the last outcome.
    async fn probe(
        &self,
        proxy: Proxy,
        question: Question<'_>,
        request: &Request,
        confirms: impl Fn(&Proxy, &Outcome) -> bool,
    ) -> (Proxy, Outcome) {
        let mut left = if self.goal == Goal::Withdrawn { WITHDRAWN_PROBES } else { 1 };
        loop {
            // The semaphore is never closed. If it were, probes without a limit would be better than none.
            let permit = self.context.connections.acquire().await.ok();
            let began = Instant::now();
            let outcome = self.context.client.probe(&proxy, &self.target.uid, request, question).await;
            drop(permit);
            self.context.metrics.probed(self.goal, outcome.result(), began.elapsed());
            left -= 1;
            if left == 0 || !confirms(&proxy, &outcome) {
                return (proxy, outcome);
            }
        }
    }

    fn publish(&self, missing: &Missing) {
        if let Progress::Pending { last, .. } = &mut self.state.lock().progress {
            *last = Some(missing.to_string());
        }
    }

    async fn wake(&self) {
        // The receiver is dropped with the controllers, and then no reconcile is needed.
        let _ = self.context.wakes.send(self.target.unit.clone()).await;
    }

    fn unread(&self) -> Duration {
        self.state.lock().last_read.elapsed()
    }

    /// Removes this task if nobody has read it for too long. The lock is held for the decision: a reader that finds the
    /// task can rely on its wake.
    fn expire(&self) -> bool {
        let Some(tasks) = self.tasks.upgrade() else { return true };
        let mut tasks = tasks.lock();
        if self.unread() < UNREAD_LIMIT {
            return false;
        }
        if tasks.get(&self.target.uid).is_some_and(|probe| Arc::ptr_eq(&probe.state, &self.state)) {
            tasks.remove(&self.target.uid);
        }
        true
    }
}

async fn pause(time: Duration) {
    tokio::time::sleep_until(Instant::now() + time).await;
}
