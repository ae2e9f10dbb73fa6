//! Time limits.

use computing_unit_api::Phase;

use super::*;

#[test]
fn time_limit_finishes_a_unit_until_it_is_changed() {
    let mut case = Case::new();
    shut_at(&mut case, Some("2025-12-31T00:00:00Z"));
    assert_eq!(case.finish().reason, FinishReason::ShutdownTime);
    assert_eq!(case.write().phase, Some(Phase::Finished), "it was never started");

    let mut case = Case::ready();
    shut_at(&mut case, Some("2026-01-01T00:01:00Z"));
    assert_eq!(case.assess().next_limit, Some(testing::time("2026-01-01T00:01:00Z").0));
    case.later(60);
    assert_eq!(case.finish().reason, FinishReason::ShutdownTime);
    assert_eq!(case.write().phase, Some(Phase::Suspending), "its pod is there");
    let drained = case.assess().withdrawal_deadlines.drained.unwrap();
    assert_eq!(drained, case.snapshot.now + SignedDuration::from_secs(10), "since its end");
    case.later(-30);
    assert!(matches!(case.state(), UnitState::Finished(_)), "a clock that is set back undoes nothing");
    case.delete_pod();
    case.pod_gone();
    assert_eq!(case.write().phase, Some(Phase::Finished));
    case.later(3600);
    shut_at(&mut case, Some("2026-01-02T00:00:00Z"));
    assert_eq!(case.state(), UnitState::Running);
    assert_eq!(case.write().restarts, None);

    let mut case = Case::ready();
    Arc::make_mut(case.snapshot.pool.as_mut().unwrap()).spec.lifecycle.max_age = Some(Duration::from_secs(60));
    assert_eq!(case.assess().next_limit, Some(testing::time("2026-01-01T00:01:00Z").0));
    case.later(60);
    assert_eq!(case.finish().reason, FinishReason::MaxAge);
    // A unit that is suspended grows old as well.
    case.mode(OperatingMode::Suspended);
    case.pod_gone();
    assert_eq!(case.write().phase, Some(Phase::Finished));
}

#[test]
fn finished_unit_expires_after_the_shorter_ttl() {
    for (own, pools, after) in [
        (None, None, None),
        (Some(5), None, Some(5)),
        (None, Some(7), Some(7)),
        (Some(5), Some(7), Some(5)),
        (Some(9), Some(7), Some(7)),
    ] {
        let mut case = Case::new();
        shut_at(&mut case, Some("2025-12-31T00:00:00Z"));
        case.edit(|unit| unit.spec.lifecycle.as_mut().unwrap().ttl_seconds_after_finished = own);
        let pool = Arc::make_mut(case.snapshot.pool.as_mut().unwrap());
        pool.spec.lifecycle.ttl_seconds_after_finished = pools;
        assert_eq!(case.assess().expires, None, "its end is not written");
        case.write();
        let began = case.snapshot.now;
        assert_eq!(case.assess().expires.map(|time| time.duration_since(began).as_secs()), after);
        case.later(after.unwrap_or(1_000_000));
        assert_eq!(case.assess().expired(case.snapshot.now), after.map(|_| Ttl::Finished));
    }
}
