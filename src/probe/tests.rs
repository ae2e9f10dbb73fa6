//! The prober against local servers that respond like proxies.

mod connections;
mod envoy;
mod goals;
mod lifetime;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{Stream, StreamExt};
use kube::runtime::reflector::ObjectRef;
use tokio::time::timeout;

use self::envoy::Envoy;
use super::*;
use crate::gateway::proxies::{NotListed, Proxy, ProxyResolver, Requests};

const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone)]
struct FakeResolver(Arc<Mutex<Result<Vec<Proxy>, NotListed>>>);

impl FakeResolver {
    fn of<'a>(envoys: impl IntoIterator<Item = &'a Envoy>) -> Self {
        Self(Arc::new(Mutex::new(Ok(envoys.into_iter().map(|envoy| envoy.proxy.clone()).collect()))))
    }
}

impl ProxyResolver for FakeResolver {
    fn resolve(&self, _: &GatewayRef, _: Requests<'_>) -> Result<Vec<Proxy>, NotListed> {
        self.0.lock().unwrap().clone()
    }
}

pub(super) fn target(unit: &str) -> Target {
    Target {
        unit: ObjectRef::new(unit).within("units"),
        uid: format!("{unit}-uid"),
        route: VerifiedRoute { uid: "route-uid".into(), generation: 1, ..VerifiedRoute::default() },
        gateway: GatewayRef { name: "shared".into(), namespace: "gateways".into(), section_name: None },
        request: Request { method: ProbeMethod::Head, host: None, path_and_query: "/wsapi?cuid=42".into() },
        closed: None,
    }
}

/// The target after generation 7 of the route was open.
pub(super) fn closed(unit: &str) -> Target {
    let target = target(unit);
    Target { closed: Some(Closed { request: target.request.clone(), version: "route-uid.7".into() }), ..target }
}

/// Starts a probe unless it is running, and reads its progress.
fn progress(prober: &Prober, target: Target, goal: Goal) -> Progress {
    let current = |report: &Report| report.goal == goal && report.target == target;
    if let Some(report) = prober.report(&target.uid).filter(current) {
        return report.progress;
    }
    prober.start(target.clone(), goal);
    prober.report(&target.uid).unwrap().progress
}

/// Waits until `goal` of `ada` is reached, reading the progress only when woken.
async fn reach(prober: &Prober, wakes: &mut (impl Stream<Item = ObjectRef<ComputingUnit>> + Unpin), goal: Goal) {
    reach_of(prober, wakes, &target("ada"), goal).await;
}

async fn reach_of(
    prober: &Prober,
    wakes: &mut (impl Stream<Item = ObjectRef<ComputingUnit>> + Unpin),
    target: &Target,
    goal: Goal,
) {
    let reached = async {
        while !matches!(progress(prober, target.clone(), goal), Progress::Done { .. }) {
            assert_eq!(wakes.next().await.unwrap(), target.unit);
        }
    };
    timeout(DEADLINE, reached).await.unwrap();
}

async fn until(mut condition: impl FnMut() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let held = async {
        while !condition() {
            tick.tick().await;
        }
    };
    timeout(DEADLINE, held).await.unwrap();
}

fn last(prober: &Prober, goal: Goal) -> Option<String> {
    last_of(prober, &target("ada"), goal)
}

fn last_of(prober: &Prober, target: &Target, goal: Goal) -> Option<String> {
    match progress(prober, target.clone(), goal) {
        Progress::Pending { last, .. } => last,
        Progress::Done { .. } => None,
    }
}
