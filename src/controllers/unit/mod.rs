//! Reconciles one `ComputingUnit`: observe, validate, build the wanted children, assess, plan, apply.
//!
//! A reconcile never waits for the cluster. A change in the cluster wakes the unit again, or the requeue does.

pub mod admissions;
pub mod apply;
pub mod assess;
pub mod blocked;
pub mod build;
pub mod context;
pub mod dry_runs;
pub mod engine;
pub mod observe;
pub mod plan;
pub mod pod;
pub mod pod_events;
pub mod requeue;
pub mod rollout;
pub mod schedule_mark;
pub mod snapshot;
pub mod status;
mod unlisted;
pub mod validate;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use computing_unit_api::ComputingUnit;
use k8s_openapi::jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use tokio::time::{Instant, timeout};

use self::{
    apply::apply,
    assess::{Assessment, assess},
    context::UnitContext,
    observe::observe,
    plan::{Step, plan},
    snapshot::Snapshot,
    status::status,
};
use crate::{
    k8s::error::{Error, Result},
    metrics::Outcome,
};

/// How long one reconcile may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How many plans may follow each other in one reconcile. A start takes six.
const MAX_ROUNDS: usize = 16;

/// Reconciles one unit.
///
/// # Errors
/// If something failed that is worth a retry.
pub async fn reconcile(unit: Arc<ComputingUnit>, context: Arc<UnitContext>) -> Result<Action> {
    if !context.synced(&unit) {
        return unlisted::reconcile(unit, &context).await;
    }
    let began = Instant::now();
    let result = timeout(TIMEOUT, converge(&unit, &context)).await.unwrap_or(Err(Error::Timeout(TIMEOUT)));
    context.metrics.reconciled(result.as_ref().err().map_or(Outcome::Success, Error::outcome), began.elapsed());
    if !context.exists(&unit) {
        // It was deleted meanwhile, possibly before this reconcile recorded something of it.
        context.forget(&unit, &unit.uid().unwrap_or_default());
    } else if result.is_ok() {
        context.backoff.succeeded(&ObjectRef::from_obj(unit.as_ref()));
    }
    result
}

/// When to retry after an error.
pub fn error_policy(unit: Arc<ComputingUnit>, error: &Error, context: Arc<UnitContext>) -> Action {
    let delay = context.backoff.failed(ObjectRef::from_obj(unit.as_ref()));
    // After a conflict the change of somebody else is on its way to the cache.
    Action::requeue(if error.outcome() == Outcome::Conflict { delay / 4 } else { delay })
}

async fn converge(unit: &ComputingUnit, context: &UnitContext) -> Result<Action> {
    let (mut pod_created, mut absence_confirmed) = (false, false);
    for _ in 0..MAX_ROUNDS {
        let Some(mut snapshot) = observe(unit, context, pod_created, Timestamp::now()) else {
            return Ok(Action::await_change());
        };
        snapshot.absence_confirmed = absence_confirmed;
        let (assessment, steps) = decide(&snapshot);
        if steps.is_empty() {
            return Ok(requeue::after(&snapshot, &assessment, context.resync));
        }
        tracing::debug!(steps = ?steps.iter().map(Step::name).collect::<Vec<_>>(), "planned");
        let applied = apply(context, &snapshot, steps).await?;
        if applied.unit_gone() {
            return Ok(Action::await_change());
        }
        pod_created = applied.pod_created(pod_created);
        absence_confirmed |= applied.absence_confirmed();
    }
    Err(Error::NotConverged { rounds: MAX_ROUNDS })
}

/// What the snapshot means, and what is to be done. Pure.
fn decide(snapshot: &Snapshot) -> (Assessment, Vec<Step>) {
    let wanted = validate::of(snapshot).map(|unit| build::children(&unit));
    let assessment = assess(snapshot, &wanted);
    let status = status(snapshot, &wanted, &assessment);
    let steps = plan(snapshot, &wanted, &assessment, &status);
    (assessment, steps)
}
