//! Keeps one task for each unit whose route is being watched for at the proxies.
//!
//! A task ends by itself when nobody has asked about it for a while, so that no unit that is gone is asked for forever.

use std::sync::Arc;

use computing_unit_api::ComputingUnit;
use futures::{Stream, stream};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Goal, Progress, Report, Target,
    proxies::Proxies,
    request::Asker,
    task::{Entry, Means, State, Task, Tasks},
};
use crate::metrics::Metrics;

/// Finds out whether the proxies have units' routes. Clones share their tasks; the last one to go ends them.
#[derive(Clone)]
pub struct Prober {
    tasks: Arc<Tasks>,
    means: Arc<Means>,
}

/// Wakes waiting to be taken up. A task whose wake finds no room waits, which holds up that task alone.
const WAKES: usize = 256;

impl Prober {
    /// A prober that asks `proxies` on at most `limit` connections at a time, and the stream of the units about which
    /// there is news: a goal reached, or after two seconds another kind of thing missing.
    pub fn new(
        proxies: impl Proxies,
        limit: usize,
        metrics: Arc<Metrics>,
    ) -> (Self, impl Stream<Item = ObjectRef<ComputingUnit>> + Send + 'static) {
        let (wakes, mut woken) = mpsc::channel(WAKES);
        let means = Means {
            proxies: Box::new(proxies),
            metrics,
            asker: Asker::new(),
            connections: Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)),
            wakes,
        };
        let prober = Self { tasks: Arc::default(), means: Arc::new(means) };
        (prober, stream::poll_fn(move |context| woken.poll_recv(context)))
    }

    /// The probe of a unit, if one runs. Reading it keeps it running: a probe that nobody reads for five minutes ends.
    #[must_use]
    pub fn report(&self, uid: &str) -> Option<Report> {
        let tasks = self.tasks.lock();
        let entry = tasks.get(uid)?;
        let mut state = entry.state.lock();
        state.wanted = Instant::now();
        Some(Report { goal: entry.goal, target: entry.target.clone(), progress: state.progress.clone() })
    }

    /// Probes the proxies for a unit, in place of an earlier probe. Must be called within a tokio runtime.
    pub fn start(&self, target: Target, goal: Goal) {
        let progress = Progress::Pending { since: Timestamp::now(), last: None };
        let state = Arc::new(Mutex::new(State { progress, wanted: Instant::now() }));
        let task = Task {
            target: target.clone(),
            goal,
            state: state.clone(),
            means: self.means.clone(),
            tasks: Arc::downgrade(&self.tasks),
        };
        let mut tasks = self.tasks.lock();
        let task = AbortOnDropHandle::new(tokio::spawn(task.run()));
        tasks.insert(target.uid.clone(), Entry { target, goal, state, _task: task });
    }

    /// Ends the probe of a unit, and discards its result.
    pub fn stop(&self, uid: &str) {
        self.tasks.lock().remove(uid);
    }

    /// Ends the probe of a unit as if every proxy had given the response that it waits for.
    #[cfg(test)]
    pub fn confirm(&self, uid: &str) {
        let tasks = self.tasks.lock();
        let entry = tasks.get(uid).expect("a running probe");
        entry.state.lock().progress = Progress::Done { at: Timestamp::now() };
    }

    /// How many units there are tasks for.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.tasks.lock().len()
    }
}
