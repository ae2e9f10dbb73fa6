//! Time limits: the start timeout, `shutdownTime`, `maxAge` and the TTL of finished units.
//!
//! Pure. The controller's requeue is the only timer queue: each unit is reconciled when its next limit is reached.

use computing_unit_api::{ConditionType, Reason};
use k8s_openapi::{
    api::core::v1::Pod,
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};

use super::{
    finish::{Finish, FinishReason},
    history, pod_failure,
    recorded::{condition, recorded_finish, restart_at},
    state::UnitState,
};
use crate::controllers::unit::{pod, snapshot::Snapshot};

/// The time limit that the unit has reached.
pub(super) fn exceeded(snapshot: &Snapshot) -> Option<Finish> {
    let finish = |reason, message| Finish { reason, message, failure: None };
    let reached = |reason, time: &Timestamp| reached(snapshot, reason, *time);
    if let Some(time) = shutdown_time(snapshot).filter(|time| reached(FinishReason::ShutdownTime, time)) {
        let message =
            format!("spec.lifecycle.shutdownTime {time} has passed: set a later time, or remove it, to start the unit");
        return Some(finish(FinishReason::ShutdownTime, message));
    }
    max_age(snapshot).filter(|time| reached(FinishReason::MaxAge, time)).map(|time| {
        let message = format!("the unit reached the spec.lifecycle.maxAge of its pool at {time}: create another unit");
        finish(FinishReason::MaxAge, message)
    })
}

/// Setting the clock back does not undo a recorded end.
fn reached(snapshot: &Snapshot, reason: FinishReason, time: Timestamp) -> bool {
    let recorded = recorded_finish(snapshot).filter(|condition| condition.reason == reason.reason());
    snapshot.now >= time || recorded.is_some_and(|condition| condition.last_transition_time.0 >= time)
}

fn shutdown_time(snapshot: &Snapshot) -> Option<Timestamp> {
    Some(snapshot.unit.spec.lifecycle.as_ref()?.shutdown_time.as_ref()?.0)
}

fn max_age(snapshot: &Snapshot) -> Option<Timestamp> {
    let age = SignedDuration::try_from(snapshot.pool.as_ref()?.spec.lifecycle.max_age?.0).ok()?;
    snapshot.unit.metadata.creation_timestamp.as_ref()?.0.checked_add(age).ok()
}

/// When the pod has to be Ready. `None` if it has been Ready already.
pub fn start_deadline(snapshot: &Snapshot) -> Option<Timestamp> {
    let timeout = SignedDuration::try_from(snapshot.pool.as_ref()?.spec.start_timeout.0).ok()?;
    let pod = snapshot.pod.owned().filter(|pod| !pod::terminated(pod) && !pod::ready(pod))?;
    let created = pod.metadata.creation_timestamp.as_ref()?;
    if !pod::scheduling_gates(pod).is_empty() {
        return None;
    }
    let was_ready = snapshot
        .unit
        .status
        .as_ref()
        .is_some_and(|status| status.start_time.as_ref() == Some(created) && status.stages.pod_ready.is_some());
    let began = ungated(snapshot, pod, created).unwrap_or(created.0);
    began.checked_add(timeout).ok().filter(|_| !was_ready)
}

/// Since when no scheduling gate holds the pod back: as recorded. If the status still records the gate, that is when the
/// pod was scheduled, or now.
fn ungated(snapshot: &Snapshot, pod: &Pod, created: &Time) -> Option<Timestamp> {
    let status = snapshot.unit.status.as_ref().filter(|status| status.start_time.as_ref() == Some(created))?;
    let gated =
        condition(snapshot, ConditionType::PodReady).is_some_and(|ready| ready.reason == Reason::SchedulingGated);
    let noticed = || pod::true_since(pod, "PodScheduled").map_or(snapshot.now, |time| time.0);
    status.stages.ungated.as_ref().map(|time| time.0).or_else(|| gated.then(noticed))
}

/// When a finished unit is deleted.
pub fn expires(snapshot: &Snapshot, state: &UnitState) -> Option<Timestamp> {
    if !matches!(state, UnitState::Finished(_)) {
        return None;
    }
    let own = snapshot.unit.spec.lifecycle.as_ref().and_then(|own| own.ttl_seconds_after_finished);
    let pool = snapshot.pool.as_ref().and_then(|pool| pool.spec.lifecycle.ttl_seconds_after_finished);
    let seconds = own.into_iter().chain(pool).min()?;
    let since = recorded_finish(snapshot)?.last_transition_time.0;
    since.checked_add(SignedDuration::from_secs(seconds.into())).ok()
}

/// The next time in the future at which the lifecycle state or the history changes without an event.
pub fn next(snapshot: &Snapshot, state: &UnitState) -> Option<Timestamp> {
    if snapshot.terminating() {
        return None;
    }
    let times = [
        expires(snapshot, state),
        shutdown_time(snapshot),
        max_age(snapshot),
        restart_at(snapshot),
        history::stable_at(snapshot),
        pod_failure::stuck_at(snapshot),
    ];
    times.into_iter().flatten().filter(|time| *time > snapshot.now).min()
}
