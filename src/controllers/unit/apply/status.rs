//! Publishes the status of the unit, and Events for its transitions.

use std::{sync::Arc, time::Duration};

use computing_unit_api::{ComputingUnitStatus, Phase};
use kube::runtime::events::Event;

use super::{Target, expendable};
use crate::{
    controllers::unit::{blocked::Write, status::events},
    k8s::error::{Result, not_found},
    metrics::Resource as Label,
};

impl Target<'_> {
    /// Returns whether the unit exists.
    pub(super) async fn publish_status(&self, new: &ComputingUnitStatus) -> Result<bool> {
        let unit = &self.snapshot.unit;
        let old = unit.status.as_ref();
        let deleted = self.snapshot.terminating();
        let written = self.context.writer.apply_status(Label::ComputingUnitsStatus, unit.as_ref(), new);
        match expendable::limited(deleted, written).await {
            Ok(written) => {
                self.context.blocked.clear(&self.uid, Write::Status);
                self.context.held_statuses.release(&self.uid);
                self.context.overlays.units.put(Arc::new(written));
            }
            // The unit is gone.
            Err(kube::Error::Api(status)) if not_found(&status) => {
                self.context.overlays.units.gone(unit);
                return Ok(false);
            }
            // The unit goes on without its status. A deleted one does not retry it.
            Err(error) if deleted => return Err(self.not_written(Write::Status, None, error)),
            Err(error) => return Err(self.unwritten(Write::Status, None, error)),
        }
        if let Some(took) = start_duration(old, new) {
            self.context.metrics.became_reachable(took);
        }
        for event in events::of_change(old, new) {
            self.publish_event(event).await;
        }
        Ok(true)
    }

    pub(super) async fn publish_event(&self, event: Event) {
        crate::controllers::events::publish(&self.context.recorder, self.snapshot.unit.as_ref(), event).await;
    }
}

/// The time from the pod being Ready to the unit being reachable, if that has just ended.
fn start_duration(old: Option<&ComputingUnitStatus>, new: &ComputingUnitStatus) -> Option<Duration> {
    if new.phase != Some(Phase::Ready) || old?.stages.reachable.is_some() {
        return None;
    }
    let (ready, reachable) = (new.stages.pod_ready.as_ref()?, new.stages.reachable.as_ref()?);
    Duration::try_from(reachable.0.duration_since(ready.0)).ok()
}
