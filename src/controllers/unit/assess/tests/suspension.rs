//! The deletion of units that have been suspended for long.

use computing_unit_api::{ConditionType, Conditions, Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::*;

const DAY: i64 = 24 * 3600;

fn ttl(case: &mut Case, seconds: i64) {
    let pool = Arc::make_mut(case.snapshot.pool.as_mut().unwrap());
    pool.spec.lifecycle.ttl_seconds_after_suspended = Some(i32::try_from(seconds).unwrap());
}

/// A unit that is suspended, with that TTL.
fn suspended(seconds: i64) -> Case {
    let mut case = Case::new();
    ttl(&mut case, seconds);
    case.mode(OperatingMode::Suspended);
    case.write();
    case
}

/// In how many seconds the unit is deleted, as the status has it.
fn expires_in(case: &Case) -> Option<i64> {
    let at = case.snapshot.unit.status.as_ref().unwrap().expires_at.as_ref()?.0;
    Some(at.duration_since(case.snapshot.now).as_secs())
}

fn expiring(case: &Case) -> Option<Condition> {
    case.snapshot.unit.status.as_ref().unwrap().conditions.find(ConditionType::Expiring).cloned()
}

fn deleted(case: &Case) -> bool {
    case.assess().expired(case.snapshot.now) == Some(Ttl::Suspended)
}

#[test]
fn time_is_published_at_once_and_announced_before_the_deletion() {
    for (ttl, notice) in [(30 * DAY, 3 * DAY), (DAY, DAY / 2), (10, 5)] {
        let mut case = suspended(ttl);
        assert_eq!((expires_in(&case), expiring(&case)), (Some(ttl), None), "{ttl}");
        assert_eq!(
            case.assess().next_limit.map(|time| time.duration_since(case.snapshot.now).as_secs()),
            Some(ttl - notice)
        );
        case.later(ttl - notice - 1);
        assert_eq!(case.status(), case.snapshot.unit.status.clone().unwrap(), "no write until then");
        case.later(1);
        case.write();
        let condition = expiring(&case).unwrap();
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("True", Reason::SuspendedTooLong.as_str()));
        assert_eq!(expires_in(&case), Some(notice));
        case.later(notice - 1);
        assert!(!deleted(&case) && case.status() == case.snapshot.unit.status.clone().unwrap(), "no write until then");
        case.later(1);
        assert!(deleted(&case), "{ttl}");
    }
}

#[test]
fn shorter_ttl_of_unit_and_pool_counts() {
    for (own, pools, expected) in [
        (None, None, None),
        (Some(5), None, Some(5)),
        (None, Some(7), Some(7)),
        (Some(5), Some(7), Some(5)),
        (Some(9), Some(7), Some(7)),
    ] {
        let mut case = Case::new();
        let pool = Arc::make_mut(case.snapshot.pool.as_mut().unwrap());
        pool.spec.lifecycle.ttl_seconds_after_suspended = pools;
        case.edit(|unit| unit.spec.lifecycle.get_or_insert_default().ttl_seconds_after_suspended = own);
        case.mode(OperatingMode::Suspended);
        case.write();
        assert_eq!(expires_in(&case), expected);
        case.mode(OperatingMode::Running);
        case.write();
        assert_eq!(expires_in(&case), None);
    }
}

#[test]
fn time_counts_from_when_the_unit_had_no_pod() {
    let mut case = Case::ready();
    ttl(&mut case, 100);
    case.mode(OperatingMode::Suspended);
    assert_eq!(case.write().expires_at, None, "its pod is stopping");
    case.later(50);
    case.pod_gone();
    case.write();
    assert_eq!(expires_in(&case), Some(100));
    // An edit of the suspended unit does not restart the time.
    case.later(10);
    case.edit(|_| ());
    case.write();
    assert_eq!(expires_in(&case), Some(90));
}

#[test]
fn ttl_that_is_set_or_changed_later_leaves_time_to_resume_the_unit() {
    let mut case = Case::new();
    case.mode(OperatingMode::Suspended);
    case.write();
    case.later(365 * DAY);
    ttl(&mut case, 30 * DAY);
    assert!(!deleted(&case));
    case.write();
    assert_eq!(expires_in(&case), Some(3 * DAY));
    assert!(expiring(&case).is_some());
    case.later(3 * DAY - 1);
    assert!(!deleted(&case));
    // Raised: the announcement is withdrawn.
    ttl(&mut case, 400 * DAY);
    case.write();
    assert_eq!((expires_in(&case), expiring(&case)), (Some(32 * DAY + 1), None));
    // Lowered.
    ttl(&mut case, 2 * DAY);
    case.write();
    assert_eq!(expires_in(&case), Some(DAY));
    case.later(DAY);
    assert!(deleted(&case));
}

#[test]
fn operator_that_did_not_run_deletes_nothing_without_notice() {
    // It was down when the announcement was due, for a moment or until after the deletion.
    for (late, left) in [(DAY, 2 * DAY), (2 * DAY, 3 * DAY), (100 * DAY, 3 * DAY)] {
        let mut case = suspended(30 * DAY);
        case.later(27 * DAY + late);
        assert!(!deleted(&case));
        case.write();
        assert_eq!(expires_in(&case), Some(left), "{late}");
        assert!(expiring(&case).is_some());
        // What was announced is done at once.
        case.later(left + DAY);
        assert!(deleted(&case));
    }
}
