//! Removes the operator's finalizer by the metadata of a unit alone.

use computing_unit_api::{
    ComputingUnit,
    names::{FIELD_MANAGER, FINALIZER},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ObjectMeta, PartialObjectMeta, PartialObjectMetaExt, Patch, PatchParams},
};

use super::error::not_found;

/// Removes the finalizer from a unit that is being deleted and cannot be deserialized.
pub async fn remove_from_unreadable(client: &Client, metadata: ObjectMeta) -> kube::Result<()> {
    if metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER) {
        remove_from(client, metadata.into_response_partial::<ComputingUnit>()).await?;
    }
    Ok(())
}

/// Removes the finalizer from a unit. Returns false if the unit has changed since it was read.
pub async fn remove_from(client: &Client, unit: PartialObjectMeta<ComputingUnit>) -> kube::Result<bool> {
    let others: Vec<String> = unit.finalizers().iter().filter(|f| *f != FINALIZER).cloned().collect();
    let patch =
        ObjectMeta { finalizers: Some(others), resource_version: unit.resource_version(), ..ObjectMeta::default() }
            .into_request_partial::<ComputingUnit>();
    let api: Api<ComputingUnit> = Api::namespaced(client.clone(), &unit.namespace().unwrap_or_default());
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    match api.patch_metadata(&unit.name_any(), &params, &Patch::Merge(patch)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || not_found(&status) => Ok(false),
        Err(error) => Err(error),
    }
}
