//! Which units are to have no pod, and since when they are being closed.

use k8s_openapi::jiff::Timestamp;

use super::{Life, condition, life};
use crate::{observed::Observed, status::types};

impl Observed {
    /// Whether the unit is to have no pod, because it is suspended or finished.
    #[must_use]
    pub fn resting(&self) -> bool {
        self.suspended() || matches!(life(self), Life::Finished(_))
    }

    /// Since when the unit is being closed: to end, to rest, or to be given another pod.
    #[must_use]
    pub fn closing_since(&self) -> Option<Timestamp> {
        if let Some(deleted) = &self.unit.metadata.deletion_timestamp {
            return Some(deleted.0);
        }
        let (type_, status) = match life(self) {
            _ if self.suspended() => (types::SUSPENDED, "False"),
            Life::Finished(_) => (types::FINISHED, "True"),
            _ => (types::REPLACING, "True"),
        };
        let said = condition(self, type_).filter(|said| said.status == status)?;
        Some(said.last_transition_time.0)
    }
}
