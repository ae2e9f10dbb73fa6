//! Keeps one task for each unit whose route is being watched for at the proxies.
//!
//! A task ends by itself when nobody has asked about it for a while, so that no unit that is gone is asked for forever.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{Stream, stream};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Goal, Progress, Target,
    proxies::Proxies,
    request::Asker,
    task::{Entry, Means, State, Task, Tasks, lock},
};
use crate::api::ComputingUnit;

/// Told of what probes do, for metrics.
pub trait Measure: Send + Sync + 'static {
    /// A proxy was asked; `answer` is one of `ours`, `missed` and `inconclusive`.
    fn asked(&self, goal: Goal, answer: &'static str);
    /// A goal was reached so long after it was first wanted.
    fn reached(&self, goal: Goal, after: Duration);
}

/// Measures nothing.
impl Measure for () {
    fn asked(&self, _: Goal, _: &'static str) {}
    fn reached(&self, _: Goal, _: Duration) {}
}

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
        measure: impl Measure,
    ) -> (Self, impl Stream<Item = ObjectRef<ComputingUnit>> + Send + 'static) {
        let (wakes, mut woken) = mpsc::channel(WAKES);
        let means = Means {
            proxies: Box::new(proxies),
            measure: Box::new(measure),
            asker: Asker::new(),
            connections: Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)),
            wakes,
        };
        let prober = Self { tasks: Arc::default(), means: Arc::new(means) };
        (prober, stream::poll_fn(move |context| woken.poll_recv(context)))
    }

    /// Says what is wanted of a unit's route, and how far that is. Asked again with the same target and goal it goes on;
    /// with another it starts over. Must be called within a tokio runtime.
    ///
    /// A goal that was reached is known for five minutes after it was last asked for: who needs it longer keeps it.
    #[must_use]
    pub fn want(&self, target: Target, goal: Goal) -> Progress {
        let mut tasks = lock(&self.tasks);
        if let Some(entry) = tasks.get(&target.uid)
            && entry.goal == goal
            && entry.target == target
        {
            let mut state = lock(&entry.state);
            state.wanted = Instant::now();
            return state.progress.clone();
        }
        let progress = Progress::Pending { since: Timestamp::now(), last: None };
        let state = Arc::new(Mutex::new(State { progress: progress.clone(), wanted: Instant::now() }));
        let task = Task {
            target: target.clone(),
            goal,
            state: state.clone(),
            means: self.means.clone(),
            tasks: Arc::downgrade(&self.tasks),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(task.run()));
        tasks.insert(target.uid.clone(), Entry { target, goal, state, _task: task });
        progress
    }

    /// Ends what is being done for a unit, and what is known of it.
    pub fn forget(&self, uid: &str) {
        lock(&self.tasks).remove(uid);
    }

    /// How many units there are tasks for.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        lock(&self.tasks).len()
    }
}
