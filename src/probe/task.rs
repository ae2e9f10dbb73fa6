//! The task that pursues one goal for one unit: asks the proxies again and again until their answers add up to it.
//!
//! What answers prove is decided in [`super::answer`], what they add up to in [`super::tally`], and how long to wait in
//! [`super::patience`].

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
    Goal, Progress, Target,
    answer::Answer,
    news::News,
    patience::{self, LEASE, MISSES, SETTLE, WITHOUT_PROXIES},
    proxies::{Proxies, Proxy},
    request::Asker,
    tally::{Missing, Tally},
};
use crate::metrics::Metrics;

/// The tasks by the UID of their unit.
pub(super) type Tasks = Mutex<HashMap<String, Entry>>;

/// What every task uses.
pub(super) struct Means {
    pub(super) proxies: Box<dyn Proxies>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) asker: Asker,
    /// One permit for each connection.
    pub(super) connections: Semaphore,
    pub(super) wakes: mpsc::Sender<ObjectRef<ComputingUnit>>,
}

/// One unit's task. Dropping it ends the task.
pub(super) struct Entry {
    pub(super) target: Target,
    pub(super) goal: Goal,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) _task: AbortOnDropHandle<()>,
}

/// What a task and those who ask about it share.
pub(super) struct State {
    pub(super) progress: Progress,
    pub(super) wanted: Instant,
}

/// The task of one target and goal.
pub(super) struct Task {
    pub(super) target: Target,
    pub(super) goal: Goal,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) means: Arc<Means>,
    pub(super) tasks: Weak<Tasks>,
}

impl Task {
    pub(super) async fn run(self) {
        if self.pursue().await {
            self.state.lock().progress = Progress::Done { at: Timestamp::now() };
            self.wake().await;
            while !self.leave() {
                pause(LEASE.saturating_sub(self.unasked())).await;
            }
        }
    }

    /// Asks the proxies until the goal is reached. Returns false where nobody wanted to know any more and the task has
    /// left the table.
    async fn pursue(&self) -> bool {
        let began = Instant::now();
        let mut tally = Tally::new(self.goal);
        let mut news = News::default();
        let mut without_since = None;
        let mut attempt = 0;
        loop {
            let missing = match self.round(&mut tally).await {
                Ok(true) => continue,
                Ok(false) => tally.missing(&self.target.gateway),
                Err(why) => Some(Missing::Unknown(why)),
            };
            let Some(missing) = missing else { break };
            if let Missing::NoProxy(_) = missing
                && self.goal == Goal::Withdrawn
            {
                if without_since.get_or_insert_with(Instant::now).elapsed() >= WITHOUT_PROXIES {
                    break;
                }
            } else {
                without_since = None;
            }
            self.tell(&missing);
            if news.is_due(&missing, began.elapsed()) {
                self.wake().await;
            }
            if self.leave() {
                return false;
            }
            if news.is_nudge_due(self.unasked()) {
                self.wake().await;
            }
            pause(patience::between(attempt, began.elapsed())).await;
            attempt = attempt.saturating_add(1);
        }
        if self.goal == Goal::Withdrawn {
            pause(SETTLE).await;
        }
        self.means.metrics.route_propagated(self.goal, began.elapsed());
        true
    }

    /// Asks each proxy whose word is not had. Returns whether that made the tally complete, in which case the proxies are
    /// to be looked up once more: there may be new ones.
    async fn round(&self, tally: &mut Tally) -> Result<bool, String> {
        let host = self.target.request.host.as_deref();
        let proxies = tally.whom_to_ask(self.means.proxies.of(&self.target.gateway, host)?);
        if proxies.is_empty() {
            return Ok(false);
        }
        let fits = |proxy: &Proxy, answer: &Answer| tally.fits(proxy, answer);
        let answers = join_all(proxies.into_iter().map(|proxy| self.ask(proxy, fits))).await;
        for (proxy, answer) in answers {
            tally.take(proxy, answer);
        }
        Ok(tally.missing(&self.target.gateway).is_none())
    }

    /// Asks one proxy, as often as the goal needs as long as its answers fit. Returns the last answer.
    async fn ask(&self, proxy: Proxy, fits: impl Fn(&Proxy, &Answer) -> bool) -> (Proxy, Answer) {
        let mut left = if self.goal == Goal::Withdrawn { MISSES } else { 1 };
        loop {
            // The semaphore is never closed; were it, there would be no limit rather than no probe.
            let permit = self.means.connections.acquire().await.ok();
            let asked = Instant::now();
            let answer = self.means.asker.ask(&proxy, &self.target.uid, &self.target.request, self.goal).await;
            drop(permit);
            self.means.metrics.probed(self.goal, answer.result(), asked.elapsed());
            left -= 1;
            if left == 0 || !fits(&proxy, &answer) {
                return (proxy, answer);
            }
        }
    }

    fn tell(&self, missing: &Missing) {
        if let Progress::Pending { last, .. } = &mut self.state.lock().progress {
            *last = Some(missing.to_string());
        }
    }

    async fn wake(&self) {
        // Nobody listens when the controller is gone, and then nobody asks.
        let _ = self.means.wakes.send(self.target.unit.clone()).await;
    }

    /// How long nobody has asked.
    fn unasked(&self) -> Duration {
        self.state.lock().wanted.elapsed()
    }

    /// Takes this task out of the table if nobody has asked about it for the length of a lease. The table is locked while
    /// that is decided, so that nobody asks meanwhile and waits for a wake that never comes.
    fn leave(&self) -> bool {
        let Some(tasks) = self.tasks.upgrade() else { return true };
        let mut tasks = tasks.lock();
        if self.unasked() < LEASE {
            return false;
        }
        if tasks.get(&self.target.uid).is_some_and(|entry| Arc::ptr_eq(&entry.state, &self.state)) {
            tasks.remove(&self.target.uid);
        }
        true
    }
}

/// Waits in a task of its own, never in a reconcile.
async fn pause(time: Duration) {
    tokio::time::sleep_until(Instant::now() + time).await;
}
