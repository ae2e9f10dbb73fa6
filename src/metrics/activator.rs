//! Metrics of the activator.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{
    Counted, Labels,
    labels::{ActivatorOutcome, NotStarted, WakeOutcome},
};

#[derive(Debug, Default)]
pub struct ActivatorMetrics {
    requests: Family<Labels<1>, Counter>,
    wakes: Family<Labels<1>, Counter>,
    not_started: Family<Labels<1>, Counter>,
    held: Gauge,
}

impl ActivatorMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        let help = "Total number of requests that the activator answered, by outcome";
        to.register("activator_requests", help, self.requests.clone());
        let help = "Total number of attempts to start a suspended unit because of a request, by outcome";
        to.register("activator_wakes", help, self.wakes.clone());
        let help = "Total number of requests that did not start their suspended unit, by reason";
        to.register("activator_not_started", help, self.not_started.clone());
        let help = "Number of requests that are held until their unit is reachable";
        to.register("activator_held_requests", help, self.held.clone());
        for outcome in ActivatorOutcome::ALL {
            let _ = self.requests.get_or_create(&[("outcome", outcome.as_str())]);
        }
        for reason in NotStarted::ALL {
            let _ = self.not_started.get_or_create(&[("reason", reason.as_str())]);
        }
    }

    pub fn answered(&self, outcome: ActivatorOutcome) {
        self.requests.get_or_create(&[("outcome", outcome.as_str())]).inc();
    }

    /// A request started a unit, or failed to.
    pub fn woke(&self, outcome: WakeOutcome) {
        self.wakes.get_or_create(&[("outcome", outcome.as_str())]).inc();
    }

    /// A request did not start its unit, which is suspended.
    pub fn did_not_start(&self, reason: NotStarted) {
        self.not_started.get_or_create(&[("reason", reason.as_str())]).inc();
    }

    /// Counts a request as held until the returned guard is dropped.
    #[must_use = "dropping the guard ends the count"]
    pub fn holds(&self) -> Counted<'_> {
        Counted::one(&self.held)
    }
}
