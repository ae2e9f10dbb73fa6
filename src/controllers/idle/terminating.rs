//! Reads the proxies that are terminating more often than a scan would: most of them terminate within seconds.

use std::{collections::HashSet, sync::Arc, time::Duration};

use computing_unit_api::{GatewayRef, Signal};
use futures::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    context::IdleContext,
    gateway_signal::{read_terminating, source},
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
        join_all(gateways.iter().map(|gateway| read(&context, gateway))).await;
    }
}

async fn read(context: &IdleContext, gateway: &GatewayRef) {
    let Ok(source) = source(&context.caches.proxies(), gateway) else { return };
    if source.terminating.is_empty() && !context.departures.awaits(gateway) {
        return;
    }
    let same = |unit: &TrackedUnit| {
        let own = &unit.pool.spec.gateway_ref;
        own.namespace == gateway.namespace && own.name == gateway.name
    };
    let units: Vec<_> = context.caches.units().filter_map(|unit| TrackedUnit::of(&context.caches, unit)).collect();
    let units: Vec<&TrackedUnit> = units.iter().filter(|unit| same(unit)).collect();
    read_terminating(&source, &context.departures, gateway, &units, Instant::now()).await;
}
