//! What is concluded from the absence of a child is confirmed by a read first: a cache may be behind.

use computing_unit_api::Phase;

use super::Step;
use crate::controllers::unit::{
    assess::{
        Assessment,
        state::{Transition, UnitState},
    },
    snapshot::Snapshot,
};

/// The read before a pod is called lost, a route is withdrawn, the finalizer is removed, or a unit is reported as stopped.
pub(super) fn read(snapshot: &Snapshot, assessment: &Assessment) -> Option<Step> {
    let (pod, route) = (snapshot.pod.is_absent(), snapshot.route.is_absent());
    let reported = snapshot.unit.status.as_ref().and_then(|status| status.phase);
    let lost = matches!(assessment.state, UnitState::Unrecorded(Transition::PodLost(_)))
        && pod
        && snapshot.terminating_pod.is_none();
    // A route behind which nothing seems to be is not withdrawn, and one that seems to be absent cannot be.
    let withdrawn =
        assessment.withdrawing && (pod || route) && matches!(reported, Some(Phase::Ready | Phase::NotReady));
    let released = snapshot.terminating() && snapshot.has_finalizer() && (pod || route);
    let stopped = assessment.at_rest
        && snapshot.stopped()
        && !matches!(reported, Some(Phase::Suspended | Phase::Finished | Phase::Failed));
    (!snapshot.absence_confirmed && (lost || withdrawn || released || stopped)).then_some(Step::ReadAbsent)
}
