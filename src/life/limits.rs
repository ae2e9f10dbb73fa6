//! The ends that a clock decides: when a unit's time is over, when a finished unit is deleted, and when to look again.
//!
//! The controller's requeue is the only queue of timers: each unit is looked at when its own next time has come, and
//! nobody goes through all units.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{End, Life, MAX_AGE, SHUTDOWN_TIME, due, finished, life, loss, record};
use crate::observed::Observed;

/// Why the unit's time is over.
pub(super) fn over(observed: &Observed) -> Option<End> {
    let end = |reason: &str, message: String| End { reason: reason.to_owned(), message, failure: None };
    if let Some(time) = shutdown(observed).filter(|time| passed(observed, SHUTDOWN_TIME, *time)) {
        let message = format!(
            "spec.lifecycle.shutdownTime {time} has passed: set it to a later time, or take it out, to start the unit"
        );
        return Some(end(SHUTDOWN_TIME, message));
    }
    too_old(observed).filter(|time| passed(observed, MAX_AGE, *time)).map(|time| {
        let message =
            format!("since {time} the unit is older than its pool's spec.lifecycle.maxAge: create another unit");
        end(MAX_AGE, message)
    })
}

/// A clock that is set back does not undo an end that was written.
fn passed(observed: &Observed, reason: &str, time: Timestamp) -> bool {
    let since = finished(observed).filter(|end| end.reason == reason).map(|end| end.last_transition_time.0);
    observed.now >= time || since.is_some_and(|since| since >= time)
}

fn shutdown(observed: &Observed) -> Option<Timestamp> {
    Some(observed.unit.spec.lifecycle.as_ref()?.shutdown_time.as_ref()?.0)
}

fn too_old(observed: &Observed) -> Option<Timestamp> {
    let age = SignedDuration::try_from(observed.pool.as_ref()?.spec.lifecycle.max_age?.0).ok()?;
    observed.unit.metadata.creation_timestamp.as_ref()?.0.checked_add(age).ok()
}

/// When a unit that is finished is deleted.
#[must_use]
pub fn expires(observed: &Observed) -> Option<Timestamp> {
    if !matches!(life(observed), Life::Finished(_)) {
        return None;
    }
    let own = observed.unit.spec.lifecycle.as_ref().and_then(|own| own.ttl_seconds_after_finished);
    let pools = observed.pool.as_ref().and_then(|pool| pool.spec.lifecycle.ttl_seconds_after_finished);
    let seconds = own.into_iter().chain(pools).min()?;
    let since = finished(observed)?.last_transition_time.0;
    since.checked_add(SignedDuration::from_secs(seconds.into())).ok()
}

/// Whether a unit that is finished is to be deleted now.
#[must_use]
pub fn expired(observed: &Observed) -> bool {
    expires(observed).is_some_and(|time| observed.now >= time)
}

/// When something becomes of the unit although nothing happens.
#[must_use]
pub fn next(observed: &Observed) -> Option<Timestamp> {
    if observed.deleting() {
        return None;
    }
    let times = [
        expires(observed),
        shutdown(observed),
        too_old(observed),
        due(observed),
        record::well_at(observed),
        loss::stuck_at(observed),
    ];
    times.into_iter().flatten().filter(|time| *time > observed.now).min()
}
