//! Units that are suspended and resumed at given times. The clock is that of the test.

use computing_unit_api::{ConditionType, Conditions, Schedule, names::SCHEDULE};

use super::{super::schedule::Due, *};
use crate::{
    controllers::unit::schedule_mark,
    schedule::Change::{self, Resume, Suspend},
};

fn at(text: &str) -> Timestamp {
    format!("2026-01-0{text}Z").parse().unwrap()
}

fn schedule() -> Option<Schedule> {
    // Noon is 11:00 UTC.
    serde_json::from_value(json!({
        "timeZone": "Europe/Berlin", "suspend": ["0 20 * * *"], "resume": ["0 8 * * *"], "startingDeadlineSeconds": 600,
    }))
    .unwrap()
}

impl Case {
    /// Of a pool with a schedule, whose status has its times: the 1st of January, 01:00 in Berlin.
    fn scheduled(mut self) -> Self {
        Arc::make_mut(self.snapshot.pool.as_mut().unwrap()).spec.lifecycle.schedule = schedule();
        self.write();
        self
    }

    fn until(&mut self, time: &str) -> Option<(Change, Timestamp)> {
        self.snapshot.now = at(time);
        self.assess().scheduling.due.map(|Due { change, at }| (change, at))
    }

    /// What the step does.
    fn follow(&mut self) {
        let Due { change, at } = self.assess().scheduling.due.expect("a change is due");
        self.edit(|unit| {
            let generation = unit.metadata.generation.map(|generation| generation - 1);
            let before = ComputingUnit {
                metadata: kube::api::ObjectMeta { generation, ..unit.metadata.clone() },
                ..unit.clone()
            };
            let mark = schedule_mark::of_next_generation(&before, at);
            unit.metadata.annotations.get_or_insert_default().insert(SCHEDULE.to_owned(), mark);
            unit.spec.operating_mode = match change {
                Suspend => OperatingMode::Suspended,
                Resume => OperatingMode::Running,
            };
        });
        assert_eq!(self.assess().scheduling.due, None, "it is applied once");
        if change == Suspend {
            self.write();
            self.pod_gone();
        }
        self.write();
    }

    fn times(&self) -> [Option<Timestamp>; 2] {
        let times = self.status().schedule.unwrap_or_default();
        [times.next_suspend, times.next_resume].map(|time| time.map(|time| time.0))
    }

    fn suspended_for(&self) -> Option<String> {
        let conditions = self.snapshot.unit.status.clone().unwrap().conditions;
        conditions.holding(ConditionType::Suspended).map(|condition| condition.reason.clone())
    }
}

#[test]
fn unit_is_suspended_and_resumed_once_at_each_time() {
    let mut case = Case::ready().scheduled();
    assert_eq!(case.times(), [Some(at("1T19:00:00")), Some(at("1T07:00:00"))]);
    assert_eq!(case.assess().next_limit, Some(at("1T07:00:00")));
    assert_eq!(case.until("1T07:00:00"), None, "it runs");
    assert_eq!(case.times(), [Some(at("1T19:00:00")), Some(at("2T07:00:00"))]);
    case.write();
    assert_eq!(case.until("1T18:59:59"), None);
    assert_eq!(case.status(), case.snapshot.unit.status.clone().unwrap(), "nothing is written in between");
    assert_eq!(case.until("1T19:00:00"), Some((Suspend, at("1T19:00:00"))));
    assert_eq!(case.times()[0], Some(at("1T19:00:00")), "kept until it is applied");
    case.follow();
    assert_eq!(case.suspended_for().as_deref(), Some("Schedule"));
    assert_eq!(case.times(), [Some(at("2T19:00:00")), Some(at("2T07:00:00"))]);
    assert_eq!(case.until("2T06:59:59"), None);
    assert_eq!(case.until("2T07:00:00"), Some((Resume, at("2T07:00:00"))));
    case.follow();
    assert_eq!((case.suspended_for(), case.snapshot.unit.spec.operating_mode), (None, OperatingMode::Running));
    assert_eq!(case.until("2T19:00:00"), Some((Suspend, at("2T19:00:00"))));
}

#[test]
fn person_who_resumes_or_suspends_a_unit_comes_first_until_the_next_time() {
    let mut case = Case::ready().scheduled();
    case.until("1T19:00:00");
    case.follow();
    case.mode(OperatingMode::Running);
    assert_eq!(case.until("1T19:00:01"), None);
    case.write();
    for time in ["1T19:05:00", "2T07:00:00", "2T18:59:59"] {
        assert_eq!(case.until(time), None, "{time}");
        case.write();
    }
    assert_eq!(case.until("2T19:00:00"), Some((Suspend, at("2T19:00:00"))));
    // Suspended by a person, before the time and after it.
    case.mode(OperatingMode::Suspended);
    case.pod_gone();
    assert_eq!(case.until("2T19:00:01"), None);
    case.write();
    assert_eq!(case.suspended_for().as_deref(), Some("Suspended"));
    assert_eq!(case.until("3T07:00:00"), None, "it was not suspended by the schedule");
}

#[test]
fn edit_of_a_suspended_unit_does_not_keep_it_suspended() {
    let mut case = Case::ready().scheduled();
    case.until("1T19:00:00");
    case.follow();
    case.edit(|unit| unit.spec.image = Some("another".to_owned()));
    case.write();
    assert_eq!(case.until("2T07:00:00"), Some((Resume, at("2T07:00:00"))));
}

#[test]
fn missed_time_is_applied_within_its_deadline() {
    for (time, due) in [
        ("1T19:10:00", Some((Suspend, at("1T19:00:00")))),
        ("1T19:10:01", None),
        ("2T07:01:00", None),
        // The last of several.
        ("3T19:01:00", Some((Suspend, at("3T19:00:00")))),
    ] {
        let mut case = Case::ready().scheduled();
        assert_eq!(case.until(time), due, "{time}");
        if due.is_none() {
            assert!(case.times().into_iter().all(|next| next.is_some_and(|next| next > at(time))), "{time}");
        }
    }
    let mut case = Case::ready().scheduled();
    case.until("1T19:00:00");
    case.follow();
    // The resume was missed as well.
    assert_eq!(case.until("2T19:05:00"), None, "it is suspended already");
    assert_eq!(case.until("2T07:09:00"), Some((Resume, at("2T07:00:00"))));
}

#[test]
fn time_that_was_applied_but_not_recorded_is_not_applied_again() {
    let mut case = Case::ready().scheduled();
    case.until("1T19:00:00");
    let recorded = case.snapshot.unit.status.clone();
    case.follow();
    // The operator was stopped, and a person has resumed the unit meanwhile.
    Arc::make_mut(&mut case.snapshot.unit).status = recorded;
    case.mode(OperatingMode::Running);
    assert_eq!(case.until("1T19:01:00"), None);
}

#[test]
fn schedule_that_changes_applies_from_then_on() {
    let mut case = Case::ready().scheduled();
    let pool = |case: &mut Case, schedule| {
        Arc::make_mut(case.snapshot.pool.as_mut().unwrap()).spec.lifecycle.schedule = schedule;
    };
    let other = |cron: &str| serde_json::from_value(json!({"timeZone": "Etc/UTC", "suspend": [cron]})).unwrap();
    // The operator did not run when it was changed, and at the old time.
    pool(&mut case, other("30 18 * * *"));
    assert_eq!(case.until("1T19:01:00"), None);
    assert_eq!(case.times(), [Some(at("2T18:30:00")), None]);
    pool(&mut case, None);
    assert_eq!((case.until("1T19:01:00"), case.status().schedule), (None, None));
}

#[test]
fn unit_that_does_not_run_is_not_suspended() {
    let mut case = Case::ready().scheduled();
    case.pod_of("Never", &failed());
    case.write();
    assert!(matches!(case.state(), UnitState::Finished(_)));
    assert_eq!(case.until("1T19:00:00"), None);
    // One without a schedule has nothing of it in its status.
    assert_eq!(Case::ready().status().schedule, None);
}
