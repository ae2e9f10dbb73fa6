//! What the schedule of a unit does now, and when its next times are.
//!
//! Pure. A time that has passed is applied once: the status has the next times, and keeps those that have passed until they
//! are applied. A unit that a person resumes or suspends in between is not changed before the next time.

use computing_unit_api::{OperatingMode, ScheduleStatus};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

use super::{
    recorded::status,
    state::{Transition, UnitState},
};
use crate::{
    controllers::unit::{schedule_mark, snapshot::Snapshot},
    schedule::{Change, Timetable},
};

/// What the schedule of a unit does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scheduling {
    /// The change to be made now.
    pub due: Option<Due>,
    /// The times to be recorded.
    pub times: Option<ScheduleStatus>,
}

/// A change of the operating mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub change: Change,
    /// The time of the schedule.
    pub at: Timestamp,
}

impl Scheduling {
    /// The next time that is in the future.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let times = self.times.iter().flat_map(|times| [&times.next_suspend, &times.next_resume]);
        times.flatten().map(|time| time.0).filter(|time| *time > now).min()
    }
}

/// What the schedule of a unit in that state does.
pub fn scheduling(snapshot: &Snapshot, state: &UnitState) -> Scheduling {
    let Some(timetable) = timetable(snapshot).filter(|_| *state != UnitState::Terminating) else {
        return Scheduling::default();
    };
    let recorded = status(snapshot).and_then(|status| status.schedule.clone());
    let due = due(snapshot, &timetable, recorded.as_ref()).filter(|due| applies(snapshot, state, due.change));
    let next = |change| timetable.next(change, snapshot.now).map(Time);
    let times = match due {
        Some(_) => recorded,
        None => Some(ScheduleStatus { next_suspend: next(Change::Suspend), next_resume: next(Change::Resume) }),
    };
    Scheduling { due, times }
}

fn timetable(snapshot: &Snapshot) -> Option<Timetable> {
    let own = snapshot.unit.spec.lifecycle.as_ref().and_then(|own| own.schedule.as_ref());
    let pool = snapshot.pool.as_ref().and_then(|pool| pool.spec.lifecycle.schedule.as_ref());
    Timetable::of(own, pool)
}

/// The last time that has passed since the times were recorded. If both are the same, the unit is suspended.
fn due(snapshot: &Snapshot, timetable: &Timetable, recorded: Option<&ScheduleStatus>) -> Option<Due> {
    let recorded = recorded?;
    let last = |change, next: &Option<Time>| {
        let next = next.as_ref()?.0;
        // A time of an earlier schedule does not count.
        let passed = next <= snapshot.now && timetable.last(change, next) == Some(next);
        let at = passed.then(|| timetable.last(change, snapshot.now)).flatten()?;
        Some(Due { change, at })
    };
    let suspend = last(Change::Suspend, &recorded.next_suspend);
    let resume = last(Change::Resume, &recorded.next_resume);
    let latest = resume.into_iter().chain(suspend).max_by_key(|due| due.at)?;
    let applied = schedule_mark::applied(&snapshot.unit);
    applied.is_none_or(|applied| applied < latest.at).then_some(latest)
}

/// Whether a change is made to a unit in that state. One that is finished or fails is not: it does not run.
fn applies(snapshot: &Snapshot, state: &UnitState, change: Change) -> bool {
    let finished = matches!(state, UnitState::Finished(_) | UnitState::Unrecorded(Transition::Finished(_)));
    match change {
        Change::Suspend => snapshot.unit.spec.operating_mode == OperatingMode::Running && !finished,
        Change::Resume => schedule_mark::suspended(&snapshot.unit),
    }
}
