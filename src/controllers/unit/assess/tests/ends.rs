//! Units that finish with their pod, or that did not start in time.

use computing_unit_api::{ConditionType, Phase};

use super::*;

#[test]
fn unit_that_is_not_restarted_finishes_with_its_pod() {
    let mut case = Case::ready();
    case.pod_of("Never", &failed());
    let end = case.finish();
    assert_eq!((end.reason, end.reason.is_failure()), (FinishReason::PodFailed, true));
    let written = case.write();
    let failure = written.last_failure.unwrap();
    assert_eq!((failure.container.as_deref(), failure.exit_code), (Some("engine"), Some(3)));
    assert!(failure.message.contains("out of cheese"), "{failure:?}");
    assert_eq!(written.phase, Some(Phase::Failed));
    assert!(matches!(case.state(), UnitState::Finished(_)));
    // Edited before the pod is gone: that very pod is not the next end.
    case.edit(|_| ());
    assert_eq!(case.state(), UnitState::PodTerminated);
    case.delete_pod();
    assert_eq!(case.state(), UnitState::Running);
    case.pod_gone();
    assert_eq!(case.state(), UnitState::Running);
    assert!(case.write().conditions.iter().all(|condition| condition.type_ != ConditionType::Finished));

    for policy in ["Never", "OnFailure"] {
        let mut case = Case::ready();
        case.pod_of(policy, &json!({"phase": "Succeeded"}));
        assert_eq!(case.finish().reason, FinishReason::PodSucceeded);
        let written = case.write();
        assert_eq!((written.phase, written.last_failure), (Some(Phase::Finished), None));
        case.pod_gone();
        assert!(matches!(case.state(), UnitState::Finished(_)), "its absence is no loss");
    }
}

#[test]
fn start_timeout_fails_the_unit() {
    let mut case = Case::starting();
    case.pod(&json!({"phase": "Pending", "containerStatuses": [{
        "name": "engine", "image": "engine:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
    }]}));
    case.later(59);
    assert_eq!(case.state(), UnitState::Running);
    case.later(1);
    let end = case.finish();
    assert!(end.reason == FinishReason::StartTimeout && end.message.contains("no such image"), "{end:?}");
    let written = case.write();
    assert_eq!((written.phase, written.pod_name), (Some(Phase::Failed), None));
    assert!(case.assess().at_rest);
    case.edit(|_| ());
    assert_eq!(case.state(), UnitState::PodTerminated, "the pod of the start that was given up goes first");
    case.pod_gone();
    assert_eq!(case.state(), UnitState::Running);

    let mut case = Case::ready();
    case.later(59);
    case.pod(&json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}));
    case.later(60);
    assert_eq!(case.state(), UnitState::Running, "it was Ready");
}

#[test]
fn status_of_a_finished_unit_does_not_change_with_time() {
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
        assert_eq!(case.assess().next_limit, None, "and nothing is waited for");
    }
}
