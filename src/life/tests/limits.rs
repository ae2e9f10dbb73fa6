//! Units whose time is over.

use super::*;
use crate::api::Phase;

#[test]
fn a_time_limit_ends_a_unit_until_it_is_moved() {
    let mut case = Case::new();
    shut_at(&mut case, Some("2025-12-31T00:00:00Z"));
    assert_eq!(case.ends().reason, SHUTDOWN_TIME);
    assert_eq!(case.write().phase, Some(Phase::Finished), "it was never started");

    let mut case = Case::ready();
    shut_at(&mut case, Some("2026-01-01T00:01:00Z"));
    assert_eq!(next(&case.observed), Some(testing::time("2026-01-01T00:01:00Z").0));
    case.later(60);
    assert_eq!(case.ends().reason, SHUTDOWN_TIME);
    assert_eq!(case.write().phase, Some(Phase::Suspending), "its pod is there");
    assert_eq!(case.observed.closing_since(), Some(case.observed.now));
    case.later(-30);
    assert!(matches!(case.life(), Life::Finished(_)), "a clock that is set back undoes nothing");
    case.delete_pod();
    case.pod_gone();
    assert_eq!(case.write().phase, Some(Phase::Finished));
    case.later(3600);
    shut_at(&mut case, Some("2026-01-02T00:00:00Z"));
    assert_eq!(case.life(), Life::Runs);
    assert_eq!(case.write().restarts, None);

    let mut case = Case::ready();
    Arc::make_mut(case.observed.pool.as_mut().unwrap()).spec.lifecycle.max_age = Some(Duration::from_secs(60));
    assert_eq!(next(&case.observed), Some(testing::time("2026-01-01T00:01:00Z").0));
    case.later(60);
    assert_eq!(case.ends().reason, MAX_AGE);
    // A unit that is suspended grows old as well.
    case.mode(OperatingMode::Suspended);
    case.pod_gone();
    assert_eq!(case.write().phase, Some(Phase::Finished));
}

#[test]
fn a_finished_unit_is_deleted_after_the_shorter_time() {
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
        let pool = Arc::make_mut(case.observed.pool.as_mut().unwrap());
        pool.spec.lifecycle.ttl_seconds_after_finished = pools;
        assert_eq!(expires(&case.observed), None, "its end is not written");
        case.write();
        let began = case.observed.now;
        assert_eq!(expires(&case.observed).map(|time| time.duration_since(began).as_secs()), after);
        case.later(after.unwrap_or(1_000_000));
        assert_eq!(expired(&case.observed), after.is_some());
    }
}
