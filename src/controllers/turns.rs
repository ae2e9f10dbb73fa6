//! Reconciles in the order of their arrival.
//!
//! A controller of kube that limits its concurrency takes the waiting objects in the order of a hash table. While there are
//! always more of them than it may reconcile, some are never taken. So its concurrency is not limited, and each reconcile
//! waits here for its turn. One namespace gets at most half of the turns.

use std::{future::Future, panic::resume_unwind, sync::Arc};

use kube::runtime::controller::Action;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Instrument;

use crate::{
    k8s::{error::Result, permits::Permits},
    metrics::Metrics,
};

#[derive(Clone)]
pub struct Turns {
    permits: Arc<Permits>,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
}

impl Turns {
    /// At most `limit` reconciles at a time. On `shutdown`, those that still wait are dropped.
    pub fn new(limit: usize, metrics: Arc<Metrics>, shutdown: CancellationToken) -> Self {
        Self { permits: Arc::new(Permits::new(limit)), metrics, shutdown }
    }

    /// Reconciles an object of `namespace` in its turn, in a task of its own: the controller polls all its futures in one
    /// task.
    pub async fn run<F>(self, namespace: String, reconcile: impl FnOnce() -> F + Send + 'static) -> Result<Action>
    where
        F: Future<Output = Result<Action>> + Send + 'static,
    {
        let turn = async move {
            let waiting = self.metrics.queued();
            let Some(_permit) = self.shutdown.run_until_cancelled(self.permits.acquire(&namespace)).await else {
                return Ok(Action::await_change());
            };
            drop(waiting);
            // Boxed, so that those that wait are small.
            Box::pin(reconcile()).await
        };
        let task = AbortOnDropHandle::new(tokio::spawn(turn.in_current_span()));
        task.await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime shuts down.
            Err(_) => Ok(Action::await_change()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{SinkExt, StreamExt, channel::mpsc, future, stream};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::{
        Controller,
        controller::Config,
        reflector::{ObjectRef, store},
        watcher::Event,
    };
    use parking_lot::Mutex;
    use tokio::time::{Instant, sleep_until};

    use super::*;

    const LIMIT: u16 = 2;
    const OBJECTS: usize = 64;
    const RECONCILES: usize = 2_000;

    fn object(number: usize) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("ns".to_owned());
        object.metadata.name = Some(format!("object-{number}"));
        object
    }

    /// The longest wait of an object for its first reconcile, in reconciles of others, while every object is woken again
    /// by its own reconcile.
    async fn longest_wait(fair: bool) -> usize {
        let (reader, mut writer) = store::<ConfigMap>();
        writer.apply_watcher_event(&Event::Init);
        (0..OBJECTS).for_each(|number| writer.apply_watcher_event(&Event::InitApply(object(number))));
        writer.apply_watcher_event(&Event::InitDone);
        let (mut wake, wakes) = mpsc::unbounded();
        for number in 0..OBJECTS {
            wake.send(ObjectRef::from_obj(&object(number))).await.unwrap();
        }
        let order = Arc::new(Mutex::new(vec![]));
        let turns = Turns::new(usize::from(LIMIT), Arc::default(), CancellationToken::new());
        let (seen, again) = (order.clone(), wake.clone());
        let reconcile = move |object: Arc<ConfigMap>, _: Arc<()>| {
            let (seen, mut again, turns) = (seen.clone(), again.clone(), turns.clone());
            let work = move || async move {
                seen.lock().push(object.metadata.name.clone());
                // While it runs, others become due.
                sleep_until(Instant::now() + Duration::from_millis(1)).await;
                let _ = again.send(ObjectRef::from_obj(object.as_ref())).await;
                Ok(Action::await_change())
            };
            async move { if fair { turns.run("ns".to_owned(), work).await } else { work().await } }
        };
        let limit = if fair { 0 } else { LIMIT };
        Controller::for_stream(stream::pending(), reader)
            .with_config(Config::default().concurrency(limit))
            .reconcile_on(wakes)
            .run(reconcile, |_, _: &crate::k8s::error::Error, _| Action::await_change(), Arc::new(()))
            .take(RECONCILES)
            .for_each(|_| future::ready(()))
            .await;
        let order = order.lock();
        let first = |number| order.iter().position(|name| *name == object(number).metadata.name);
        (0..OBJECTS).map(|number| first(number).unwrap_or(usize::MAX)).max().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn every_object_gets_its_turn_although_others_are_always_due() {
        // In the first round all of them.
        assert!(longest_wait(true).await < 2 * OBJECTS);
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_of_the_controller_itself_is_not_fair() {
        // If this fails, kube is fair, and turns are not needed any more.
        assert!(longest_wait(false).await >= 2 * OBJECTS);
    }
}
