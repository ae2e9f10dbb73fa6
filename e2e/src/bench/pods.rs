//! When pods were made and when they were ready, as a watch sees it.

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

/// What was seen of a pod.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// When it was seen first.
    pub made: Instant,
    /// When it was seen to be ready.
    pub ready: Option<Instant>,
}

/// The pods of a namespace.
pub struct Pods {
    seen: watch::Receiver<HashMap<String, Seen>>,
    _watching: JoinSet<()>,
}

impl Pods {
    /// Begins to watch, and waits until the watch is there.
    ///
    /// # Errors
    /// If it does not come about.
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
        timeout(SOON, begins.wait_for(|begun| *begun)).await.context("a watch of pods")??;
        Ok(Self { seen, _watching: watching })
    }

    /// What was seen of a pod, once it is ready.
    ///
    /// # Errors
    /// If it does not get ready.
    pub async fn ready(&self, name: &str) -> anyhow::Result<(Seen, Instant)> {
        let mut seen = self.seen.clone();
        let is_ready = |seen: &HashMap<String, Seen>| seen.get(name).is_some_and(|seen| seen.ready.is_some());
        let all = timeout(SOON, seen.wait_for(is_ready)).await.with_context(|| format!("pod {name} to be ready"))??;
        let seen = all[name];
        Ok((seen, seen.ready.context("just seen")?))
    }

    /// Waits until a pod is seen to be gone.
    ///
    /// # Errors
    /// If it stays.
    pub async fn gone(&self, name: &str) -> anyhow::Result<()> {
        let mut seen = self.seen.clone();
        let gone = seen.wait_for(|seen| !seen.contains_key(name));
        timeout(SOON, gone).await.with_context(|| format!("end of pod {name}"))??;
        Ok(())
    }

    /// Waits until that many pods are ready.
    ///
    /// # Errors
    /// If they are not within `deadline`.
    pub async fn all_ready(&self, count: usize, deadline: Duration) -> anyhow::Result<()> {
        let mut seen = self.seen.clone();
        let enough = |seen: &HashMap<String, Seen>| seen.values().filter(|pod| pod.ready.is_some()).count() >= count;
        let end = tokio::time::Instant::now() + deadline;
        timeout_at(end, seen.wait_for(enough)).await.with_context(|| format!("{count} ready pods"))??;
        Ok(())
    }
}
