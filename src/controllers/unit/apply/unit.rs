//! Writes to the unit itself: its finalizer, its operating mode at a time of its schedule, and its deletion after its TTL.

use std::sync::Arc;

use computing_unit_api::names::{FINALIZER, SCHEDULE};
use kube::ResourceExt;
use serde_json::json;

use super::Target;
use crate::{
    controllers::unit::{
        assess::{Ttl, schedule::Due},
        schedule_mark,
        status::events,
    },
    k8s::{
        error::{Error, Result, not_found},
        writer::Precondition,
    },
    metrics::Resource as Label,
    schedule::Change,
};

impl Target<'_> {
    /// Adds or removes the finalizer. The version in the patch keeps the finalizers of others. Returns whether the unit
    /// exists.
    pub(super) async fn set_finalizer(&self, present: bool) -> Result<bool> {
        let unit = &self.snapshot.unit;
        let others = unit.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).cloned();
        let finalizers: Vec<String> = others.chain(present.then(|| FINALIZER.to_owned())).collect();
        let patch = json!({"metadata": {"finalizers": finalizers}});
        match self.context.writer.merge_exact(Label::ComputingUnits, unit.as_ref(), patch).await {
            // It went with its last finalizer. The response has the version of before.
            Ok(unit) if unit.metadata.deletion_timestamp.is_some() && unit.finalizers().is_empty() => {
                self.context.overlays.units.gone(&unit);
                Ok(true)
            }
            Ok(unit) => {
                self.context.overlays.units.put(Arc::new(unit));
                Ok(true)
            }
            Err(kube::Error::Api(status)) if not_found(&status) => {
                self.context.overlays.units.gone(unit);
                Ok(false)
            }
            Err(error) => Err(Error::write("ComputingUnit", error)),
        }
    }

    /// Deletes the unit in the version of the snapshot: a unit that was edited since may be wanted again. Returns whether
    /// the unit existed.
    pub(super) async fn delete_unit(&self, ttl: Ttl) -> Result<bool> {
        let unit = self.snapshot.unit.as_ref();
        match self.context.writer.delete(Label::ComputingUnits, unit, Precondition::Version).await {
            Ok(unit) => self.context.overlays.units.put(Arc::new(unit)),
            Err(kube::Error::Api(status)) if not_found(&status) => {
                self.context.overlays.units.gone(unit);
                return Ok(false);
            }
            Err(error) => return Err(Error::write("ComputingUnit", error)),
        }
        self.publish_event(events::expired(ttl)).await;
        Ok(true)
    }

    /// Suspends or resumes the unit in the version of the snapshot: a person who does so at the same time comes first.
    /// Returns whether the unit exists.
    pub(super) async fn follow_schedule(&self, due: Due) -> Result<bool> {
        let unit = self.snapshot.unit.as_ref();
        let mode = match due.change {
            Change::Suspend => "Suspended",
            Change::Resume => "Running",
        };
        let patch = json!({
            "metadata": {"annotations": {SCHEDULE: schedule_mark::of_next_generation(unit, due.at)}},
            "spec": {"operatingMode": mode},
        });
        match self.context.writer.merge_exact(Label::ComputingUnits, unit, patch).await {
            Ok(unit) => self.context.overlays.units.put(Arc::new(unit)),
            Err(kube::Error::Api(status)) if not_found(&status) => {
                self.context.overlays.units.gone(unit);
                return Ok(false);
            }
            Err(error) => return Err(Error::write("ComputingUnit", error)),
        }
        self.publish_event(events::scheduled(due)).await;
        Ok(true)
    }
}
