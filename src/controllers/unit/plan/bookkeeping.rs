//! Steps that change the operator's own memory of a unit, and those that publish its status.

use computing_unit_api::{ComputingUnitStatus, Reason};

use super::Step;
use crate::{
    controllers::unit::{
        assess::{Assessment, update::Replacement},
        blocked::Write,
        build::Wanted,
        context::STATUS_DELAY,
        rollout::Slot,
        snapshot::{Child, Snapshot},
        status::Urgency,
    },
    routing::keys::{Holder, Reservation},
};

/// Steps on the operator's memory.
pub(super) fn steps(snapshot: &Snapshot, wanted: &Wanted, assessment: &Assessment) -> Vec<Step> {
    let activity = (assessment.at_rest && snapshot.activity.known).then_some(Step::ForgetActivity);
    let blocked = unwanted_blocked(snapshot, assessment);
    [key(snapshot, wanted), requested_slot(snapshot, assessment), probe(snapshot, assessment), activity, blocked]
        .into_iter()
        .flatten()
        .collect()
}

/// The blocked writes of children that a unit at rest does not have and does not want.
fn unwanted_blocked(snapshot: &Snapshot, assessment: &Assessment) -> Option<Step> {
    let unwanted = [
        (Write::Pod, snapshot.pod.is_absent()),
        (Write::HTTPRoute, snapshot.route.is_absent()),
        (Write::PersistentVolumeClaim, snapshot.pvcs.values().any(Child::is_absent)),
        (Write::Resize, snapshot.pod.owned().is_none()),
        (Write::DryRun, true),
    ];
    let unwanted = unwanted.into_iter().filter(|(write, absent)| *absent && snapshot.blocked.find(*write).is_some());
    let writes: Vec<_> = unwanted.map(|(write, _)| write).collect();
    (assessment.at_rest && !writes.is_empty()).then_some(Step::ForgetBlocked(writes))
}

/// A key is requested once everything else about the unit is accepted. A unit that is rejected for another reason has
/// no key, and leaves the queue.
fn key(snapshot: &Snapshot, wanted: &Wanted) -> Option<Step> {
    if snapshot.terminating() {
        return None;
    }
    let reservation = snapshot.key.as_ref();
    let eligible = match wanted {
        Ok(_) => true,
        // A unit of another namespace queues only to learn of the release: it does not take over the key.
        Err(rejection) => match rejection.reason {
            Reason::KeyConflict => true,
            Reason::KeyConflictInOtherNamespace => {
                reservation.is_some_and(|reservation| reservation.holder == Holder::OtherNamespace)
            }
            _ => false,
        },
    };
    let own = reservation.filter(|_| eligible);
    if let Some(Reservation { key, requested: false, .. }) = own {
        return Some(Step::RequestKey(key.clone()));
    }
    let kept = own.map(|reservation| &reservation.key);
    let superfluous = snapshot.has_other_keys || reservation.is_some_and(|own| own.requested && kept.is_none());
    // A restarted operator restores what the status records, and an exposed unit keeps its key.
    let recorded = snapshot.held_key().is_some_and(|held| Some(&held) != kept);
    (superfluous && !recorded && !snapshot.may_be_exposed()).then(|| Step::ReleaseKeys { kept: kept.cloned() })
}

fn requested_slot(snapshot: &Snapshot, assessment: &Assessment) -> Option<Step> {
    let requested = assessment.update.replacement == Replacement::Queued
        && matches!(snapshot.slot, Slot::NotRequested | Slot::Queued { free: true });
    requested.then_some(Step::RequestSlot)
}

/// Releases the rollout slot of a unit that needs none any more, or leaves the queue. Planned once the status is published:
/// otherwise the next unit could be reported as being replaced before this one is reported as Ready.
pub(super) fn released_slot(
    snapshot: &Snapshot,
    assessment: &Assessment,
    status: &ComputingUnitStatus,
) -> Option<Step> {
    let unneeded = match snapshot.slot {
        Slot::NotRequested => false,
        Slot::Queued { .. } => assessment.update.replacement != Replacement::Queued,
        Slot::Granted => !status.rollout_slot,
    };
    unneeded.then_some(Step::ReleaseSlot)
}

fn probe(snapshot: &Snapshot, assessment: &Assessment) -> Option<Step> {
    match (&assessment.probe, &assessment.progress, &snapshot.probe) {
        (Some((goal, target)), None, _) => Some(Step::StartProbe(*goal, Box::new(target.clone()))),
        (None, _, Some(_)) => Some(Step::StopProbe),
        _ => None,
    }
}

/// Publishes the status when it is due.
pub(super) fn status_steps(snapshot: &Snapshot, urgency: Urgency, status: &ComputingUnitStatus) -> Vec<Step> {
    let publish = || vec![Step::PublishStatus(Box::new(status.clone()))];
    let blocked = snapshot.blocked.blocks(Write::Status);
    match (urgency, snapshot.status_held) {
        (Urgency::Now | Urgency::Later, Some(_)) | (Urgency::Now, None) if blocked => vec![],
        (Urgency::Now, _) => publish(),
        (Urgency::Later, None) => vec![Step::HoldStatus],
        (Urgency::Later, Some(held)) if held >= STATUS_DELAY => publish(),
        (Urgency::Never, Some(_)) => vec![Step::ReleaseStatus],
        (Urgency::Later, Some(_)) | (Urgency::Never, None) => vec![],
    }
}
