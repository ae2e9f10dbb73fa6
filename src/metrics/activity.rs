//! Metrics of the idle controller.

use computing_unit_api::IdleAction;
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{
    Labels,
    labels::{Signal, UnreadableReason},
};

#[derive(Debug, Default)]
pub struct ActivityMetrics {
    scans: Counter,
    unreadable: Family<Labels<2>, Counter>,
    stopped: Family<Labels<1>, Counter>,
}

impl ActivityMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        let help = "Total number of scans of the activity of a Gateway's units";
        to.register("activity_scans", help, self.scans.clone());
        let help = "Total number of activity signals that could not be read, by signal and reason";
        to.register("activity_unreadable", help, self.unreadable.clone());
        let help = "Total number of units stopped because they were idle, by action";
        to.register("idle_units_stopped", help, self.stopped.clone());
        for action in [IdleAction::Suspend, IdleAction::Delete] {
            let _ = self.stopped.get_or_create(&[("action", label(action))]);
        }
    }

    pub fn scanned(&self) {
        self.scans.inc();
    }

    pub fn unreadable(&self, signal: Signal, reason: UnreadableReason) {
        self.unreadable.get_or_create(&[("signal", signal.as_str()), ("reason", reason.as_str())]).inc();
    }

    pub fn stopped(&self, action: IdleAction) {
        self.stopped.get_or_create(&[("action", label(action))]).inc();
    }
}

const fn label(action: IdleAction) -> &'static str {
    match action {
        IdleAction::Suspend => "suspend",
        IdleAction::Delete => "delete",
    }
}
