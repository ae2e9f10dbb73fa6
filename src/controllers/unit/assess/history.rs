//! The history that the status keeps of a unit's pods: the last failure, the restart count and why the unit is finished.
//! The delay before the next pod depends on nothing else.
//!
//! Pure.

use computing_unit_api::{ConditionType, Failure, RestartBackoff, Restarts};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};

use super::{
    finish::Finish,
    recorded::{condition, status, stopped_by_operator},
    state::{Transition, UnitState},
    whole_seconds,
};
use crate::controllers::unit::snapshot::{Child, Snapshot};

/// The history to be recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    pub last_failure: Option<Failure>,
    pub restarts: Option<Restarts>,
    pub finish: Option<Finish>,
}

/// The history to be recorded of a unit in that state.
pub fn history(snapshot: &Snapshot, state: &UnitState) -> History {
    let before = status(snapshot);
    let last_failure = before.and_then(|status| status.last_failure.clone());
    let restarts = before.and_then(|status| status.restarts.clone());
    let kept = |restarts| History { last_failure: last_failure.clone(), restarts, finish: None };
    match state {
        UnitState::Terminating => kept(restarts),
        UnitState::Unrecorded(Transition::PodLost(failure)) => {
            History { last_failure: Some(failure.clone()), restarts: Some(one_more(snapshot)), finish: None }
        }
        UnitState::Unrecorded(Transition::Finished(finish)) | UnitState::Finished(finish) => History {
            last_failure: finish.failure.clone().or(last_failure),
            restarts: restarts.map(|restarts| Restarts { next: None, ..restarts }),
            finish: Some(finish.clone()),
        },
        // Suspending or editing a unit resets the backoff.
        UnitState::Suspended => kept(None),
        _ if stopped_by_operator(snapshot) => kept(None),
        UnitState::AwaitingRestart(_) | UnitState::PodTerminated => kept(restarts),
        UnitState::Running => kept(running(snapshot, restarts)),
    }
}

/// The restart count of a unit that has a pod, or gets one next.
fn running(snapshot: &Snapshot, restarts: Option<Restarts>) -> Option<Restarts> {
    let restarts = restarts?;
    if !matches!(snapshot.pod, Child::Owned(_)) {
        return Some(restarts);
    }
    (!stable(snapshot)).then_some(Restarts { next: None, ..restarts })
}

fn backoff(snapshot: &Snapshot) -> RestartBackoff {
    snapshot.pool.as_ref().map(|pool| pool.spec.restart_backoff).unwrap_or_default()
}

fn one_more(snapshot: &Snapshot) -> Restarts {
    let restarts = status(snapshot).and_then(|status| status.restarts.as_ref());
    let count = restarts.filter(|_| !stable(snapshot)).map_or(0, |restarts| restarts.count.max(0));
    let delay = delay(backoff(snapshot), count);
    // The resolution of the status must not shorten the delay.
    let next = snapshot.now.checked_add(delay).map_or(Timestamp::MAX, whole_seconds::up);
    Restarts { count: count.saturating_add(1), next: Some(Time(next)) }
}

/// The delay before a pod that follows `count` others.
fn delay(backoff: RestartBackoff, count: i32) -> SignedDuration {
    let factor = u32::try_from(count).ok().and_then(|count| 1_u32.checked_shl(count)).unwrap_or(u32::MAX);
    let delay = backoff.initial.0.saturating_mul(factor).min(backoff.max.0);
    SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX)
}

fn stable(snapshot: &Snapshot) -> bool {
    stable_at(snapshot).is_some_and(|time| snapshot.now >= time)
}

/// When a restarted pod has been Ready for long enough for the backoff to be reset.
pub(super) fn stable_at(snapshot: &Snapshot) -> Option<Timestamp> {
    status(snapshot)?.restarts.as_ref()?;
    let ready = condition(snapshot, ConditionType::PodReady).filter(|ready| ready.status == "True")?;
    let reset = SignedDuration::try_from(backoff(snapshot).reset.0).ok()?;
    ready.last_transition_time.0.checked_add(reset).ok()
}

#[cfg(test)]
mod tests {
    use computing_unit_api::Duration;

    use super::*;

    #[test]
    fn delay_doubles_up_to_the_maximum() {
        let backoff = RestartBackoff::default();
        let delays: Vec<_> = (0..7).map(|count| delay(backoff, count).as_secs()).collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
        for count in [31, 32, 33, i32::MAX] {
            assert_eq!(delay(backoff, count).as_secs(), 300, "{count}");
        }
        let none = RestartBackoff { initial: Duration::from_secs(0), ..backoff };
        assert_eq!(delay(none, 5).as_secs(), 0);
    }
}
