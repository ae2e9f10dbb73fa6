//! One look at all watched units of a Gateway: the signals are read, and what follows is done.
//!
//! What is about to be stopped is read once more right before.

use std::{collections::HashMap, sync::Arc};

use computing_unit_api::{self as api, BusyProbe, GatewayRef};
use futures::{StreamExt, stream};
use kube::runtime::reflector::ObjectRef;

use super::{
    act, annotation, busy,
    clock::Now,
    proxies,
    readings::{Readings, Unreadable},
    usage::Verdict,
    watched::Watched,
};
use crate::{controllers::idle::context::IdleContext, metrics::Signal};

/// How many engines are asked at a time.
const ASKED: usize = 64;

/// Looks at all watched units of `gateway`.
pub async fn scan(context: Arc<IdleContext>, gateway: GatewayRef, units: Vec<Watched>) {
    let verdicts = judge(&context, &gateway, &units).await;
    context.metrics.activity.scanned();
    let mut due = Vec::new();
    for (watched, verdict) in units.iter().zip(verdicts) {
        if verdict.soon {
            act::announce(&context, watched).await;
        }
        if verdict.due {
            due.extend(watched.again(&context.caches));
        }
    }
    if due.is_empty() {
        return;
    }
    let verdicts = judge(&context, &gateway, &due).await;
    for (watched, verdict) in due.iter().zip(verdicts) {
        if verdict.due {
            act::stop(&context, watched).await;
        }
    }
}

/// Reads the signals of `units`, and publishes what is new.
async fn judge(context: &IdleContext, gateway: &GatewayRef, units: &[Watched]) -> Vec<Verdict> {
    let (readings, now) = read(context, gateway, units).await;
    let verdicts = units.iter().zip(&readings).map(|(watched, readings)| {
        for (signal, why) in readings.unreadable().filter(|(signal, _)| *signal != Signal::Gateway) {
            context.metrics.activity.unread(signal, why.reason);
        }
        let verdict = context.table.take(watched, readings, now);
        if verdict.news {
            context.waker.wake(ObjectRef::from_obj(watched.unit.as_ref()));
        }
        verdict
    });
    verdicts.collect()
}

/// What all signals say. The moment is the one before the first was read: what comes meanwhile is later.
async fn read(context: &IdleContext, gateway: &GatewayRef, units: &[Watched]) -> (Vec<Readings>, Now) {
    let now = Now::read();
    let counted = |watched: &&Watched| watched.pool.spec.activity.gateway.mode == api::Signal::Enabled;
    let wanted: Vec<&Watched> = units.iter().filter(counted).collect();
    let counts = async {
        if wanted.is_empty() {
            return HashMap::new();
        }
        let read = proxies::read(&context.caches.proxies(), gateway, &wanted, &context.metrics).await;
        wanted.iter().map(|watched| watched.uid.as_str()).zip(read).collect()
    };
    let asks: Vec<_> = units
        .iter()
        .filter_map(|watched| Some(ask(watched, watched.pool.spec.activity.busy_probe.as_ref()?)))
        .collect();
    let answers = stream::iter(asks).buffer_unordered(ASKED).collect::<Vec<_>>();
    let (mut counts, answers) = tokio::join!(counts, answers);
    let mut answers: HashMap<String, _> = answers.into_iter().collect();
    let readings = units.iter().map(|watched| Readings {
        gateway: counts.remove(watched.uid.as_str()),
        busy: answers.remove(watched.uid.as_str()),
        annotation: (watched.pool.spec.activity.annotation == api::Signal::Enabled)
            .then(|| annotation::read(&watched.unit, now.wall)),
    });
    (readings.collect(), now)
}

async fn ask(watched: &Watched, probe: &BusyProbe) -> (String, Result<bool, Unreadable>) {
    (watched.uid.clone(), busy::ask(watched, probe).await)
}
