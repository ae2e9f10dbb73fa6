//! The last counters of proxies that terminate in an orderly way, as in a rollout or when an autoscaler removes them.
//!
//! A terminating proxy gets no new connections and is read every second, so that what it had counted when it stopped is
//! known. A proxy that crashes, or that was not read shortly before it stopped, has no last counters.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use computing_unit_api::GatewayRef;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    counters::{Counters, CountersByProxy, ProxyCounters},
    readings::Unreadable,
    tracked::TrackedUnit,
};

/// The longest time from the last read of a proxy until it stops. What it counts meanwhile is not known.
const UNREAD: Duration = Duration::from_secs(5);
/// How long the last counters are kept: longer than the interval between two scans.
const KEPT: Duration = Duration::from_mins(10);

/// Namespace and name of a Gateway.
type Key = (String, String);

/// The terminating proxies of all Gateways.
#[derive(Debug, Default)]
pub struct Departures(Mutex<HashMap<Key, HashMap<String, Departure>>>);

#[derive(Clone, Debug)]
struct Departure {
    /// By UID of the unit.
    counters: Arc<HashMap<String, Counters>>,
    /// When they were requested.
    read: Instant,
    /// When it was first found not to respond any more.
    stopped: Option<Instant>,
    /// When it was first found to be gone.
    gone: Option<Instant>,
}

impl Departure {
    fn orderly(&self) -> bool {
        self.stopped.is_none_or(|stopped| stopped.saturating_duration_since(self.read) <= UNREAD)
    }
}

impl Departures {
    /// Records which proxies of a Gateway are terminating.
    pub fn listed(&self, gateway: &GatewayRef, terminating: &[String], now: Instant) {
        let mut all = self.0.lock();
        let Some(departures) = all.get_mut(&key(gateway)) else { return };
        for (address, departure) in departures.iter_mut() {
            if !terminating.contains(address) && departure.gone.is_none() {
                departure.gone = Some(now);
                let stopped = *departure.stopped.get_or_insert(now);
                let unread = stopped.saturating_duration_since(departure.read);
                tracing::debug!(address, ?unread, orderly = departure.orderly(), "a terminating proxy is gone");
            }
        }
        departures.retain(|_, departure| departure.gone.is_none_or(|gone| now - gone < KEPT));
        if departures.is_empty() {
            all.remove(&key(gateway));
        }
    }

    /// Records the counters that were requested at `now` from a terminating proxy. `None` if it did not respond.
    pub fn read(&self, gateway: &GatewayRef, address: &str, counters: Option<HashMap<String, Counters>>, now: Instant) {
        let mut all = self.0.lock();
        let departures = all.entry(key(gateway)).or_default();
        match (counters, departures.get_mut(address)) {
            // Another read was quicker.
            (Some(_), Some(known)) if known.read > now => {}
            (Some(counters), _) => {
                let departure = Departure { counters: Arc::new(counters), read: now, stopped: None, gone: None };
                departures.insert(address.to_owned(), departure);
            }
            (None, Some(known)) => drop(known.stopped.get_or_insert(now)),
            (None, None) => {}
        }
    }

    /// Whether there is something to record of a Gateway without terminating proxies.
    pub fn awaits(&self, gateway: &GatewayRef) -> bool {
        let all = self.0.lock();
        all.get(&key(gateway)).is_some_and(|departures| departures.values().any(|departure| departure.gone.is_none()))
    }

    /// Adds the counters of terminating and terminated proxies. `live` are the addresses of the others.
    pub fn add_to(
        &self,
        gateway: &GatewayRef,
        live: &[String],
        units: &[&TrackedUnit],
        all: &mut [Result<CountersByProxy, Unreadable>],
    ) {
        // An address may have been given to another proxy.
        let live: HashSet<&String> = live.iter().collect();
        let known = self.0.lock().get(&key(gateway)).cloned().unwrap_or_default();
        let orderly = known.iter().filter(|(address, departure)| !live.contains(address) && departure.orderly());
        for (address, departure) in orderly {
            for (tracked, counters) in units.iter().zip(all.iter_mut()) {
                if let (Ok(counters), Some(own)) = (counters, departure.counters.get(&tracked.uid)) {
                    let last = departure.gone.is_some();
                    counters.push(ProxyCounters { proxy: address.clone(), counters: *own, last });
                }
            }
        }
    }
}

fn key(gateway: &GatewayRef) -> Key {
    (gateway.namespace.clone(), gateway.name.clone())
}
