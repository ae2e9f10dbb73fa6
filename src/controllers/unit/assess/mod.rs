//! Assesses a snapshot: every decision that the status and the plan depend on is made here, once per round.
//!
//! Pure. [`assess`] calls the parts in the order of their dependencies: lifecycle state, update, probe, withdrawal.

pub mod admitted_amounts;
pub mod amounts;
pub mod attempt;
pub mod drift;
pub mod finish;
pub mod history;
pub mod key_record;
pub mod lifecycle;
pub mod not_ready;
pub mod pod_failure;
pub mod pod_setup;
pub mod probe_goal;
mod recorded;
pub mod schedule;
pub mod state;
pub mod suspension;
pub mod time_limits;
pub mod update;
mod whole_seconds;
pub mod withdrawal;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use self::{
    drift::Drifts,
    history::History,
    key_record::{KeyRecord, key_record},
    schedule::Scheduling,
    state::UnitState,
    suspension::Expiry,
    update::{Replacement, Update},
    withdrawal::{Deadlines, Withdrawal},
};
use super::{build::Wanted, snapshot::Snapshot};
use crate::{
    gateway::route_status::{self, Verdict},
    probe::{Goal, Progress, Target},
};

/// What a snapshot means.
#[derive(Clone, Debug)]
pub struct Assessment {
    pub state: UnitState,
    /// What the status records of the unit's pods.
    pub history: History,
    pub update: Update,
    /// What to do about a pod whose deletion no node confirms.
    pub stuck_pod: Option<String>,
    /// In how long the Events of the pod are to be listed: see [`pod_setup`].
    pub pod_events_in: Option<Duration>,
    /// When the pod has to be Ready.
    pub start_deadline: Option<Timestamp>,
    /// When a finished unit is deleted.
    pub expires: Option<Timestamp>,
    /// When a suspended unit is deleted.
    pub expiry: Option<Expiry>,
    /// What the schedule of the unit does.
    pub scheduling: Scheduling,
    /// When a time limit is reached next.
    pub next_limit: Option<Timestamp>,
    /// Whether the unit should have no pod: it is suspended or finished.
    pub at_rest: bool,
    /// Whether the route is to be withdrawn: the unit is being deleted, at rest, or gets another pod.
    pub withdrawing: bool,
    pub withdrawal: Withdrawal,
    pub withdrawal_deadlines: Deadlines,
    /// How the children differ from the desired ones.
    pub drifts: Drifts,
    /// The probe that the unit needs.
    pub probe: Option<(Goal, Target)>,
    /// How far that probe has come. `None` if it has not been started.
    pub progress: Option<Progress>,
    /// Whether requests of users were seen to reach the unit under the route as it is now.
    pub verified: bool,
}

/// A TTL of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// `ttlSecondsAfterFinished`.
    Finished,
    /// `ttlSecondsAfterSuspended`.
    Suspended,
}

/// Assesses a snapshot and the children that the unit should have.
pub fn assess(snapshot: &Snapshot, wanted: &Wanted) -> Assessment {
    let state = lifecycle::state(snapshot, wanted);
    let update = update::update(snapshot, wanted, &state);
    let at_rest = snapshot.suspended() || state.at_rest();
    let withdrawing = state == UnitState::Terminating || at_rest || update.replacement == Replacement::Now;
    let probe = probe_goal::needed(snapshot, wanted, withdrawing);
    let progress = probe.as_ref().and_then(|(goal, target)| {
        let report = snapshot.probe.as_ref().filter(|report| report.goal == *goal && report.target == *target);
        report.map(|report| report.progress.clone())
    });
    let goal_reached = matches!(progress, Some(Progress::Done { .. }));
    let key = key_record(snapshot);
    let may_open = key == KeyRecord::Held
        && snapshot.ready()
        && (goal_reached || (snapshot.probes_disabled() && route_accepted(snapshot)));
    let withdrawal_deadlines = withdrawal::deadlines(snapshot, &state);
    let expiry = suspension::expiry(snapshot).filter(|_| state != UnitState::Terminating);
    let scheduling = schedule::scheduling(snapshot, &state);
    let next_times = [
        time_limits::next(snapshot, &state),
        expiry.and_then(|expiry| expiry.next(snapshot.now)),
        scheduling.next(snapshot.now),
    ];
    Assessment {
        history: history::history(snapshot, &state),
        stuck_pod: pod_failure::stuck(snapshot),
        pod_events_in: pod_setup::events_in(snapshot, &state).filter(|_| !withdrawing),
        start_deadline: time_limits::start_deadline(snapshot),
        expires: time_limits::expires(snapshot, &state),
        expiry,
        scheduling,
        next_limit: next_times.into_iter().flatten().min(),
        withdrawal: withdrawal::withdrawal(snapshot, withdrawal_deadlines, goal_reached),
        withdrawal_deadlines,
        verified: snapshot.probes_disabled()
            || snapshot.route_verified()
            || (goal_reached && matches!(probe, Some((Goal::Open, _)))),
        drifts: drift::drifts(snapshot, wanted, key, may_open),
        state,
        update,
        at_rest,
        withdrawing,
        probe,
        progress,
    }
}

fn route_accepted(snapshot: &Snapshot) -> bool {
    let Some(route) = snapshot.route.owned() else { return false };
    snapshot.gateway.as_ref().is_some_and(|binding| {
        binding
            .controller
            .as_ref()
            .is_ok_and(|controller| route_status::verdict(route, &binding.gateway, controller) == Verdict::Accepted)
    })
}

impl Assessment {
    pub fn replacing(&self) -> bool {
        self.update.replacement == Replacement::Now
    }

    /// The TTL after which the unit is deleted now.
    pub fn expired(&self, now: Timestamp) -> Option<Ttl> {
        let finished = self.expires.filter(|time| now >= *time).map(|_| Ttl::Finished);
        finished.or_else(|| self.expiry.filter(|expiry| expiry.passed(now)).map(|_| Ttl::Suspended))
    }
}

#[cfg(test)]
mod tests;
