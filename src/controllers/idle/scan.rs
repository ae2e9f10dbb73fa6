//! One scan of all tracked units of a Gateway: reads the signals, and stops units that are idle.
//!
//! The signals of a unit are read again immediately before it is stopped.

use std::{collections::HashMap, sync::Arc};

use computing_unit_api::{self as api, GatewayRef};
use futures::{FutureExt, StreamExt, stream};
use kube::runtime::reflector::ObjectRef;

use super::{
    annotation, busy_probe, context::IdleContext, gateway_signal, idleness::Decision, readings::Readings,
    rounds::in_rounds, stop, tracked::TrackedUnit,
};
use crate::{clock::Now, metrics::Signal};

/// How many busy probes run at a time.
const BUSY_PROBES: usize = 64;

pub async fn scan(context: Arc<IdleContext>, gateway: GatewayRef, units: Vec<TrackedUnit>) {
    let decisions = decide(&context, &gateway, &units).await;
    context.metrics.activity.scanned();
    let mut idle = Vec::new();
    for (tracked, decision) in units.iter().zip(decisions) {
        if decision.announce {
            stop::announce(&context, tracked).await;
        }
        if decision.stop {
            idle.push(tracked.clone());
        }
    }
    let (context, gateway) = (context.as_ref(), &gateway);
    let still_idle = |round| still_idle(context, gateway, round).boxed();
    in_rounds(&idle, still_idle, |tracked| async move { stop::stop(context, &tracked).await }.boxed()).await;
}

/// The units of `round` that are still idle, as the caches have them now.
async fn still_idle(context: &IdleContext, gateway: &GatewayRef, round: Vec<TrackedUnit>) -> Vec<TrackedUnit> {
    let round: Vec<_> = round.iter().filter_map(|tracked| tracked.refreshed(&context.caches)).collect();
    let decisions = decide(context, gateway, &round).await;
    round.into_iter().zip(decisions).filter(|(_, decision)| decision.stop).map(|(tracked, _)| tracked).collect()
}

/// Reads the signals of `units`, and wakes the units whose published activity changed.
async fn decide(context: &IdleContext, gateway: &GatewayRef, units: &[TrackedUnit]) -> Vec<Decision> {
    let (readings, now) = read(context, gateway, units).await;
    let decisions = units.iter().zip(&readings).map(|(tracked, readings)| {
        for (signal, error) in readings.unreadable().filter(|(signal, _)| *signal != Signal::Gateway) {
            context.metrics.activity.unreadable(signal, error.reason);
        }
        let decision = context.table.record(tracked, readings, now);
        if decision.publish {
            context.waker.wake(ObjectRef::from_obj(tracked.unit.as_ref()));
        }
        decision
    });
    decisions.collect()
}

/// The readings of all signals. Their time is after the last one: what is read now may have been used a moment ago, and the
/// idle timeout is counted from the later time.
async fn read(context: &IdleContext, gateway: &GatewayRef, units: &[TrackedUnit]) -> (Vec<Readings>, Now) {
    let began = Now::read();
    let by_gateway = |tracked: &&TrackedUnit| tracked.pool.spec.activity.gateway.mode == api::Signal::Enabled;
    let at_gateway: Vec<&TrackedUnit> = units.iter().filter(by_gateway).collect();
    let counters = async {
        if at_gateway.is_empty() {
            return HashMap::new();
        }
        let proxies = context.caches.proxies();
        let read = gateway_signal::read(&proxies, &context.departures, gateway, &at_gateway, &context.metrics).await;
        at_gateway.iter().map(|tracked| tracked.uid.as_str()).zip(read).collect()
    };
    let probes: Vec<_> = units
        .iter()
        .flat_map(|tracked| tracked.pool.spec.activity.busy_probes.iter().map(move |probe| (tracked, probe)))
        .map(|(tracked, probe)| busy_probe::read(tracked, probe, &context.expressions, began.wall))
        .collect();
    // In their order.
    let probes = stream::iter(probes).buffered(BUSY_PROBES).collect::<Vec<_>>();
    let (mut counters, probes) = tokio::join!(counters, probes);
    let now = Now::read();
    let mut probes = probes.into_iter();
    let readings = units.iter().map(|tracked| Readings {
        gateway: counters.remove(tracked.uid.as_str()),
        busy: probes.by_ref().take(tracked.pool.spec.activity.busy_probes.len()).collect(),
        annotation: (tracked.pool.spec.activity.annotation == api::Signal::Enabled)
            .then(|| annotation::read(&tracked.unit, now.wall)),
    });
    (readings.collect(), now)
}
