//! Metrics of the idle controller.

use computing_unit_api::IdleAction;
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{
    Labels,
    labels::{Signal, Unread},
};

/// Metrics of the idle controller.
#[derive(Debug, Default)]
pub struct ActivityMetrics {
    scans: Counter,
    unread: Family<Labels<2>, Counter>,
    stopped: Family<Labels<1>, Counter>,
}

impl ActivityMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register("activity_scans", "Scans of the activity of a Gateway's units", self.scans.clone());
        let help = "Activity signals that could not be read, by signal and reason";
        to.register("activity_unreadable", help, self.unread.clone());
        to.register("idle_units_stopped", "Units stopped because they were idle, by action", self.stopped.clone());
        for action in [IdleAction::Suspend, IdleAction::Delete] {
            let _ = self.stopped.get_or_create(&[("action", word(action))]);
        }
    }

    /// The units of a Gateway were scanned.
    pub fn scanned(&self) {
        self.scans.inc();
    }

    /// A signal could not be read.
    pub fn unread(&self, signal: Signal, reason: Unread) {
        self.unread.get_or_create(&[("signal", signal.as_str()), ("reason", reason.as_str())]).inc();
    }

    /// A unit was stopped.
    pub fn stopped(&self, action: IdleAction) {
        self.stopped.get_or_create(&[("action", word(action))]).inc();
    }
}

const fn word(action: IdleAction) -> &'static str {
    match action {
        IdleAction::Suspend => "suspend",
        IdleAction::Delete => "delete",
    }
}
