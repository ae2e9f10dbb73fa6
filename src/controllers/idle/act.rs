//! Stops idle units, and announces it.

use computing_unit_api::{IdleAction, Reason, names::IDLE};
use kube::{
    ResourceExt,
    runtime::events::{Event, EventType},
};
use serde_json::json;

use super::{
    context::IdleContext,
    stopped::{self, Idle},
    watched::Watched,
};
use crate::{
    controllers::events,
    k8s::{error::not_found, writer::Precondition},
    metrics::Resource as Label,
};

/// Publishes that a unit will be stopped soon.
pub async fn announce(context: &IdleContext, watched: &Watched) {
    let Some(idle) = context.table.idle(watched) else { return };
    publish(context, watched, Reason::IdleSoon, idle.warning(watched.terms.action)).await;
}

/// Stops a unit that is idle: one write, which fails if the unit has changed since it was read.
pub async fn stop(context: &IdleContext, watched: &Watched) {
    let Some(idle) = context.table.idle(watched) else { return };
    let name = watched.unit.name_any();
    let written = match watched.terms.action {
        IdleAction::Suspend => suspend(context, watched, &idle).await,
        IdleAction::Delete => {
            let unit = watched.unit.as_ref();
            context.writer.delete(Label::ComputingUnits, unit, Precondition::Version).await.map(drop)
        }
    };
    match written {
        Ok(()) => {
            context.metrics.activity.stopped(watched.terms.action);
            context.table.forget(&watched.uid);
            tracing::info!(unit = name, action = ?watched.terms.action, since = %idle.since, "stopped an idle unit");
            publish(context, watched, Reason::Idle, idle.notice(watched.terms.action)).await;
        }
        Err(kube::Error::Api(status)) if not_found(&status) || status.is_conflict() => {}
        Err(error) => tracing::warn!(unit = name, %error, "cannot stop an idle unit"),
    }
}

async fn suspend(context: &IdleContext, watched: &Watched, idle: &Idle) -> kube::Result<()> {
    let unit = watched.unit.as_ref();
    let patch = json!({
        "metadata": {"annotations": {IDLE: stopped::mark(unit, idle)}},
        "spec": {"operatingMode": "Suspended"},
    });
    let suspended = context.writer.merge_exact(Label::ComputingUnits, unit, patch).await?;
    context.overlays.units.put(suspended.into());
    Ok(())
}

async fn publish(context: &IdleContext, watched: &Watched, reason: Reason, note: String) {
    let event = Event {
        type_: EventType::Normal,
        reason: reason.to_string(),
        note: Some(note),
        action: "Idle".to_owned(),
        secondary: None,
    };
    events::publish(&context.recorder, watched.unit.as_ref(), event).await;
}
