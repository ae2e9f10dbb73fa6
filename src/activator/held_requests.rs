//! Holds requests until their unit is reachable, for a limited time and up to a limited number of requests.

use std::{sync::Arc, time::Duration};

use computing_unit_api::{ComputingUnit, OperatingMode};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::state::{State, state};
use crate::metrics::Metrics;

/// How many requests a replica holds at a time. By default, a proxy has at most 1024 requests in flight to one Service.
/// Two replicas that hold this many leave room for requests that are answered immediately.
const MAX_HELD: usize = 480;

/// The result of holding a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldResult {
    /// The unit reached a state that it does not leave by itself, or was suspended meanwhile.
    Settled(State),
    /// The time limit was reached, or the process is shutting down.
    TimedOut,
    /// The request was not held, because too many are.
    LimitReached,
}

/// The requests that are held.
pub struct HeldRequests {
    permits: Semaphore,
    shutdown: CancellationToken,
    metrics: Arc<Metrics>,
}

impl HeldRequests {
    /// Holds no request yet. `shutdown` ends all holds.
    pub fn new(metrics: Arc<Metrics>, shutdown: CancellationToken) -> Self {
        Self { permits: Semaphore::new(MAX_HELD), shutdown, metrics }
    }

    /// Waits until the state of `unit` is settled, or the unit is suspended again.
    pub async fn hold(&self, mut unit: watch::Receiver<Arc<ComputingUnit>>, limit: Duration) -> HoldResult {
        if limit.is_zero() {
            return HoldResult::TimedOut;
        }
        let Ok(_permit) = self.permits.try_acquire() else { return HoldResult::LimitReached };
        let _counted = self.metrics.activator.holds();
        // Updates that follow one another closely are seen as one, so the state in between may not be seen.
        let since = unit.borrow().metadata.generation;
        let suspended_again = |unit: &ComputingUnit| {
            unit.spec.operating_mode == OperatingMode::Suspended && unit.metadata.generation > since
        };
        let settled = async {
            match unit.wait_for(|unit| state(unit).is_settled() || suspended_again(unit)).await {
                Ok(unit) => HoldResult::Settled(state(&unit)),
                Err(_) => HoldResult::Settled(State::Deleted),
            }
        };
        tokio::select! {
            result = timeout(limit, settled) => result.unwrap_or(HoldResult::TimedOut),
            () = self.shutdown.cancelled() => HoldResult::TimedOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activator::state::tests::unit;
    use computing_unit_api::Phase;

    fn at(phase: Phase) -> Arc<ComputingUnit> {
        Arc::new(unit(OperatingMode::Running, Some(phase), 2))
    }

    #[tokio::test(start_paused = true)]
    async fn request_is_held_until_its_unit_is_settled_or_its_time_is_over() {
        let (sender, receiver) = watch::channel(at(Phase::Pending));
        let end = CancellationToken::new();
        let held_requests = HeldRequests::new(Arc::default(), end.clone());
        let limit = Duration::from_secs(20);
        let story = async {
            sender.send_replace(at(Phase::Starting));
            sender.send_replace(at(Phase::Ready));
        };
        let (held, ()) = tokio::join!(held_requests.hold(receiver.clone(), limit), story);
        assert_eq!(held, HoldResult::Settled(State::Ready));
        sender.send_replace(at(Phase::Starting));
        assert_eq!(held_requests.hold(receiver.clone(), limit).await, HoldResult::TimedOut);
        assert_eq!(held_requests.hold(receiver.clone(), Duration::ZERO).await, HoldResult::TimedOut);
        let all = held_requests.permits.acquire_many(u32::try_from(MAX_HELD).unwrap()).await.unwrap();
        assert_eq!(held_requests.hold(receiver.clone(), limit).await, HoldResult::LimitReached);
        drop(all);
        end.cancel();
        assert_eq!(held_requests.hold(receiver.clone(), limit).await, HoldResult::TimedOut);
        drop(sender);
        let held_requests = HeldRequests::new(Arc::default(), CancellationToken::new());
        assert_eq!(held_requests.hold(receiver, limit).await, HoldResult::Settled(State::Deleted));
    }

    #[tokio::test(start_paused = true)]
    async fn request_is_not_held_if_its_unit_is_suspended_after_it_was_started() {
        let of = |mode, phase, generation| {
            let mut unit = unit(mode, Some(phase), generation);
            unit.metadata.generation = Some(generation);
            Arc::new(unit)
        };
        let (sender, receiver) = watch::channel(of(OperatingMode::Suspended, Phase::Suspended, 2));
        let held_requests = HeldRequests::new(Arc::default(), CancellationToken::new());
        let limit = Duration::from_secs(20);
        assert_eq!(
            held_requests.hold(receiver.clone(), limit).await,
            HoldResult::TimedOut,
            "it is about to be started"
        );
        let story = async {
            sender.send_replace(of(OperatingMode::Running, Phase::Ready, 3));
            sender.send_replace(of(OperatingMode::Suspended, Phase::Ready, 4));
        };
        let (held, ()) = tokio::join!(held_requests.hold(receiver, limit), story);
        assert_eq!(held, HoldResult::Settled(State::Suspending));
    }
}
