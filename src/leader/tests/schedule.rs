//! Processes that start, stop and crash, on a network that delays and loses: at most one of them works.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use proptest::prelude::*;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{super::testing::*, secs};

/// Longer than all lives and all fates, and the time until somebody works again.
const END: Duration = secs(400);

/// One process, from its start to its end.
#[derive(Clone, Debug)]
struct Life {
    /// The time before its start.
    pause: Duration,
    /// The time until it is stopped.
    length: Duration,
    /// It is killed instead of shut down.
    crash: bool,
    /// How long its work goes on after it was cancelled.
    stopping: Duration,
}

/// The lives of one replica and the fates of its requests. Later requests are served.
#[derive(Clone, Debug)]
struct Replica {
    lives: Vec<Life>,
    fates: Vec<Fate>,
}

fn fate() -> impl Strategy<Value = Fate> {
    let short = || (1..100_u64).prop_map(Duration::from_millis);
    let long = || (1..6000_u64).prop_map(Duration::from_millis);
    let delay = || prop_oneof![4 => short(), 1 => long()];
    let end = prop_oneof![
        6 => Just(End::Served),
        1 => Just(End::Refused(StatusCode::INTERNAL_SERVER_ERROR)),
        1 => Just(End::Lost),
        1 => Just(End::Unanswered),
    ];
    (delay(), delay(), end).prop_map(|(before, after, end)| Fate { before, after, end })
}

fn life() -> impl Strategy<Value = Life> {
    let millis = |range: std::ops::Range<u64>| range.prop_map(Duration::from_millis);
    (millis(0..4000), millis(1..40_000), any::<bool>(), millis(0..8000))
        .prop_map(|(pause, length, crash, stopping)| Life { pause, length, crash, stopping })
}

fn replica() -> impl Strategy<Value = Replica> {
    let fates = prop::collection::vec(fate(), 0..50);
    (prop::collection::vec(life(), 1..4), fates).prop_map(|(lives, fates)| Replica { lives, fates })
}

/// Who works.
#[derive(Default)]
struct Workers {
    now: AtomicU32,
    most: AtomicU32,
}

/// One of them, until it is dropped.
struct Worker<'a>(&'a Workers);

impl<'a> Worker<'a> {
    fn new(workers: &'a Workers) -> Self {
        let now = workers.now.fetch_add(1, Ordering::Relaxed) + 1;
        workers.most.fetch_max(now, Ordering::Relaxed);
        Self(workers)
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn lived(candidate: &Candidate, life: &Life, workers: &Workers) {
    after(life.pause).await;
    let work = |stop: CancellationToken| async move {
        let _worker = Worker::new(workers);
        stop.cancelled().await;
        after(life.stopping).await;
    };
    let mut life_time = pin!(candidate.lead_with(work));
    if timeout(life.length, &mut life_time).await.is_err() && !life.crash {
        candidate.shutdown.cancel();
        let _ = life_time.await;
    }
}

async fn replicated(server: &Server, identity: &'static str, replica: Replica, workers: &Workers) {
    let fates = Arc::new(Mutex::new(VecDeque::from(replica.fates)));
    let last = Life { pause: secs(1), length: Duration::MAX, crash: false, stopping: secs(0) };
    // A process that lost the Lease is started again.
    for life in replica.lives.iter().chain(std::iter::repeat(&last)) {
        // As for a container that restarts, the next process has the same identity.
        let candidate = Candidate::new(server, identity);
        let fates = fates.clone();
        // A write and its observation take time, however little: otherwise their order is open.
        let healthy = Fate { before: Duration::from_millis(2), after: Duration::from_millis(2), end: End::Served };
        candidate.meets(move |_| fates.lock().unwrap().pop_front().unwrap_or(healthy));
        lived(&candidate, life, workers).await;
    }
}

/// The most that worked at the same time, and how many work in the end.
fn played(replicas: [Replica; 3]) -> (u32, u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (server, workers) = (Server::default(), Workers::default());
    runtime.block_on(async {
        let [one, two, three] = replicas;
        let mut all = pin!(async {
            tokio::join!(
                replicated(&server, "one", one, &workers),
                replicated(&server, "two", two, &workers),
                replicated(&server, "three", three, &workers),
            )
        });
        let _ = timeout(END, &mut all).await;
        (workers.most.load(Ordering::Relaxed), workers.now.load(Ordering::Relaxed))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn at_most_one_works_and_in_the_end_one_does(replicas in [replica(), replica(), replica()]) {
        let (most, end) = played(replicas);
        prop_assert_eq!((most, end), (1, 1));
    }
}
