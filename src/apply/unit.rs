//! Writes to the unit itself: its finalizer, and its deletion once it was finished for long enough.

use std::sync::Arc;

use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;

use super::{Target, express};
use crate::{
    api::ComputingUnit,
    error::{Error, Result, not_found},
    metrics::{Resource as Label, Verb},
    names::{FIELD_MANAGER, FINALIZER},
};

impl Target<'_> {
    /// Puts the finalizer on the unit, or takes it off.
    pub(super) async fn finalizers(&self, present: bool) -> Result<()> {
        let mut finalizers: Vec<String> =
            self.unit.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
        if present {
            finalizers.push(FINALIZER.to_owned());
        }
        // The version makes sure that nobody's finalizer is lost, the UID that no later unit is meant.
        let patch = json!({"metadata": {
            "finalizers": finalizers, "resourceVersion": self.unit.resource_version(), "uid": self.uid,
        }});
        let api: Api<ComputingUnit> = Api::namespaced(self.context.client.clone(), &self.namespace);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(patch);
        match self.context.write(Verb::Patch, Label::ComputingUnits, api.patch(&self.name, &params, &patch)).await {
            Ok(unit) => {
                self.context.written.units.put(Arc::new(unit));
                Ok(())
            }
            Err(kube::Error::Api(status)) if not_found(&status) => Ok(()),
            Err(error) => Err(Error::write("ComputingUnit", error)),
        }
    }

    /// Deletes the unit in the very state that was seen: one that was edited meanwhile may be wanted again.
    pub(super) async fn expire(&self) -> Result<()> {
        let api: Api<ComputingUnit> = Api::namespaced(self.context.client.clone(), &self.namespace);
        let meta = self.unit.meta();
        let preconditions = Preconditions { uid: meta.uid.clone(), resource_version: meta.resource_version.clone() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.context.write(Verb::Delete, Label::ComputingUnits, api.delete(&self.name, &params)).await {
            Ok(answer) => {
                let unit = answer.left().unwrap_or_else(|| express::leaving(self.unit.clone()));
                self.context.written.units.put(unit.into());
                Ok(())
            }
            Err(kube::Error::Api(status)) if not_found(&status) => Ok(()),
            Err(error) => Err(Error::write("ComputingUnit", error)),
        }
    }
}
