//! What the proxies had counted for a unit in the last scan, and the use since then.
//!
//! Pure.

use std::collections::HashMap;

use tokio::time::Instant;

use super::{
    counters::{Counters, CountersByProxy, ProxyCounters, Served, served},
    policy::IdlePolicy,
    polls::Polls,
};

/// Use of a unit through the proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// More bytes than the policy allows for open connections.
    Traffic,
    Request,
}

/// What a proxy had counted at a time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    counters: Counters,
    at: Instant,
    /// Whether the proxy has terminated since.
    last: bool,
}

#[derive(Debug, Default)]
pub struct Samples {
    by_proxy: Option<HashMap<String, Sample>>,
    polls: Polls,
}

impl Samples {
    /// The use since the last sample. The first sample has none: when it was is unknown. A proxy that was restarted or is
    /// gone counts as a request, unless its last counters were read while it was terminating.
    pub fn add(&mut self, counters: &CountersByProxy, policy: &IdlePolicy, now: Instant) -> Option<Usage> {
        let sample = |read: &ProxyCounters| Sample { counters: read.counters, at: now, last: read.last };
        let new = counters.iter().map(|read| (read.proxy.clone(), sample(read))).collect();
        let before = self.by_proxy.replace(new)?;
        let missing = |proxy: &String| counters.iter().all(|read| read.proxy != *proxy);
        let gone = before.iter().any(|(proxy, sample)| !sample.last && missing(proxy));
        let served = |read: &ProxyCounters| {
            let earlier = before.get(&read.proxy).map(|earlier| (earlier.counters, now - earlier.at));
            served(earlier, read.counters, policy)
        };
        let all: Vec<Served> = counters.iter().map(served).collect();
        let requests = all.iter().map(|served| served.requests).fold(0, u64::saturating_add);
        let requested = self.polls.exceed(requests, policy.requests_per_minute, now);
        if gone || requested || all.iter().any(|served| served.restarted) {
            return Some(Usage::Request);
        }
        all.iter().any(|served| served.traffic).then_some(Usage::Traffic)
    }
}
