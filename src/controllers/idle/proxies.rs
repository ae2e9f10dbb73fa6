//! What the proxies of a Gateway have counted for units: one request to each proxy, however many units there are.
//!
//! All or nothing: where one proxy cannot be read, nobody knows what came through it.

use std::{collections::HashMap, time::Duration};

use computing_unit_api::GatewayRef;
use futures::future::join_all;
use kube::ResourceExt;

use super::{
    counters::Count,
    fetch::{self, Question},
    readings::Unreadable,
    statistics::{Garbled, REQUEST, Reader, cluster},
    watched::Watched,
};
use crate::{
    metrics::{Metrics, Signal, Unread},
    probe::Proxies,
};

/// The port on which Envoy Gateway's proxies serve their statistics.
const PORT: u16 = 19001;
/// How long one proxy's answer may take.
const TIME: Duration = Duration::from_secs(5);
/// How long it may be: several times what a proxy says of 10,000 units.
const LONGEST: usize = 64 << 20;

/// The counts of one unit, by proxy.
pub type Counts = Vec<(String, Count)>;

/// Reads the proxies of `gateway`; the answers are in the order of `units`.
pub async fn read(
    known: &impl Proxies,
    gateway: &GatewayRef,
    units: &[&Watched],
    metrics: &Metrics,
) -> Vec<Result<Counts, Unreadable>> {
    let addresses = match addresses(known, gateway) {
        Ok(addresses) => addresses,
        Err(why) => {
            metrics.activity.unread(Signal::Gateway, why.reason);
            return vec![Err(why); units.len()];
        }
    };
    read_at(&addresses, PORT, units, metrics).await
}

fn addresses(known: &impl Proxies, gateway: &GatewayRef) -> Result<Vec<String>, Unreadable> {
    let none = |message: String| Unreadable::new(Unread::NoProxies, message);
    let proxies = known.of(gateway, None).map_err(|why| none(format!("the proxies are not known: {why}")))?;
    let mut addresses: Vec<String> = proxies.into_iter().map(|proxy| proxy.address).collect();
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(none(format!("the Gateway {}/{} has no proxies", gateway.namespace, gateway.name)));
    }
    Ok(addresses)
}

/// Reads the proxies at these addresses.
pub(super) async fn read_at(
    addresses: &[String],
    port: u16,
    units: &[&Watched],
    metrics: &Metrics,
) -> Vec<Result<Counts, Unreadable>> {
    let wanted: HashMap<String, usize> = units
        .iter()
        .enumerate()
        .map(|(index, watched)| {
            let unit = &watched.unit;
            (cluster(&unit.namespace().unwrap_or_default(), &unit.name_any()), index)
        })
        .collect();
    let answers = join_all(addresses.iter().map(|address| one(address, port, &wanted))).await;
    let mut all: Vec<Result<Counts, Unreadable>> = vec![Ok(Counts::with_capacity(addresses.len())); units.len()];
    for (address, answer) in addresses.iter().zip(answers) {
        match answer {
            Ok(counts) => {
                for (unit, count) in all.iter_mut().zip(counts) {
                    let Ok(so_far) = unit else { continue };
                    match count {
                        Some(count) => so_far.push((address.clone(), count)),
                        None => *unit = Err(unknown(address)),
                    }
                }
            }
            Err(why) => {
                metrics.activity.unread(Signal::Gateway, why.reason);
                all.fill(Err(why.of(&format!("the gateway cannot be read: the proxy {address}"))));
                break;
            }
        }
    }
    all
}

fn unknown(address: &str) -> Unreadable {
    Unreadable::new(
        Unread::Unknown,
        format!("the gateway cannot be read: the proxy {address} does not know the unit's route"),
    )
}

async fn one(address: &str, port: u16, wanted: &HashMap<String, usize>) -> Result<Vec<Option<Count>>, Unreadable> {
    let garbled = |why: Garbled| Unreadable::new(Unread::Garbled, why.to_string());
    let mut reader = Reader::new(wanted);
    let question = Question { address, port, path: REQUEST, time: TIME, bytes: LONGEST };
    fetch::get(question, |piece| reader.take(piece).map_err(garbled)).await?;
    reader.finish().map_err(garbled)
}
