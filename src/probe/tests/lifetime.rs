//! When the task of a probe starts over, wakes its unit, and ends.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::time::{Instant, timeout};

use super::{FakeResolver, last, progress, reach, target, until};
use crate::probe::{Goal, Prober, Progress, Request, Target, VerifiedRoute};

#[tokio::test(start_paused = true)]
async fn probe_starts_over_when_its_target_changes() {
    let (prober, _wakes) = Prober::new(FakeResolver::of([]), 8, Arc::default());
    let first = progress(&prober, target("ada"), Goal::Guarded);
    until(|| last(&prober, Goal::Guarded).as_deref() == Some("no proxy of Gateway gateways/shared is ready")).await;
    let since = |progress| match progress {
        Progress::Pending { since, .. } => since,
        Progress::Done { at } => at,
    };
    assert_eq!(since(progress(&prober, target("ada"), Goal::Guarded)), since(first));
    assert_eq!(last(&prober, Goal::Open), None);
    for other in [
        Target { request: Request { path_and_query: "/".into(), ..target("ada").request }, ..target("ada") },
        Target { route: VerifiedRoute { generation: 2, ..target("ada").route }, ..target("ada") },
    ] {
        until(|| last(&prober, Goal::Open).is_some()).await;
        assert!(matches!(progress(&prober, other, Goal::Open), Progress::Pending { last: None, .. }));
    }
    assert_eq!(prober.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn task_ends_with_its_unit_and_with_the_prober() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (prober, mut wakes) = Prober::new(FakeResolver::of([]), 8, Arc::default());
    for unit in ["ada", "bob"] {
        let _ = progress(&prober, target(unit), Goal::Open);
    }
    until(|| tasks() == 2).await;
    prober.stop("ada-uid");
    until(|| tasks() == 1).await;
    assert_eq!(prober.count(), 1);
    drop(prober.clone());
    assert_eq!(tasks(), 1, "another clone is left");
    drop(prober);
    until(|| tasks() == 0).await;
    assert_eq!(wakes.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn unit_is_woken_after_two_seconds_and_an_unread_probe_ends() {
    let (prober, mut wakes) = Prober::new(FakeResolver::of([]), 8, Arc::default());
    let began = Instant::now();
    let _ = progress(&prober, target("ada"), Goal::Open);
    wakes.next().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 2);
    wakes.next().await.unwrap();
    assert_eq!(began.elapsed().as_secs() / 10, 6, "a reminder");
    assert_eq!(prober.count(), 1);
    let quiet = timeout(Duration::from_mins(10), wakes.next()).await;
    assert!(quiet.is_err());
    assert_eq!(prober.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn result_is_kept_for_five_minutes_after_it_was_read() {
    let (prober, mut wakes) = Prober::new(FakeResolver::of([]), 8, Arc::default());
    reach(&prober, &mut wakes, Goal::Withdrawn).await;
    let done = progress(&prober, target("ada"), Goal::Withdrawn);
    assert!(timeout(Duration::from_secs(200), wakes.next()).await.is_err());
    assert_eq!(progress(&prober, target("ada"), Goal::Withdrawn), done);
    assert!(timeout(Duration::from_secs(200), wakes.next()).await.is_err());
    assert_eq!(prober.count(), 1, "reading it kept it running");
    assert!(timeout(Duration::from_secs(200), wakes.next()).await.is_err());
    assert_eq!(prober.count(), 0);
}
