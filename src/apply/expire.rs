//! Deletes a unit whose time after its end is over.

use kube::{
    Api, Resource,
    api::{DeleteParams, Preconditions},
};

use super::{Target, express};
use crate::{
    api::ComputingUnit,
    error::{Error, Result, not_found},
    metrics::{Resource as Label, Verb},
};

impl Target<'_> {
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
