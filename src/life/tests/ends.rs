//! Units that end with their pod, or that never came to run.

use super::*;
use crate::api::Phase;

#[test]
fn a_unit_that_is_not_restarted_ends_with_its_pod() {
    let mut case = Case::ready();
    case.pod_of("Never", &failed());
    let end = case.ends();
    assert_eq!((end.reason.as_str(), end.failed()), (POD_FAILED, true));
    let written = case.write();
    let failure = written.last_failure.unwrap();
    assert_eq!((failure.container.as_deref(), failure.exit_code), (Some("engine"), Some(3)));
    assert!(failure.message.contains("out of cheese"), "{failure:?}");
    assert_eq!(written.phase, Some(Phase::Failed));
    assert!(matches!(case.life(), Life::Finished(_)));
    // Edited before the pod is gone: that very pod is not the next end.
    case.edit(|_| ());
    assert_eq!(case.life(), Life::Spent);
    case.delete_pod();
    assert_eq!(case.life(), Life::Runs);
    case.pod_gone();
    assert_eq!(case.life(), Life::Runs);
    assert!(case.write().conditions.iter().all(|condition| condition.type_ != types::FINISHED));

    for policy in ["Never", "OnFailure"] {
        let mut case = Case::ready();
        case.pod_of(policy, &json!({"phase": "Succeeded"}));
        assert_eq!(case.ends().reason, POD_SUCCEEDED);
        let written = case.write();
        assert_eq!((written.phase, written.last_failure), (Some(Phase::Finished), None));
        case.pod_gone();
        assert!(matches!(case.life(), Life::Finished(_)), "its absence is no loss");
    }
}

#[test]
fn a_start_that_takes_too_long_is_given_up() {
    let mut case = Case::starting();
    case.pod(&json!({"phase": "Pending", "containerStatuses": [{
        "name": "engine", "image": "engine:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
    }]}));
    case.later(59);
    assert_eq!(case.life(), Life::Runs);
    case.later(1);
    let end = case.ends();
    assert!(end.reason == START_TIMEOUT && end.message.contains("no such image"), "{end:?}");
    let written = case.write();
    assert_eq!((written.phase, written.pod_name), (Some(Phase::Failed), None));
    assert!(case.observed.resting());
    case.edit(|_| ());
    assert_eq!(case.life(), Life::Spent, "the pod of the start that was given up goes first");
    case.pod_gone();
    assert_eq!(case.life(), Life::Runs);

    let mut case = Case::ready();
    case.later(59);
    case.pod(&json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}));
    case.later(60);
    assert_eq!(case.life(), Life::Runs, "it was Ready");
}

#[test]
fn a_unit_that_rests_says_the_same_whenever_it_is_looked_at() {
    let ends: [fn() -> Case; 3] = [
        || {
            let mut case = Case::starting();
            case.later(60);
            case
        },
        || {
            let mut case = Case::ready();
            case.pod_of("Never", &failed());
            case
        },
        || {
            let mut case = Case::ready();
            shut_at(&mut case, Some(MADE));
            case
        },
    ];
    for end in ends {
        let mut case = end();
        case.write();
        case.delete_pod();
        case.pod_gone();
        let at_rest = case.write();
        for seconds in [1, 60, 86_400] {
            case.later(seconds);
            assert_eq!(case.status(), at_rest);
        }
        assert_eq!(next(&case.observed), None, "and nothing is waited for");
    }
}
