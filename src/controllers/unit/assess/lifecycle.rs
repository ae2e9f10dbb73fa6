//! Derives the lifecycle state of a unit from its status, its pod and the clock, so that a restarted operator derives
//! the same.
//!
//! Pure. It does not decide how a route is withdrawn.

use computing_unit_api::names::TEMPLATE_HASH;
use k8s_openapi::{
    api::core::v1::Pod,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::ResourceExt;

use super::{
    finish::{Finish, FinishReason},
    pod_failure,
    recorded::{recorded_finish, restart_at, status, stopped_by_operator},
    state::{Transition, UnitState},
    time_limits,
};
use crate::controllers::unit::{
    build::{Wanted, pod::outdated},
    pod,
    snapshot::{Child, Snapshot},
};

/// The lifecycle state of the unit.
pub fn state(snapshot: &Snapshot, wanted: &Wanted) -> UnitState {
    if snapshot.terminating() {
        return UnitState::Terminating;
    }
    let recorded = recorded_finish(snapshot);
    if let Some(finish) = recorded.and_then(|condition| still_final(snapshot, wanted, condition)) {
        return UnitState::Finished(finish);
    }
    if let Some(finish) = time_limits::exceeded(snapshot) {
        let known = recorded.is_some_and(|condition| condition.reason == finish.reason.reason());
        return if known { UnitState::Finished(finish) } else { UnitState::Unrecorded(Transition::Finished(finish)) };
    }
    if snapshot.suspended() {
        return UnitState::Suspended;
    }
    match &snapshot.pod {
        Child::Owned(pod) if end_recorded(snapshot, pod) => UnitState::PodTerminated,
        Child::Owned(pod) if pod::terminated(pod) => UnitState::Unrecorded(pod_failure::ended(pod, snapshot.now)),
        Child::Owned(pod) => match time_limits::start_deadline(snapshot) {
            Some(deadline) if snapshot.now >= deadline => {
                UnitState::Unrecorded(pod_failure::start_timeout(snapshot, pod))
            }
            _ => UnitState::Running,
        },
        Child::Terminating | Child::Absent => without_pod(snapshot),
    }
}

fn without_pod(snapshot: &Snapshot) -> UnitState {
    if stopped_by_operator(snapshot) {
        UnitState::Running
    } else if had_pod(snapshot) {
        UnitState::Unrecorded(Transition::PodLost(pod_failure::lost(snapshot)))
    } else {
        restart_at(snapshot).map_or(UnitState::Running, UnitState::AwaitingRestart)
    }
}

/// A recorded end of the pod is final until the unit is edited, and a failure until the template is. Time limits are read
/// off the clock instead.
fn still_final(snapshot: &Snapshot, wanted: &Wanted, condition: &Condition) -> Option<Finish> {
    let reason = FinishReason::parse(&condition.reason).filter(|reason| !reason.is_time_limit())?;
    let current = condition.observed_generation == snapshot.unit.metadata.generation;
    let corrected = reason.is_failure() && template_changed(snapshot, wanted);
    (current && !corrected).then(|| Finish { reason, message: condition.message.clone(), failure: None })
}

/// Whether the template has changed since the last failure.
fn template_changed(snapshot: &Snapshot, wanted: &Wanted) -> bool {
    let failed = status(snapshot).and_then(|status| status.last_failure.as_ref()?.template_hash.as_ref());
    let now = wanted.as_ref().ok().and_then(|children| children.pod.annotations().get(TEMPLATE_HASH));
    failed.zip(now).is_some_and(|(failed, now)| outdated(failed, now))
}

/// Whether the status records the end of this pod: it names a pod only while that pod runs.
fn end_recorded(snapshot: &Snapshot, pod: &Pod) -> bool {
    let Some(status) = status(snapshot) else { return false };
    let same = status.start_time.as_ref().map(seconds) == pod.metadata.creation_timestamp.as_ref().map(seconds);
    same && status.pod_name.is_none() && (status.last_failure.is_some() || recorded_finish(snapshot).is_some())
}

/// The status has a resolution of one second.
fn seconds(time: &Time) -> i64 {
    time.0.as_second()
}

/// Whether there was a pod whose end the status does not record.
fn had_pod(snapshot: &Snapshot) -> bool {
    snapshot.pod_created || status(snapshot).is_some_and(|status| status.pod_name.is_some())
}
