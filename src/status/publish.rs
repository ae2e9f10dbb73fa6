//! Writes a status where it says something new, and tells of transitions by Events.

use std::{sync::Arc, time::Duration};

use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::Event,
};
use serde_json::json;

use super::{Facts, Urgency, events, status, urgency};
use crate::{
    api::{ComputingUnit, Phase},
    context::Context,
    error::{Error, Result, not_found},
    metrics::{Resource as Label, Verb},
    names::FIELD_MANAGER,
};

/// Writes the status if it is due. Otherwise says how long it has to wait, if it has anything to say.
///
/// # Errors
/// If the API server does not take it.
pub async fn publish(context: &Context, facts: Facts<'_>) -> Result<Option<Duration>> {
    let unit = &facts.observed.unit;
    let uid = unit.uid().unwrap_or_default();
    let new = status(facts);
    let old = unit.status.as_ref();
    let wait = match urgency(old, &new) {
        Urgency::Never => {
            context.paces.end(&uid);
            return Ok(None);
        }
        Urgency::Later => context.paces.wait(&uid),
        Urgency::Now => Duration::ZERO,
    };
    if !wait.is_zero() {
        return Ok(Some(wait));
    }
    let name = unit.name_any();
    let patch = json!({
        "apiVersion": ComputingUnit::api_version(&()),
        "kind": ComputingUnit::kind(&()),
        "metadata": {"name": name, "uid": uid},
        "status": new,
    });
    let api: Api<ComputingUnit> = Api::namespaced(context.client.clone(), &unit.namespace().unwrap_or_default());
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(patch);
    match context.write(Verb::Apply, Label::ComputingUnitsStatus, api.patch_status(&name, &params, &patch)).await {
        Ok(written) => {
            context.paces.end(&uid);
            context.written.units.put(Arc::new(written));
        }
        // It is gone, and so is whoever wanted to know.
        Err(kube::Error::Api(status)) if not_found(&status) => return Ok(None),
        Err(error) => return Err(Error::write("status of the ComputingUnit", error)),
    }
    if new.phase == Some(Phase::Ready)
        && let (Some(ready), Some(reachable)) = (&new.stages.pod_ready, &new.stages.reachable)
        && old.is_some_and(|old| old.stages.reachable.is_none())
        && let Ok(took) = Duration::try_from(reachable.0.duration_since(ready.0))
    {
        context.metrics.became_reachable(took);
    }
    tell(context, unit, events::events(old, &new)).await;
    Ok(None)
}

/// Tells that a route was given up by the deadline.
pub async fn overdue(context: &Context, unit: &ComputingUnit) {
    tell(context, unit, vec![events::overdue()]).await;
}

/// Tells that a unit is deleted for having been finished for long enough.
pub async fn expired(context: &Context, unit: &ComputingUnit) {
    tell(context, unit, vec![events::expired()]).await;
}

/// Tells that a unit is idle, by an Event of that `reason`.
pub async fn idle(context: &Context, unit: &ComputingUnit, reason: &str, note: String) {
    tell(context, unit, vec![events::idle(reason, note)]).await;
}

/// An Event that cannot be written is no reason to do anything twice.
async fn tell(context: &Context, unit: &ComputingUnit, events: Vec<Event>) {
    for event in events {
        match context.recorder.publish(&event, &unit.object_ref(&())).await {
            Ok(()) => {}
            // Its namespace is going, and everything in it.
            Err(kube::Error::Api(status)) if status.is_forbidden() && status.message.contains("being terminated") => {}
            Err(error) => tracing::warn!(%error, reason = event.reason, "cannot write an Event"),
        }
    }
}
