//! Plans the next steps of a unit as data. An empty plan means that nothing is to be done until something changes.
//!
//! Pure. Steps of one plan are independent of each other: what depends on a step is planned in the next round.

mod absence;
mod bookkeeping;
mod expose;
mod pod;
mod pvc;
mod step;
mod withdraw;

use computing_unit_api::ComputingUnitStatus;

pub use step::Step;

use super::{
    assess::{
        Assessment,
        state::{Transition, UnitState},
        update::being_replaced,
    },
    blocked::Write,
    build::{Children, Wanted},
    snapshot::{Child, Snapshot},
    status::{Urgency, urgency},
};

/// The steps to take now.
///
/// Steps that only change the operator's own memory come first, in a plan of their own. A transition is recorded in the
/// status before it is acted upon, unless the API server does not accept the status. Everything else that the status
/// reports follows once the cluster is as it should be, and then the release of the rollout slot.
pub fn plan(snapshot: &Snapshot, wanted: &Wanted, assessment: &Assessment, status: &ComputingUnitStatus) -> Vec<Step> {
    // Nothing else depends on what the pod is replaced for before it is known whether it can be.
    if let Some(dry_run) = pod::dry_run(snapshot, wanted, assessment) {
        return vec![dry_run];
    }
    if let Some(read) = absence::read(snapshot, assessment) {
        return vec![read];
    }
    let own = bookkeeping::steps(snapshot, wanted, assessment);
    if !own.is_empty() {
        return own;
    }
    if let Some(steps) = withdraw::completed_deletion(snapshot, assessment) {
        return steps;
    }
    let urgency = urgency(snapshot.unit.status.as_ref(), status);
    if assessment.withdrawing && urgency == Urgency::Now {
        if !snapshot.blocked.blocks(Write::Status) {
            return vec![Step::PublishStatus(Box::new(status.clone()))];
        }
        // Without the record a restarted operator would take the pod for lost.
        if assessment.replacing() && !being_replaced(&snapshot.unit) {
            return vec![];
        }
    }
    let steps = cluster_steps(snapshot, wanted, assessment);
    if !steps.is_empty() {
        return steps;
    }
    // Before the status, which reports what they say.
    if let Some(step) = pod::events(snapshot, assessment) {
        return vec![step];
    }
    // The status keeps the time until it is applied.
    if let Some(due) = assessment.scheduling.due {
        return vec![Step::FollowSchedule(due)];
    }
    let steps = bookkeeping::status_steps(snapshot, urgency, status);
    if !steps.is_empty() {
        return steps;
    }
    bookkeeping::released_slot(snapshot, assessment, status).into_iter().collect()
}

/// The steps that change the unit's children, its finalizer, or the unit itself.
fn cluster_steps(snapshot: &Snapshot, wanted: &Wanted, assessment: &Assessment) -> Vec<Step> {
    if assessment.state != UnitState::Terminating
        && let Some(ttl) = assessment.expired(snapshot.now)
    {
        return vec![Step::DeleteUnit(ttl)];
    }
    match &assessment.state {
        UnitState::Terminating => return withdraw::for_deletion(snapshot, assessment),
        _ if assessment.at_rest => return at_rest(snapshot, wanted, assessment),
        UnitState::Unrecorded(Transition::Finished(_)) => return vec![],
        _ => {}
    }
    let children = match wanted {
        Ok(children) => children,
        Err(rejection) => return withdraw::after_rejection(snapshot, rejection).into_iter().collect(),
    };
    // The finalizer protects the route. Pod and Service are garbage-collected with the unit in any case.
    let [route, pod] = if !snapshot.has_finalizer() {
        [Some(Step::AddFinalizer), pod::step(snapshot, children, assessment)]
    } else if assessment.replacing() {
        [withdraw::for_replacement(snapshot, assessment), None]
    } else {
        [expose::step(snapshot, children, assessment), pod::step(snapshot, children, assessment)]
    };
    let all = [route, service(snapshot, children, assessment), pod];
    all.into_iter().flatten().chain(pvc::steps(snapshot, children, false)).collect()
}

/// A suspended or finished unit keeps its Service and its volumes.
fn at_rest(snapshot: &Snapshot, wanted: &Wanted, assessment: &Assessment) -> Vec<Step> {
    let kept =
        |children| service(snapshot, children, assessment).into_iter().chain(pvc::steps(snapshot, children, true));
    let kept = wanted.as_ref().ok().into_iter().flat_map(kept);
    withdraw::for_rest(snapshot, assessment).into_iter().chain(kept).collect()
}

fn service(snapshot: &Snapshot, children: &Children, assessment: &Assessment) -> Option<Step> {
    match &snapshot.service {
        _ if snapshot.blocked.blocks(Write::Service) => None,
        Child::Absent => Some(Step::CreateService(Box::new(children.service.clone()))),
        Child::Owned(_) => {
            assessment.drifts.service.repair().map(|service| Step::RepairService(Box::new(service.clone())))
        }
        Child::Terminating => None,
    }
}

#[cfg(test)]
mod tests;
