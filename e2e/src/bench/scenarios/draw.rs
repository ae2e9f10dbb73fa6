//! Draws scenarios from a seed.
//!
//! Pure. A batch of units shares the proxies, the operator and the fault. Times are in seconds.

use std::fmt;

use fastrand::Rng;

/// What is done with a unit. Durations and intervals are in seconds, from the beginning of the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activity {
    /// Nothing at all.
    Nothing,
    /// A cell computes in silence. No page is open.
    SilentKernel(f64),
    /// A cell computes in silence. The page stays open, also afterwards.
    WatchedKernel(f64),
    /// A cell prints. The page stays open, also afterwards.
    PrintingKernel(f64),
    /// A cell has ended. The page stays open and sends pings.
    IdlePage,
    /// A terminal prints a line each second. No page is open.
    Terminal(f64),
    /// A page polls the server, at less than the rate of the pool.
    PollingPage,
    /// So many requests, at an interval below the idle timeout.
    FrequentRequests(u32, f64),
    /// So many requests, at an interval above twice the idle timeout.
    RareRequests(u32, f64),
    /// One request that long before the fault.
    RequestBeforeFault(f64),
    /// One request that is in flight for that long, and transfers its body meanwhile.
    Upload(f64),
}

/// The signals of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signals {
    /// The statistics of the proxies.
    Gateway,
    /// The busy probes.
    Probes,
    /// Both.
    Both,
}

/// What happens to the proxies or the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Envoy is killed, and restarts in its pod.
    ProxyKilled,
    /// The pod of a proxy is deleted by force.
    ProxyLost,
    /// The pod of a proxy is deleted, and terminates in an orderly way.
    ProxyReplaced,
    /// A proxy is added.
    ProxyAdded,
    /// One of two proxies is removed, and terminates in an orderly way.
    ProxyRemoved,
    /// The operator is killed and started again.
    OperatorKilled,
    /// The leader of two operators is killed.
    LeaderKilled,
}

/// The units of one batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The idle timeout.
    pub timeout: f64,
    /// The interval between two scans.
    pub interval: u32,
    /// How many proxies the Gateway has at first.
    pub proxies: usize,
    pub fault: Fault,
    /// When the fault happens.
    pub fault_at: f64,
    pub units: Vec<(Activity, Signals)>,
}

impl Activity {
    /// A name for all scenarios of the same kind.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Nothing => "nothing at all",
            Self::SilentKernel(_) => "silent cell, no page",
            Self::WatchedKernel(_) => "silent cell, open page",
            Self::PrintingKernel(_) => "printing cell, open page",
            Self::IdlePage => "ended cell, open page with pings",
            Self::Terminal(_) => "printing terminal, no page",
            Self::PollingPage => "open page that polls",
            Self::FrequentRequests(..) => "requests more often than the timeout",
            Self::RareRequests(..) => "requests less often than the timeout",
            Self::RequestBeforeFault(_) => "one request right before the fault",
            Self::Upload(_) => "request in flight for longer than the timeout",
        }
    }

    /// Signals that detect this activity, as documented.
    const fn seen_by(self) -> &'static [Signals] {
        match self {
            Self::SilentKernel(_) | Self::WatchedKernel(_) | Self::Terminal(_) => &[Signals::Probes, Signals::Both],
            Self::FrequentRequests(..)
            | Self::RareRequests(..)
            | Self::RequestBeforeFault(_)
            | Self::Upload(_)
            | Self::PollingPage => &[Signals::Gateway, Signals::Both],
            Self::Nothing | Self::PrintingKernel(_) | Self::IdlePage => {
                &[Signals::Gateway, Signals::Probes, Signals::Both]
            }
        }
    }
}

impl Fault {
    const ALL: [Self; 8] = [
        Self::None,
        Self::ProxyKilled,
        Self::ProxyLost,
        Self::ProxyReplaced,
        Self::ProxyAdded,
        Self::ProxyRemoved,
        Self::OperatorKilled,
        Self::LeaderKilled,
    ];

    /// Whether idleness is counted from the start after it, as documented.
    pub const fn restarts_idleness(self) -> bool {
        matches!(self, Self::ProxyKilled | Self::ProxyLost | Self::OperatorKilled | Self::LeaderKilled)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no fault",
            Self::ProxyKilled => "Envoy killed, restarts in its pod",
            Self::ProxyLost => "pod of a proxy deleted by force",
            Self::ProxyReplaced => "pod of a proxy deleted",
            Self::ProxyAdded => "proxy added",
            Self::ProxyRemoved => "proxy removed",
            Self::OperatorKilled => "operator killed and restarted",
            Self::LeaderKilled => "leader of two operators killed",
        })
    }
}

/// The batch of this number, with so many units.
pub fn batch(seed: u64, number: usize, units: usize) -> Batch {
    // Faults in turns, so that each happens as often as the others.
    let mut faults = Fault::ALL;
    Rng::with_seed(seed).shuffle(&mut faults);
    let fault = faults[number % faults.len()];
    let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
    let timeout = f64::from(rng.u32(20..=25));
    let interval = [1, 2, 5][rng.usize(..3)];
    let proxies = if fault == Fault::ProxyRemoved { 2 } else { 1 + rng.usize(..2) };
    let fault_at = between(&mut rng, 5.0, timeout);
    let units = (0..units).map(|_| unit(&mut rng, timeout)).collect();
    Batch { timeout, interval, proxies, fault, fault_at, units }
}

fn unit(rng: &mut Rng, timeout: f64) -> (Activity, Signals) {
    let lasting = between(rng, 1.2 * timeout, 2.0 * timeout);
    let activity = match rng.u8(..11) {
        0 => Activity::Nothing,
        1 => Activity::SilentKernel(lasting),
        2 => Activity::WatchedKernel(lasting),
        3 => Activity::PrintingKernel(lasting),
        4 => Activity::IdlePage,
        5 => Activity::Terminal(lasting),
        6 => Activity::PollingPage,
        7 => Activity::FrequentRequests(rng.u32(2..=4), between(rng, 0.3 * timeout, 0.85 * timeout)),
        8 => Activity::RareRequests(2, between(rng, 2.2 * timeout, 2.5 * timeout)),
        9 => Activity::RequestBeforeFault(between(rng, 0.1, 2.0)),
        _ => Activity::Upload(lasting),
    };
    let signals = activity.seen_by();
    (activity, signals[rng.usize(..signals.len())])
}

fn between(rng: &mut Rng, from: f64, to: f64) -> f64 {
    rng.f64().mul_add(to - from, from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_draws_the_same_batch() {
        let text = |seed, number| format!("{:?}", batch(seed, number, 25));
        assert_eq!(text(7, 3), text(7, 3));
        assert_ne!(text(7, 3), text(7, 4));
        assert_ne!(text(7, 3), text(8, 3));
    }
}
