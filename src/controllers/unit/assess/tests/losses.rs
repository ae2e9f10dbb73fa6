//! A pod that is lost, and the one that comes after it.

use computing_unit_api::{ConditionType, Phase, Reason, Restarts};

use super::*;

#[test]
fn a_first_start_and_a_resumed_one_do_not_wait() {
    assert_eq!(Case::new().state(), UnitState::Running);
    let mut case = Case::ready();
    case.mode(OperatingMode::Suspended);
    case.write();
    case.delete_pod();
    assert_eq!(case.state(), UnitState::Suspended);
    // Resumed before the status has said that the pod is gone.
    case.mode(OperatingMode::Running);
    assert_eq!(case.state(), UnitState::Running, "a pod that the operator stopped is not lost");
    assert_eq!(case.write().restarts, None);
    case.pod_gone();
    assert_eq!(case.state(), UnitState::Running);
}

#[test]
fn a_pod_that_vanishes_is_written_down_and_waited_for() {
    for vanish in [Case::pod_gone as fn(&mut Case), Case::delete_pod] {
        let mut case = Case::ready();
        case.later(5);
        vanish(&mut case);
        assert_eq!(case.lost().reason, Reason::PodLost);
        let written = case.write();
        let next = Some(Time(case.snapshot.now + SignedDuration::from_secs(10)));
        assert_eq!(written.restarts, Some(Restarts { count: 1, next }));
        assert_eq!((written.phase, written.pod_name), (Some(Phase::Pending), None));
        assert!(matches!(case.state(), UnitState::AwaitingRestart(_)), "it counts once");
        case.pod_gone();
        case.later(9);
        assert!(matches!(case.state(), UnitState::AwaitingRestart(_)));
        case.later(1);
        assert_eq!(case.state(), UnitState::Running);
    }
}

#[test]
fn the_delay_grows_until_a_pod_was_ready_for_long_enough() {
    let mut case = Case::ready();
    for (count, delay) in [(1, 10), (2, 20), (3, 40)] {
        case.pod_gone();
        let before = case.snapshot.now;
        let restarts = case.write().restarts.unwrap();
        assert_eq!((restarts.count, restarts.next.unwrap().0.duration_since(before).as_secs()), (count, delay));
        case.later(delay);
        case.pod(&testing::ready());
        assert_eq!(case.write().restarts, Some(Restarts { count, next: None }));
    }
    assert_eq!(case.assess().next_limit, Some(case.snapshot.now + SignedDuration::from_secs(600)));
    case.later(600);
    let mut written = Case { snapshot: case.snapshot.clone(), wanted: case.wanted.clone() };
    assert_eq!(written.write().restarts, None);
    assert!(written.status().last_failure.is_some(), "that stays");
    case.pod_gone();
    assert_eq!(case.status().restarts.unwrap().count, 1, "also where it was not written in time");
}

#[test]
fn a_pod_that_is_gone_before_any_status_named_it_meets_the_delay() {
    let mut case = Case::new();
    case.write();
    assert_eq!(case.state(), UnitState::Running);
    case.snapshot.pod_created = true;
    assert_eq!(case.lost().reason, Reason::PodLost);
}

#[test]
fn a_pod_that_has_ended_is_removed_once_its_end_is_written() {
    for (policy, status, reason) in [
        ("Always", failed(), Reason::PodFailed),
        ("Always", evicted(), Reason::PodEvicted),
        ("Never", evicted(), Reason::PodEvicted),
    ] {
        let mut case = Case::ready();
        case.pod_of(policy, &status);
        assert_eq!(case.lost().reason, reason);
        let written = case.write();
        assert_eq!((written.phase, written.pod_name), (Some(Phase::Pending), None));
        assert_eq!(case.state(), UnitState::PodTerminated, "{policy} {status}");
        case.delete_pod();
        assert!(matches!(case.state(), UnitState::AwaitingRestart(_)));
    }
}

#[test]
fn a_pod_whose_node_does_not_answer_is_told_of() {
    let mut case = Case::ready();
    case.delete_pod();
    case.write();
    assert_eq!(case.assess().stuck_pod, None);
    assert_eq!(case.assess().next_limit.unwrap().duration_since(case.snapshot.now).as_secs(), 10);
    case.later(30);
    let words = case.assess().stuck_pod.unwrap();
    assert!(words.contains("kubectl delete pod ada -n units --force"), "{words}");
    let written = case.write();
    let said = written.conditions.iter().find(|condition| condition.type_ == ConditionType::PodReady).unwrap();
    assert_eq!(said.reason, Reason::PodLost);
}
