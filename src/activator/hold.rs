//! Holds a request until its unit is reachable, as long as its pool lets it and there is room.

use std::{sync::Arc, time::Duration};

use computing_unit_api::ComputingUnit;
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::situation::{Situation, situation};
use crate::metrics::Metrics;

/// How many requests are held at a time. A proxy has at most 1024 requests under way to one Service by default; twice
/// this, for two processes, leaves room for answers at once.
const ROOM: usize = 480;

/// How holding a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The unit is in a situation that does not pass by itself.
    Settled(Situation),
    /// The time was over first, or the process ends.
    Expired,
    /// There was no room.
    Full,
}

/// The room for requests that are held.
pub struct Room {
    places: Semaphore,
    end: CancellationToken,
    metrics: Arc<Metrics>,
}

impl Room {
    /// An empty one. At its `end` all are let go.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, end: CancellationToken) -> Self {
        Self { places: Semaphore::new(ROOM), end, metrics }
    }

    /// Waits until `unit` is reachable or will not be.
    pub async fn hold(&self, mut unit: watch::Receiver<Arc<ComputingUnit>>, limit: Duration) -> Held {
        if limit.is_zero() {
            return Held::Expired;
        }
        let Ok(_place) = self.places.try_acquire() else { return Held::Full };
        let _counted = self.metrics.activator.holds();
        let settled = |unit: &Arc<ComputingUnit>| {
            !matches!(situation(unit), Situation::Suspended | Situation::Suspending | Situation::Starting)
        };
        let wait = async {
            match unit.wait_for(settled).await {
                Ok(unit) => Held::Settled(situation(&unit)),
                Err(_) => Held::Settled(Situation::Gone),
            }
        };
        tokio::select! {
            held = timeout(limit, wait) => held.unwrap_or(Held::Expired),
            () = self.end.cancelled() => Held::Expired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activator::situation::tests::unit;
    use computing_unit_api::{OperatingMode, Phase};

    fn at(phase: Phase) -> Arc<ComputingUnit> {
        Arc::new(unit(OperatingMode::Running, Some(phase), 2))
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_let_go_when_its_unit_is_settled_or_its_time_is_over() {
        let (sender, receiver) = watch::channel(at(Phase::Pending));
        let end = CancellationToken::new();
        let room = Room::new(Arc::default(), end.clone());
        let limit = Duration::from_secs(20);
        let story = async {
            sender.send_replace(at(Phase::Starting));
            sender.send_replace(at(Phase::Ready));
        };
        let (held, ()) = tokio::join!(room.hold(receiver.clone(), limit), story);
        assert_eq!(held, Held::Settled(Situation::Ready));
        sender.send_replace(at(Phase::Starting));
        assert_eq!(room.hold(receiver.clone(), limit).await, Held::Expired);
        assert_eq!(room.hold(receiver.clone(), Duration::ZERO).await, Held::Expired);
        let all = room.places.acquire_many(u32::try_from(ROOM).unwrap()).await.unwrap();
        assert_eq!(room.hold(receiver.clone(), limit).await, Held::Full);
        drop(all);
        end.cancel();
        assert_eq!(room.hold(receiver.clone(), limit).await, Held::Expired);
        drop(sender);
        let room = Room::new(Arc::default(), CancellationToken::new());
        assert_eq!(room.hold(receiver, limit).await, Held::Settled(Situation::Gone));
    }
}
