//! Which of the waiting probes of a Gateway are sent often.
//!
//! The gateway's controller sends all its changes to a proxy together. If many units wait for the same proxies, it is
//! enough that a few of them probe often: those have a turn. A unit that reaches its goal passes its turn to the one that
//! waits longest, which probes immediately, and so on, until a probe shows that the proxies have not got that far. Without
//! turns, each of 300 units that start together would send dozens of probes to each proxy.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use computing_unit_api::GatewayRef;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::{
    Goal,
    pacing::{TURN, WITHOUT_TURN, backoff},
};

/// How many probes of one Gateway and one goal have a turn at the same time.
const TURNS: usize = 4;

/// The turns of all Gateways.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<(GatewayRef, Goal), Weak<Semaphore>>>);

impl Turns {
    /// The pace of a probe that begins now.
    pub(super) fn pace(&self, gateway: &GatewayRef, goal: Goal) -> Pace {
        let mut all = self.0.lock();
        all.retain(|_, turns| turns.strong_count() > 0);
        let key = (gateway.clone(), goal);
        let turns = all.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
            let turns = Arc::new(Semaphore::new(TURNS));
            all.insert(key, Arc::downgrade(&turns));
            turns
        });
        // The semaphore is fair: the probe that waits longest is next. It is never closed.
        Pace::Waiting(Box::pin(async move { turns.acquire_owned().await.ok() }))
    }
}

/// When one probe is sent next.
pub(super) enum Pace {
    Waiting(Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>),
    Turn {
        _permit: Option<OwnedSemaphorePermit>,
        since: Instant,
        attempt: u32,
    },
    /// A unit whose turn has passed does not hold up the others. Its own pod or route may be the reason.
    Passed,
}

impl Pace {
    /// Waits until the proxies are to be probed.
    pub(super) async fn next(&mut self) {
        match self {
            Self::Waiting(turn) => {
                tokio::select! {
                    biased;
                    permit = turn => *self = Self::Turn { _permit: permit, since: Instant::now(), attempt: 0 },
                    () = pause(WITHOUT_TURN) => {}
                }
            }
            Self::Turn { since, attempt, .. } => {
                let delay = backoff(*attempt, since.elapsed());
                *attempt = attempt.saturating_add(1);
                let over = since.elapsed() >= TURN;
                if over {
                    *self = Self::Passed;
                }
                pause(delay).await;
            }
            Self::Passed => pause(backoff(u32::MAX, TURN)).await,
        }
    }
}

/// Waits between two probes.
pub(super) async fn pause(time: Duration) {
    sleep_until(Instant::now() + time).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway() -> GatewayRef {
        GatewayRef { name: "shared".into(), namespace: "gateways".into(), section_name: None }
    }

    async fn waited(pace: &mut Pace) -> Duration {
        let began = Instant::now();
        pace.next().await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn turn_is_passed_to_the_probe_that_waits_longest() {
        let turns = Turns::default();
        let mut paces: Vec<_> = (0..TURNS + 2).map(|_| turns.pace(&gateway(), Goal::Guarded)).collect();
        for pace in &mut paces[..TURNS] {
            assert_eq!(waited(pace).await, Duration::ZERO);
        }
        for pace in &mut paces[TURNS..] {
            assert_eq!(waited(pace).await, WITHOUT_TURN);
        }
        drop(paces.remove(0));
        let (last, next) = (paces.pop(), paces.pop());
        assert_eq!(waited(&mut next.unwrap()).await, Duration::ZERO);
        assert_eq!(waited(&mut last.unwrap()).await, Duration::ZERO, "the probe before it has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn goals_and_gateways_have_turns_of_their_own() {
        let turns = Turns::default();
        let mut busy: Vec<_> = (0..TURNS).map(|_| turns.pace(&gateway(), Goal::Guarded)).collect();
        for pace in &mut busy {
            pace.next().await;
        }
        assert_eq!(waited(&mut turns.pace(&gateway(), Goal::Open)).await, Duration::ZERO);
        let other = GatewayRef { name: "other".into(), ..gateway() };
        assert_eq!(waited(&mut turns.pace(&other, Goal::Guarded)).await, Duration::ZERO);
        drop(busy);
        assert!(turns.0.lock().values().all(|turns| turns.strong_count() == 0));
    }

    #[tokio::test(start_paused = true)]
    async fn turn_ends_so_that_units_that_never_reach_their_goal_hold_up_no_other() {
        let turns = Turns::default();
        let mut stuck: Vec<_> = (0..TURNS).map(|_| turns.pace(&gateway(), Goal::Guarded)).collect();
        let began = Instant::now();
        for pace in &mut stuck {
            while !matches!(pace, Pace::Passed) {
                pace.next().await;
            }
        }
        assert!(began.elapsed() >= TURN);
        assert_eq!(waited(&mut turns.pace(&gateway(), Goal::Guarded)).await, Duration::ZERO);
        assert_eq!(waited(&mut stuck[0]).await, Duration::from_secs(2));
    }
}
