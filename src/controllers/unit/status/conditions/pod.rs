//! The condition `PodReady`.

use computing_unit_api::{ConditionType, Reason, Restarts};

use super::super::Facts;
use crate::controllers::{
    condition::Draft,
    unit::{
        assess::not_ready::not_ready,
        blocked::Write,
        pod,
        snapshot::{Child, Snapshot},
    },
};

/// The condition `PodReady`.
pub(super) fn ready(facts: Facts<'_>) -> Draft {
    let (snapshot, history) = (facts.snapshot, &facts.assessment.history);
    let no = |reason: Reason, message: String| Draft::no(ConditionType::PodReady, reason, message);
    if let Some(blocked) = snapshot.blocked.by_cluster(&[Write::Pod, Write::PersistentVolumeClaim]) {
        return no(blocked.reason, blocked.message.clone());
    }
    if let Some(stuck) = &facts.assessment.stuck_pod {
        return no(Reason::PodLost, stuck.clone());
    }
    if let Some(finish) =
        history.finish.as_ref().filter(|finish| !(finish.reason.is_time_limit() && snapshot.serving()))
    {
        return no(finish.reason.reason(), finish.message.clone());
    }
    if let Some(Restarts { count, next: Some(next) }) = &history.restarts {
        let why = history.last_failure.as_ref().map_or("the pod was lost", |failure| failure.message.as_str());
        return no(Reason::Restarting, format!("{why}; restarting at {} (restart {count})", next.0));
    }
    let current = match &snapshot.pod {
        Child::Owned(pod) => pod,
        Child::Terminating => {
            return no(Reason::PodTerminating, "waiting for the previous pod to terminate".to_owned());
        }
        Child::Absent => return absent(snapshot),
    };
    if pod::terminated(current) {
        return no(Reason::PodFailed, pod::termination_message(current));
    }
    if pod::ready(current) {
        return Draft::yes(ConditionType::PodReady, Reason::PodReady, "the pod is Ready");
    }
    let (reason, message) = not_ready(snapshot, current);
    no(reason, message)
}

fn absent(snapshot: &Snapshot) -> Draft {
    let no = |reason, message| Draft::no(ConditionType::PodReady, reason, message);
    if snapshot.suspended() {
        no(Reason::Suspended, "the unit is suspended")
    } else if snapshot.pvcs.values().any(|claim| matches!(claim, Child::Terminating)) {
        no(Reason::VolumePending, "waiting for a previous PersistentVolumeClaim of the unit to be deleted")
    } else {
        no(Reason::PodNotCreated, "the pod has not been created yet")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        controllers::unit::{assess::assess, validate::Rejection},
        testing,
    };

    fn draft(node: Value, scheduled: Value, class: Value, phase: &str) -> Draft {
        let pod = json!({
            "spec": {"containers": [], "nodeName": node}, "status": {"phase": "Pending", "conditions": scheduled},
        });
        let claim = json!({"spec": {"storageClassName": class}, "status": {"phase": phase}});
        let mut snapshot = testing::snapshot("2026-01-01T01:00:00Z");
        snapshot.pod = Child::Owned(Arc::new(serde_json::from_value(pod).unwrap()));
        snapshot.pvcs.insert("data-ada".into(), Child::Owned(Arc::new(serde_json::from_value(claim).unwrap())));
        let wanted = Err(Rejection::new(Reason::PoolNotFound, ""));
        let assessment = assess(&snapshot, &wanted);
        super::ready(Facts { snapshot: &snapshot, wanted: &wanted, assessment: &assessment })
    }

    #[test]
    fn unbound_volume_claim_is_named() {
        let no = |message: &str| json!([{"type": "PodScheduled", "status": "False", "message": message}]);
        let unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
        for (node, scheduled, class, phase, reason, words) in [
            (json!(null), no(unbound), json!("fast"), "Pending", Reason::VolumePending, unbound),
            (
                json!(null),
                no(unbound),
                json!("fast"),
                "Pending",
                Reason::VolumePending,
                "\"data-ada\" is Pending (storage class \"fast\")",
            ),
            (json!(null), no("persistentvolumeclaim is lost"), json!("fast"), "Lost", Reason::VolumePending, "is Lost"),
            (json!(null), json!([]), json!(null), "Pending", Reason::VolumePending, "the cluster has no default"),
            (
                json!(null),
                json!([]),
                json!(""),
                "Pending",
                Reason::VolumePending,
                "a PersistentVolume has to be created",
            ),
            // The claim waits for a pod that cannot be scheduled for another reason.
            (json!(null), no("Insufficient cpu"), json!("late"), "Pending", Reason::Unschedulable, "Insufficient cpu"),
            (json!(null), json!([]), json!("fast"), "Bound", Reason::PodStarting, ""),
            (json!("node"), json!([]), json!("fast"), "Pending", Reason::PodStarting, ""),
        ] {
            let draft = draft(node, scheduled, class, phase);
            assert_eq!(draft.reason, reason, "{}", draft.message);
            assert!(draft.message.contains(words), "{}", draft.message);
        }
    }

    #[test]
    fn node_that_stopped_reporting_is_named() {
        let condition = |type_: &str, status: &str| json!({"type": type_, "status": status});
        for (ready, containers, reason) in [
            ("False", "True", Reason::NodeNotReady),
            ("False", "False", Reason::PodStarting),
            ("True", "True", Reason::PodReady),
        ] {
            let conditions = json!([condition("Ready", ready), condition("ContainersReady", containers)]);
            let draft = draft(json!("one"), conditions, json!("fast"), "Bound");
            assert_eq!(draft.reason, reason, "{}", draft.message);
            assert!(reason != Reason::NodeNotReady || draft.message.contains("node \"one\""), "{}", draft.message);
        }
    }
}
