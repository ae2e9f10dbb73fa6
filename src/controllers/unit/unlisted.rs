//! Units whose namespace, or whose Gateway's namespace, cannot be listed. They are left alone: nothing is known of their
//! children. Listing the namespace wakes them.
//!
//! Only the finalizer of a deleted unit is removed, at the deadline of a withdrawal: a namespace may be in deletion, and the
//! operator's Role in it deleted already.

use std::{sync::Arc, time::Duration};

use computing_unit_api::ComputingUnit;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use tokio::time::Instant;

use super::{
    apply::apply,
    assess::{state::UnitState, withdrawal},
    context::UnitContext,
    plan::Step,
    snapshot::Snapshot,
};
use crate::k8s::error::Result;

pub(super) async fn reconcile(unit: Arc<ComputingUnit>, context: &UnitContext) -> Result<Action> {
    let pool = context.caches.pool_of(&unit);
    let snapshot = Snapshot { pool, ..Snapshot::alone(unit, Timestamp::now()) };
    if !snapshot.terminating() || !snapshot.has_finalizer() {
        return Ok(Action::await_change());
    }
    let deadline = withdrawal::deadlines(&snapshot, &UnitState::Terminating).overdue.unwrap_or(snapshot.now);
    let left = Duration::try_from(deadline.duration_since(snapshot.now)).unwrap_or_default();
    // The namespace may be listed in a moment, if the operator has just started.
    let left = left.max(context.caches.grace().saturating_duration_since(Instant::now()));
    if !left.is_zero() {
        return Ok(Action::requeue(left));
    }
    apply(context, &snapshot, vec![Step::RemoveFinalizer { overdue: true }]).await?;
    Ok(Action::await_change())
}
