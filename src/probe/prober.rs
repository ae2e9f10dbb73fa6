//! Runs one probe task for each unit whose route is awaited at the proxies.

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
    request::ProbeClient,
    task::{ProbeContext, RunningProbe, State, Task, Tasks},
};
use crate::{gateway::proxies::ProxyResolver, metrics::Metrics};

/// Clones share their tasks. Dropping the last one ends them.
#[derive(Clone)]
pub struct Prober {
    tasks: Arc<Tasks>,
    context: Arc<ProbeContext>,
}

/// Capacity of the channel of wakes. If it is full, the task that wakes its unit waits, and no other does.
const WAKES: usize = 256;

impl Prober {
    /// A prober with at most `limit` connections at a time, and the stream of units to reconcile.
    pub fn new(
        proxies: impl ProxyResolver,
        limit: usize,
        metrics: Arc<Metrics>,
    ) -> (Self, impl Stream<Item = ObjectRef<ComputingUnit>> + Send + 'static) {
        let (wakes, mut woken) = mpsc::channel(WAKES);
        let context = ProbeContext {
            proxies: Box::new(proxies),
            metrics,
            client: ProbeClient::new(),
            connections: Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)),
            wakes,
        };
        let prober = Self { tasks: Arc::default(), context: Arc::new(context) };
        (prober, stream::poll_fn(move |context| woken.poll_recv(context)))
    }

    /// The probe of a unit, if one runs. Reading it keeps it running: a probe that nobody reads for five minutes ends.
    pub fn report(&self, uid: &str) -> Option<Report> {
        let tasks = self.tasks.lock();
        let probe = tasks.get(uid)?;
        let mut state = probe.state.lock();
        state.last_read = Instant::now();
        Some(Report { goal: probe.goal, target: probe.target.clone(), progress: state.progress.clone() })
    }

    /// Probes the proxies for a unit, in place of an earlier probe. Must be called within a tokio runtime.
    pub fn start(&self, target: Target, goal: Goal) {
        let progress = Progress::Pending { since: Timestamp::now(), last: None };
        let state = Arc::new(Mutex::new(State { progress, last_read: Instant::now() }));
        let task = Task {
            target: target.clone(),
            goal,
            state: state.clone(),
            context: self.context.clone(),
            tasks: Arc::downgrade(&self.tasks),
        };
        let mut tasks = self.tasks.lock();
        let task = AbortOnDropHandle::new(tokio::spawn(task.run()));
        tasks.insert(target.uid.clone(), RunningProbe { target, goal, state, _task: task });
    }

    /// Ends the probe of a unit, and discards its result.
    pub fn stop(&self, uid: &str) {
        self.tasks.lock().remove(uid);
    }

    /// Ends the probe of a unit as if every proxy had given the response that it waits for.
    #[cfg(test)]
    pub fn confirm(&self, uid: &str) {
        let tasks = self.tasks.lock();
        let probe = tasks.get(uid).expect("a running probe");
        probe.state.lock().progress = Progress::Done { at: Timestamp::now() };
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.tasks.lock().len()
    }
}
