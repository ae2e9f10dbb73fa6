//! The statistics of a Gateway's proxies: one request to each proxy for all units.
//!
//! If one proxy cannot be read, the signal is unreadable: its share of the requests is unknown. Of a proxy that is
//! terminating, the last counters are used.

use std::{collections::HashMap, time::Duration};

use computing_unit_api::GatewayRef;
use futures::future::join_all;
use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    counters::{Counters, CountersByProxy, ProxyCounters},
    departures::Departures,
    fetch::{self, Get},
    readings::Unreadable,
    statistics::{InvalidStatistics, Parser},
    tracked::TrackedUnit,
};
use crate::{
    gateway::{provider::Provider, proxies::Requests, proxy_stores::ProxyStores},
    metrics::{Metrics, Signal, UnreadableReason},
};

/// For the response of one proxy.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Several times the size of the statistics of 10,000 units.
const MAX_BYTES: usize = 64 << 20;

/// The proxies to read.
pub(super) struct Source {
    pub(super) provider: &'static dyn Provider,
    pub(super) addresses: Vec<String>,
    /// Those that are terminating, which need not respond any more.
    pub(super) terminating: Vec<String>,
    pub(super) port: u16,
}

/// The counters of `units` at the proxies of `gateway`, in the order of `units`.
pub async fn read(
    proxies: &ProxyStores,
    departures: &Departures,
    gateway: &GatewayRef,
    units: &[&TrackedUnit],
    metrics: &Metrics,
) -> Vec<Result<CountersByProxy, Unreadable>> {
    match source(proxies, gateway) {
        Ok(source) => {
            let now = Instant::now();
            let (mut all, ()) = tokio::join!(
                read_from(&source, units, metrics),
                read_terminating(&source, departures, gateway, units, now)
            );
            departures.add_to(gateway, &source.addresses, units, &mut all);
            all
        }
        Err(error) => {
            metrics.activity.unreadable(Signal::Gateway, error.reason);
            vec![Err(error); units.len()]
        }
    }
}

/// Records the counters of the proxies that are terminating, and which of them are gone.
pub(super) async fn read_terminating(
    source: &Source,
    departures: &Departures,
    gateway: &GatewayRef,
    units: &[&TrackedUnit],
    now: Instant,
) {
    departures.listed(gateway, &source.terminating, now);
    if source.terminating.is_empty() {
        // In almost every scan: the names of the clusters are not needed.
        return;
    }
    let clusters = clusters(source, units);
    let reads = source.terminating.iter().map(|address| async {
        let read = read_proxy(source, address, &clusters).await.ok();
        let by_unit = read.map(|read| {
            let pairs = units.iter().zip(read);
            pairs.filter_map(|(tracked, counters)| Some((tracked.uid.clone(), counters?))).collect()
        });
        departures.read(gateway, address, by_unit, now);
    });
    join_all(reads).await;
}

pub(super) fn source(proxies: &ProxyStores, gateway: &GatewayRef) -> Result<Source, Unreadable> {
    let failed = |reason, problem: String| Unreadable::new(reason, problem).about(PREFIX);
    let found = proxies
        .of(gateway, Requests::default())
        .map_err(|error| failed(UnreadableReason::NoProxies, error.to_string()))?;
    let live = found.proxies.into_iter().filter(|proxy| !proxy.draining);
    let mut addresses: Vec<String> = live.map(|proxy| proxy.address).collect();
    addresses.sort();
    addresses.dedup();
    let mut terminating = found.terminating;
    terminating.retain(|address| !addresses.contains(address));
    let name = format!("{}/{}", gateway.namespace, gateway.name);
    if addresses.is_empty() && terminating.is_empty() {
        return Err(failed(UnreadableReason::NoProxies, format!("no proxy of Gateway {name} is ready")));
    }
    let provider = found.provider.ok_or_else(|| {
        let problem = format!("the implementation of Gateway {name} is not supported: disable the gateway signal");
        failed(UnreadableReason::Unsupported, problem)
    })?;
    Ok(Source { provider, addresses, terminating, port: provider.statistics().port })
}

const PREFIX: &str = "cannot read the gateway's statistics:";

pub(super) async fn read_from(
    source: &Source,
    units: &[&TrackedUnit],
    metrics: &Metrics,
) -> Vec<Result<CountersByProxy, Unreadable>> {
    let clusters = clusters(source, units);
    let responses = join_all(source.addresses.iter().map(|address| read_proxy(source, address, &clusters))).await;
    let mut all: Vec<Result<CountersByProxy, Unreadable>> =
        vec![Ok(Vec::with_capacity(source.addresses.len())); units.len()];
    for (address, response) in source.addresses.iter().zip(responses) {
        match response {
            Ok(counters) => {
                for (unit, counters) in all.iter_mut().zip(counters) {
                    let Ok(so_far) = unit else { continue };
                    match counters {
                        Some(counters) => so_far.push(ProxyCounters { proxy: address.clone(), counters, last: false }),
                        None => *unit = Err(unknown_route(address)),
                    }
                }
            }
            Err(error) => {
                metrics.activity.unreadable(Signal::Gateway, error.reason);
                all.fill(Err(error.about(&format!("{PREFIX} proxy {address}"))));
                break;
            }
        }
    }
    all
}

/// The clusters of units, with the index of the unit: one for the engine, and one for each other port.
fn clusters(source: &Source, units: &[&TrackedUnit]) -> HashMap<String, usize> {
    let of_unit = |(index, tracked): (usize, &&TrackedUnit)| {
        let (namespace, name) = (tracked.unit.namespace().unwrap_or_default(), tracked.unit.name_any());
        let rules = 0..=tracked.pool.spec.ports.len();
        rules.map(move |rule| (source.provider.cluster_name(&namespace, &name, rule), index))
    };
    units.iter().enumerate().flat_map(of_unit).collect()
}

fn unknown_route(address: &str) -> Unreadable {
    let problem = format!("{PREFIX} proxy {address} does not have the unit's route");
    Unreadable::new(UnreadableReason::UnknownRoute, problem)
}

async fn read_proxy(
    source: &Source,
    address: &str,
    clusters: &HashMap<String, usize>,
) -> Result<Vec<Option<Counters>>, Unreadable> {
    let invalid = |error: InvalidStatistics| Unreadable::new(UnreadableReason::Invalid, error.to_string());
    let statistics = source.provider.statistics();
    let mut parser = Parser::new(statistics, clusters);
    let get = Get {
        address,
        port: source.port,
        path: statistics.path,
        timeout: TIMEOUT,
        max_bytes: MAX_BYTES,
        any_status: false,
    };
    fetch::get(get, |chunk| parser.push(chunk).map_err(invalid)).await?;
    parser.finish().map_err(invalid)
}
