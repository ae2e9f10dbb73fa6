//! Announces that a unit will be stopped for being idle, and stops it.

use computing_unit_api::{IdleAction, Reason, names::IDLE};
use kube::{
    ResourceExt,
    runtime::events::{Event, EventType},
};
use serde_json::json;

use super::{context::IdleContext, idleness::Idle, mark, messages, tracked::TrackedUnit};
use crate::{
    controllers::events,
    k8s::{error::not_found, writer::Precondition},
    metrics::Resource as Label,
};

/// Publishes that a unit will be stopped soon.
pub async fn announce(context: &IdleContext, tracked: &TrackedUnit) {
    let Some(idle) = context.table.idle(tracked) else { return };
    publish(context, tracked, Reason::IdleSoon, messages::announcement(&idle, tracked.policy.action)).await;
}

/// Stops an idle unit with one write, which fails if the unit has changed since it was read.
pub async fn stop(context: &IdleContext, tracked: &TrackedUnit) {
    let Some(idle) = context.table.idle(tracked) else { return };
    let (name, action) = (tracked.unit.name_any(), tracked.policy.action);
    let written = match action {
        IdleAction::Suspend => suspend(context, tracked, &idle).await,
        IdleAction::Delete => {
            let unit = tracked.unit.as_ref();
            context.writer.delete(Label::ComputingUnits, unit, Precondition::Version).await.map(drop)
        }
    };
    match written {
        Ok(()) => {
            context.metrics.activity.stopped(action);
            context.table.forget(&tracked.uid);
            tracing::info!(unit = name, ?action, since = %idle.since, "stopped an idle unit");
            publish(context, tracked, Reason::Idle, messages::stopped(&idle, action)).await;
        }
        Err(kube::Error::Api(status)) if not_found(&status) || status.is_conflict() => {}
        Err(error) => tracing::warn!(unit = name, %error, "cannot stop an idle unit"),
    }
}

async fn suspend(context: &IdleContext, tracked: &TrackedUnit, idle: &Idle) -> kube::Result<()> {
    let unit = tracked.unit.as_ref();
    let patch = json!({
        "metadata": {"annotations": {IDLE: mark::of_next_generation(unit, idle.since)}},
        "spec": {"operatingMode": "Suspended"},
    });
    let suspended = context.writer.merge_exact(Label::ComputingUnits, unit, patch).await?;
    context.overlays.units.put(suspended.into());
    Ok(())
}

async fn publish(context: &IdleContext, tracked: &TrackedUnit, reason: Reason, note: String) {
    let event = Event {
        type_: EventType::Normal,
        reason: reason.to_string(),
        note: Some(note),
        action: "Idle".to_owned(),
        secondary: None,
    };
    events::publish(&context.recorder, tracked.unit.as_ref(), event).await;
}
