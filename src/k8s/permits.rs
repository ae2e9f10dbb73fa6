//! A limit on what runs at the same time. Those who wait are served in the order of their arrival, and one namespace gets at
//! most half, so what is slow in one namespace does not hold up the others.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub struct Permits {
    all: Arc<Semaphore>,
    shares: Mutex<HashMap<String, Weak<Semaphore>>>,
    share: usize,
}

/// It is returned on drop.
pub struct Permit {
    // The semaphores are never closed, so there is always a permit.
    _share: Option<OwnedSemaphorePermit>,
    _one: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// At most `limit` permits, but at least one.
    pub fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(limit)), shares: Mutex::default(), share: limit.div_ceil(2) }
    }

    /// Waits for a permit. What has no namespace shares the empty one.
    pub async fn acquire(&self, namespace: &str) -> Permit {
        let share = self.share(namespace).acquire_owned().await.ok();
        Permit { _share: share, _one: self.all.clone().acquire_owned().await.ok() }
    }

    fn share(&self, namespace: &str) -> Arc<Semaphore> {
        let mut shares = self.shares.lock();
        if let Some(share) = shares.get(namespace).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.share));
        shares.insert(namespace.to_owned(), Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_namespace_gets_half_of_the_permits() {
        let permits = Permits::new(4);
        let _held = [permits.acquire("a").await, permits.acquire("a").await];
        assert!(permits.acquire("a").now_or_never().is_none());
        let other = permits.acquire("b").now_or_never();
        assert!(other.is_some());
    }

    #[tokio::test]
    async fn permits_are_given_in_the_order_of_arrival() {
        let permits = Permits::new(1);
        let held = permits.acquire("a").await;
        let mut first = Box::pin(permits.acquire("a"));
        let mut second = Box::pin(permits.acquire("a"));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        drop(held);
        assert!(second.as_mut().now_or_never().is_none());
        let held = first.as_mut().now_or_never();
        assert!(held.is_some());
        drop(held);
        assert!(second.as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn shares_without_permits_are_forgotten() {
        let permits = Permits::new(2);
        for namespace in ["a", "b", "c"] {
            drop(permits.acquire(namespace).await);
        }
        assert_eq!(permits.shares.lock().len(), 1);
    }
}
