//! What a unit's status keeps of the lives of its pods: the last failure, how often pods were made anew, and its end.
//! All that the delay before the next pod depends on is in there.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};

use super::{End, Life, News, condition, life, status, stopped};
use crate::{
    api::{Failure, RestartBackoff, Restarts},
    observed::{Child, Observed},
    status::types,
};

/// What is to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// How a pod was lost, ended or could not be started the last time.
    pub last_failure: Option<Failure>,
    /// Pods that were made anew.
    pub restarts: Option<Restarts>,
    /// Why the unit is finished.
    pub end: Option<End>,
}

/// What is to be written of a unit as it is now.
#[must_use]
pub fn record(observed: &Observed) -> Record {
    let before = status(observed);
    let failure = before.and_then(|status| status.last_failure.clone());
    let restarts = before.and_then(|status| status.restarts.clone());
    if observed.deleting() {
        return Record { last_failure: failure, restarts, end: None };
    }
    match life(observed) {
        Life::Unwritten(News::Lost(lost)) => {
            Record { last_failure: Some(lost), restarts: Some(one_more(observed)), end: None }
        }
        Life::Unwritten(News::Finished(end)) | Life::Finished(end) => Record {
            last_failure: end.failure.clone().or(failure),
            restarts: restarts.map(|restarts| Restarts { next: None, ..restarts }),
            end: Some(end),
        },
        // Whoever suspends or edits a unit begins anew.
        Life::Runs | Life::Spent | Life::Waits(_) if observed.suspended() || stopped(observed) => {
            Record { last_failure: failure, restarts: None, end: None }
        }
        Life::Waits(_) | Life::Spent => Record { last_failure: failure, restarts, end: None },
        Life::Runs => Record { last_failure: failure, restarts: running(observed, restarts), end: None },
    }
}

/// The count of a unit that has a pod, or is about to.
fn running(observed: &Observed, restarts: Option<Restarts>) -> Option<Restarts> {
    let restarts = restarts?;
    if !matches!(observed.pod, Child::Owned(_)) {
        return Some(restarts);
    }
    let well = well_at(observed).is_some_and(|time| observed.now >= time);
    (!well).then_some(Restarts { next: None, ..restarts })
}

fn backoff(observed: &Observed) -> RestartBackoff {
    observed.pool.as_ref().map(|pool| pool.spec.restart_backoff).unwrap_or_default()
}

fn one_more(observed: &Observed) -> Restarts {
    let well = well_at(observed).is_some_and(|time| observed.now >= time);
    let restarts = status(observed).and_then(|status| status.restarts.as_ref());
    let count = restarts.filter(|_| !well).map_or(0, |restarts| restarts.count.max(0));
    let delay = delay(backoff(observed), count);
    let next = observed.now.checked_add(delay).map_or(Timestamp::MAX, whole);
    Restarts { count: count.saturating_add(1), next: Some(Time(next)) }
}

/// The delay before the pod that is made after `count` others.
fn delay(backoff: RestartBackoff, count: i32) -> SignedDuration {
    let factor = u32::try_from(count).ok().and_then(|count| 1_u32.checked_shl(count)).unwrap_or(u32::MAX);
    let delay = backoff.initial.0.saturating_mul(factor).min(backoff.max.0);
    SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX)
}

/// The status has whole seconds, and the delay is not to become shorter by that.
fn whole(time: Timestamp) -> Timestamp {
    let second = time.as_second() + i64::from(time.subsec_nanosecond() > 0);
    Timestamp::from_second(second).unwrap_or(time)
}

/// When a pod that is Ready has been so for long enough that the next delay begins anew. Nothing where it was never lost.
pub(super) fn well_at(observed: &Observed) -> Option<Timestamp> {
    status(observed)?.restarts.as_ref()?;
    let ready = condition(observed, types::POD_READY).filter(|ready| ready.status == "True")?;
    let reset = SignedDuration::try_from(backoff(observed).reset.0).ok()?;
    ready.last_transition_time.0.checked_add(reset).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Duration;

    #[test]
    fn the_delay_doubles_up_to_its_ceiling() {
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
