//! Metrics of the activator.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{
    Labels,
    labels::{ActivatorOutcome, WakeOutcome},
};

/// Metrics of the activator.
#[derive(Debug, Default)]
pub struct ActivatorMetrics {
    requests: Family<Labels<1>, Counter>,
    wakes: Family<Labels<1>, Counter>,
    held: Gauge,
}

impl ActivatorMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register("activator_requests", "Requests for units without a route, by outcome", self.requests.clone());
        to.register("activator_wakes", "Units started by a request, by outcome of the write", self.wakes.clone());
        to.register("activator_held_requests", "Requests held until their unit is reachable", self.held.clone());
        for outcome in ActivatorOutcome::ALL {
            let _ = self.requests.get_or_create(&[("outcome", outcome.as_str())]);
        }
    }

    /// A request was answered.
    pub fn answered(&self, outcome: ActivatorOutcome) {
        self.requests.get_or_create(&[("outcome", outcome.as_str())]).inc();
    }

    /// A request started a unit, or failed to.
    pub fn woke(&self, outcome: WakeOutcome) {
        self.wakes.get_or_create(&[("outcome", outcome.as_str())]).inc();
    }

    /// A request is held until the returned value is dropped.
    #[must_use]
    pub fn holds(&self) -> Holding<'_> {
        self.held.inc();
        Holding(&self.held)
    }
}

/// A held request.
#[derive(Debug)]
pub struct Holding<'a>(&'a Gauge);

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
