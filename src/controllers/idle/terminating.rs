//! Reads the proxies that are terminating more often than a scan would: most of them terminate within seconds.

use std::{collections::HashSet, sync::Arc, time::Duration};

use computing_unit_api::{GatewayRef, Signal};
use futures::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    context::IdleContext,
    gateway_signal::{Source, read_terminating, source},
    tracked::TrackedUnit,
};

/// How often they are read.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs until dropped.
pub async fn run(context: Arc<IdleContext>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let idle = context.caches.pools().filter(|pool| {
            pool.spec.lifecycle.idle_timeout.is_some() && pool.spec.activity.gateway.mode == Signal::Enabled
        });
        let gateways: HashSet<GatewayRef> =
            idle.map(|pool| GatewayRef { section_name: None, ..pool.spec.gateway_ref.clone() }).collect();
        let due: Vec<(&GatewayRef, Source)> =
            gateways.iter().filter_map(|gateway| Some((gateway, due(&context, gateway)?))).collect();
        if due.is_empty() {
            continue;
        }
        // Once for all Gateways.
        let units: Vec<_> = context.caches.units().filter_map(|unit| TrackedUnit::of(&context.caches, unit)).collect();
        join_all(due.iter().map(|(gateway, source)| read(&context, gateway, source, &units))).await;
    }
}

/// The proxies of a Gateway, if some are terminating, or have just terminated.
fn due(context: &IdleContext, gateway: &GatewayRef) -> Option<Source> {
    let source = source(&context.caches.proxies(), gateway).ok()?;
    (!source.terminating.is_empty() || context.departures.awaits(gateway)).then_some(source)
}

async fn read(context: &IdleContext, gateway: &GatewayRef, source: &Source, units: &[TrackedUnit]) {
    let same = |unit: &&TrackedUnit| {
        let own = &unit.pool.spec.gateway_ref;
        own.namespace == gateway.namespace && own.name == gateway.name
    };
    let units: Vec<&TrackedUnit> = units.iter().filter(same).collect();
    read_terminating(source, &context.departures, gateway, &units, Instant::now()).await;
}
