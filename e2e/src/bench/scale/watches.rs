//! Watches of units, pods and routes, which record when their effects were seen.

use std::{collections::HashSet, fmt::Debug, pin::pin, time::Instant};

use computing_unit_api::{
    ComputingUnit, Phase,
    gateway::{HTTPRoute, is_guarded},
};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, Result, watcher},
    },
};
use tokio::{sync::mpsc, task::JoinSet};

use super::life::{Life, Lives};
use crate::units;

/// Starts the watches. The names of units whose route is open go to `opened`.
pub fn start(client: &Client, namespace: &str, lives: &Lives, opened: mpsc::UnboundedSender<String>) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    let units = watcher(Api::<ComputingUnit>::namespaced(client.clone(), namespace), Config::default());
    watches.spawn(follow(units, lives.clone(), unit_seen, |life, now| {
        if life.accepted.is_some() {
            life.gone.get_or_insert(now);
        }
    }));
    let pods = watcher(Api::<PartialObjectMeta<Pod>>::namespaced(client.clone(), namespace), Config::default());
    let pod_seen = |_: &_, life: &mut Life, now| life.pod = life.pod.or(Some(now));
    watches.spawn(follow(pods, lives.clone(), pod_seen, |life, now| {
        if life.pod.is_some() {
            life.pod_gone.get_or_insert(now);
        }
    }));
    let routes = watcher(Api::<HTTPRoute>::namespaced(client.clone(), namespace), Config::default());
    let route_seen = move |route: &HTTPRoute, life: &mut Life, now| {
        if is_guarded(route) {
            life.guarded.get_or_insert(now);
        } else if life.open.is_none() {
            life.open = Some(now);
            // The other end is closed at the end of the run.
            let _ = opened.send(route.name_any());
        }
    };
    watches.spawn(follow(routes, lives.clone(), route_seen, |life, now| {
        if life.guarded.or(life.open).is_some() {
            life.route_gone.get_or_insert(now);
        }
    }));
    watches
}

fn unit_seen(unit: &ComputingUnit, life: &mut Life, now: Instant) {
    if life.uid.is_none() {
        life.uid = unit.uid();
    }
    let observed = unit.status.as_ref().and_then(|status| status.observed_generation);
    life.observed = observed.is_some() && observed == unit.metadata.generation;
    if units::phase(Some(unit)) == Some(Phase::Ready) {
        life.ready.get_or_insert(now);
    }
}

/// Records the events of one kind. Objects that are missing when the watch is established again are gone.
async fn follow<K: ResourceExt + Clone + Debug + Send + 'static>(
    events: impl Stream<Item = Result<Event<K>>> + Send + 'static,
    lives: Lives,
    seen: impl Fn(&K, &mut Life, Instant) + Send + 'static,
    gone: impl Fn(&mut Life, Instant) + Send + 'static,
) {
    let mut events = pin!(events.default_backoff());
    let mut listed = HashSet::new();
    while let Some(event) = events.next().await {
        let now = Instant::now();
        match event {
            Ok(Event::Apply(object)) => lives.change(&object.name_any(), |life| seen(&object, life, now)),
            Ok(Event::InitApply(object)) => {
                lives.change(&object.name_any(), |life| seen(&object, life, now));
                listed.insert(object.name_any());
            }
            Ok(Event::Delete(object)) => lives.change(&object.name_any(), |life| gone(life, now)),
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitDone) => lives.change_all(|name, life| {
                if !listed.contains(name) {
                    gone(life, now);
                }
            }),
            Err(_) => {}
        }
    }
}
