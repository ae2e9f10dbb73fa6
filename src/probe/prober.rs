//! Keeps one task for each unit whose route is being watched for at the proxies.
//!
//! A task ends by itself when nobody has asked about it for a while, so that no unit that is gone is asked for forever.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures::{Stream, future::join_all, stream};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Goal, Progress, Target,
    answer::Answer,
    patience::{self, FIRST_NEWS, LEASE, MISSES, NEWS, NUDGE, SETTLE, WITHOUT_PROXIES},
    proxies::{Proxies, Proxy},
    request::Asker,
    tally::{Missing, Tally},
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

type Tasks = Mutex<HashMap<String, Entry>>;

/// What every task uses.
struct Means {
    proxies: Box<dyn Proxies>,
    measure: Box<dyn Measure>,
    asker: Asker,
    /// One permit for each connection.
    connections: Semaphore,
    wakes: mpsc::Sender<ObjectRef<ComputingUnit>>,
}

/// One unit's task. Dropping it ends the task.
struct Entry {
    target: Target,
    goal: Goal,
    state: Arc<Mutex<State>>,
    _task: AbortOnDropHandle<()>,
}

/// What a task and those who ask about it share.
struct State {
    progress: Progress,
    wanted: Instant,
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
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.tasks).len()
    }

    /// Whether there is no task.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// No code that holds one of these locks can panic, and what they guard is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task of one target and goal.
struct Task {
    target: Target,
    goal: Goal,
    state: Arc<Mutex<State>>,
    means: Arc<Means>,
    tasks: Weak<Tasks>,
}

impl Task {
    async fn run(self) {
        if self.pursue().await {
            lock(&self.state).progress = Progress::Done { at: Timestamp::now() };
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
                && self.goal == Goal::Closed
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
        if self.goal == Goal::Closed {
            pause(SETTLE).await;
        }
        self.means.measure.reached(self.goal, began.elapsed());
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
        let mut left = if self.goal == Goal::Closed { MISSES } else { 1 };
        loop {
            // The semaphore is never closed; were it, there would be no limit rather than no probe.
            let permit = self.means.connections.acquire().await.ok();
            let answer = self.means.asker.ask(&proxy, &self.target.uid, &self.target.request, self.goal).await;
            drop(permit);
            self.means.measure.asked(self.goal, answer.as_str());
            left -= 1;
            if left == 0 || !fits(&proxy, &answer) {
                return (proxy, answer);
            }
        }
    }

    fn tell(&self, missing: &Missing) {
        if let Progress::Pending { last, .. } = &mut lock(&self.state).progress {
            *last = Some(missing.to_string());
        }
    }

    async fn wake(&self) {
        // Nobody listens when the controller is gone, and then nobody asks.
        let _ = self.means.wakes.send(self.target.unit.clone()).await;
    }

    /// How long nobody has asked.
    fn unasked(&self) -> Duration {
        lock(&self.state).wanted.elapsed()
    }

    /// Takes this task out of the table if nobody has asked about it for the length of a lease. The table is locked while
    /// that is decided, so that nobody asks meanwhile and waits for a wake that never comes.
    fn leave(&self) -> bool {
        let Some(tasks) = self.tasks.upgrade() else { return true };
        let mut tasks = lock(&tasks);
        if self.unasked() < LEASE {
            return false;
        }
        if tasks.get(&self.target.uid).is_some_and(|entry| Arc::ptr_eq(&entry.state, &self.state)) {
            tasks.remove(&self.target.uid);
        }
        true
    }
}

/// Which wakes were sent while a goal is not reached.
#[derive(Default)]
struct News {
    told: Option<(Missing, Duration)>,
    nudged: bool,
}

impl News {
    /// Whether the unit is to be woken by what is missing now, `elapsed` after the beginning.
    fn is_due(&mut self, missing: &Missing, elapsed: Duration) -> bool {
        let due = match &self.told {
            None => elapsed >= FIRST_NEWS,
            Some((told, at)) => !told.is_like(missing) && elapsed >= *at + NEWS,
        };
        if due {
            self.told = Some((missing.clone(), elapsed));
        }
        due
    }

    /// Whether the unit is to be woken because it has not asked for so long: once, until it has asked again.
    fn is_nudge_due(&mut self, unasked: Duration) -> bool {
        let long = unasked > NUDGE;
        let due = long && !self.nudged;
        self.nudged = long;
        due
    }
}

/// Waits in a task of its own, never in a reconcile.
async fn pause(time: Duration) {
    tokio::time::sleep_until(Instant::now() + time).await;
}
