//! Stops a unit that is idle: one write, to the very state of the unit that was judged.

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;

use super::{
    stopped::{self, Idle},
    watched::Watched,
};
use crate::{
    api::{ComputingUnit, IdleAction},
    context::Context,
    error::not_found,
    metrics::{Resource as Label, Verb},
    names::{FIELD_MANAGER, IDLE},
    status::publish,
};

/// Tells that a unit is stopped soon.
pub async fn tell_soon(context: &Context, watched: &Watched) {
    let Some(idle) = context.activity.idle(watched) else { return };
    publish::idle(context, &watched.unit, "IdleSoon", idle.warning(watched.terms.action)).await;
}

/// Stops a unit. What fails is tried again at the next look; what was changed meanwhile is judged anew then.
pub async fn stop(context: &Context, watched: &Watched) {
    let Some(idle) = context.activity.idle(watched) else { return };
    let name = watched.unit.name_any();
    let api: Api<ComputingUnit> =
        Api::namespaced(context.client.clone(), &watched.unit.namespace().unwrap_or_default());
    let written = match watched.terms.action {
        IdleAction::Suspend => suspend(context, &api, watched, &idle).await,
        IdleAction::Delete => delete(context, &api, watched).await,
    };
    match written {
        Ok(()) => {
            context.metrics.activity.stopped(watched.terms.action);
            context.activity.forget(&watched.uid);
            tracing::info!(unit = name, action = ?watched.terms.action, since = %idle.since, "idle");
            publish::idle(context, &watched.unit, "Idle", idle.notice(watched.terms.action)).await;
        }
        Err(kube::Error::Api(status)) if not_found(&status) || status.is_conflict() => {}
        Err(error) => tracing::warn!(unit = name, %error, "cannot stop an idle unit"),
    }
}

async fn suspend(context: &Context, api: &Api<ComputingUnit>, watched: &Watched, idle: &Idle) -> kube::Result<()> {
    let unit = &watched.unit;
    let patch = Patch::Merge(json!({
        "metadata": {
            "uid": unit.uid(),
            "resourceVersion": unit.resource_version(),
            "annotations": {IDLE: stopped::mark(unit, idle)},
        },
        "spec": {"operatingMode": "Suspended"},
    }));
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let name = unit.name_any();
    let suspended = context.write(Verb::Patch, Label::ComputingUnits, api.patch(&name, &params, &patch)).await?;
    context.written.units.put(suspended.into());
    Ok(())
}

async fn delete(context: &Context, api: &Api<ComputingUnit>, watched: &Watched) -> kube::Result<()> {
    let unit = &watched.unit;
    let preconditions = Preconditions { uid: unit.uid(), resource_version: unit.resource_version() };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let name = unit.name_any();
    context.write(Verb::Delete, Label::ComputingUnits, api.delete(&name, &params)).await.map(drop)
}
