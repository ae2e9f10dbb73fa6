//! The times when pods were created and became ready, as observed by a watch.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    runtime::watcher::{self, Event},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{timeout, timeout_at},
};

use crate::{fixture::SOON, plain::is_ready};

/// The observed times of a pod.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The time of its first event.
    pub made: Instant,
    /// The time of the event that it is ready.
    pub ready: Option<Instant>,
}

/// The pods of a namespace.
pub struct Pods {
    seen: watch::Receiver<HashMap<String, Seen>>,
    _watching: JoinSet<()>,
}

impl Pods {
    /// Starts the watch and waits until it is established.
    ///
    /// # Errors
    /// If it is not established in time.
    pub async fn watch(api: Api<Pod>) -> anyhow::Result<Self> {
        let (tell, seen) = watch::channel(HashMap::<String, Seen>::new());
        let (begun, mut begins) = watch::channel(false);
        let mut watching = JoinSet::new();
        watching.spawn(async move {
            let mut events = std::pin::pin!(watcher::watcher(api, watcher::Config::default()));
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(pod) | Event::InitApply(pod)) => tell.send_modify(|seen| {
                        let now = Instant::now();
                        let known = seen.entry(pod.name_any()).or_insert(Seen { made: now, ready: None });
                        if is_ready(&pod) {
                            known.ready.get_or_insert(now);
                        }
                    }),
                    Ok(Event::InitDone) => drop(begun.send_replace(true)),
                    Ok(Event::Delete(pod)) => tell.send_modify(|seen| {
                        seen.remove(&pod.name_any());
                    }),
                    Ok(Event::Init) | Err(_) => {}
                }
            }
        });
        timeout(SOON, begins.wait_for(|begun| *begun)).await.context("no watch of pods in time")??;
        Ok(Self { seen, _watching: watching })
    }

    /// Waits until a pod is ready. Returns its times.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn ready(&self, name: &str) -> anyhow::Result<(Seen, Instant)> {
        let mut seen = self.seen.clone();
        let is_ready = |seen: &HashMap<String, Seen>| seen.get(name).is_some_and(|seen| seen.ready.is_some());
        let all = timeout(SOON, seen.wait_for(is_ready))
            .await
            .with_context(|| format!("pod {name} is not ready in time"))??;
        let seen = all[name];
        Ok((seen, seen.ready.context("the pod is not ready")?))
    }

    /// Waits until a pod is deleted.
    ///
    /// # Errors
    /// If it is not deleted in time.
    pub async fn gone(&self, name: &str) -> anyhow::Result<()> {
        let mut seen = self.seen.clone();
        let gone = seen.wait_for(|seen| !seen.contains_key(name));
        timeout(SOON, gone).await.with_context(|| format!("pod {name} is not deleted in time"))??;
        Ok(())
    }

    /// Waits until that many pods are ready.
    ///
    /// # Errors
    /// If they are not ready within `deadline`.
    pub async fn all_ready(&self, count: usize, deadline: Duration) -> anyhow::Result<()> {
        let mut seen = self.seen.clone();
        let enough = |seen: &HashMap<String, Seen>| seen.values().filter(|pod| pod.ready.is_some()).count() >= count;
        let end = tokio::time::Instant::now() + deadline;
        timeout_at(end, seen.wait_for(enough)).await.with_context(|| format!("no {count} ready pods in time"))??;
        Ok(())
    }
}
