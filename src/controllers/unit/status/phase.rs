//! The phase: a summary of the conditions for people.

use computing_unit_api::{ConditionType, Phase, Reason, Stages};

use super::Facts;
use crate::controllers::{condition::Draft, unit::pod};

/// Reasons for which the pod has no node yet.
const UNSCHEDULED: [Reason; 3] = [Reason::SchedulingGated, Reason::Unschedulable, Reason::VolumePending];

pub(super) fn phase(facts: Facts<'_>, conditions: &[Draft], stages: &Stages) -> Phase {
    let find = |type_| conditions.iter().find(|draft| draft.type_ == type_);
    let snapshot = facts.snapshot;
    if snapshot.terminating() {
        return Phase::Terminating;
    }
    if let Some(finish) = &facts.assessment.history.finish {
        return if finish.reason.is_failure() {
            Phase::Failed
        } else if !finish.reason.is_time_limit() || snapshot.stopped() {
            Phase::Finished
        } else {
            Phase::Suspending
        };
    }
    if snapshot.suspended() {
        return if snapshot.stopped() { Phase::Suspended } else { Phase::Suspending };
    }
    let Some(pod) = snapshot.pod.owned() else { return Phase::Pending };
    if find(ConditionType::Replacing).is_some() {
        return Phase::Starting;
    }
    let unscheduled =
        find(ConditionType::PodReady).is_some_and(|draft| UNSCHEDULED.iter().any(|reason| draft.reason == *reason));
    if pod::terminated(pod) {
        Phase::Pending
    } else if find(ConditionType::Ready).is_some_and(Draft::holds) {
        Phase::Ready
    } else if stages.reachable.is_some() {
        Phase::NotReady
    } else if unscheduled {
        Phase::Pending
    } else {
        Phase::Starting
    }
}
