//! What the entries of pools answered.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{
    Labels,
    labels::{EntryOutcome, WakeOutcome},
};

/// Counts of the entries.
#[derive(Debug, Default)]
pub struct EntryMetrics {
    requests: Family<Labels<1>, Counter>,
    wakes: Family<Labels<1>, Counter>,
    held: Gauge,
}

impl EntryMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register("entry_requests", "Requests for units without a route, by what they met", self.requests.clone());
        to.register("entry_wakes", "Units that requests started, by how the write ended", self.wakes.clone());
        to.register("entry_held_requests", "Requests that are held until their unit is reachable", self.held.clone());
        for outcome in EntryOutcome::ALL {
            let _ = self.requests.get_or_create(&[("outcome", outcome.as_str())]);
        }
    }

    /// A request was answered.
    pub fn answered(&self, outcome: EntryOutcome) {
        self.requests.get_or_create(&[("outcome", outcome.as_str())]).inc();
    }

    /// A unit was started by a request, or could not be.
    pub fn woke(&self, outcome: WakeOutcome) {
        self.wakes.get_or_create(&[("outcome", outcome.as_str())]).inc();
    }

    /// A request is held, until what is returned is dropped.
    #[must_use]
    pub fn holds(&self) -> Holding<'_> {
        self.held.inc();
        Holding(&self.held)
    }
}

/// A request that is held.
#[derive(Debug)]
pub struct Holding<'a>(&'a Gauge);

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
