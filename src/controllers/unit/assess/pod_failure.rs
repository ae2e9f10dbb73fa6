//! How a pod was lost, failed, or did not start in time.
//!
//! Pure.

use computing_unit_api::{Failure, Reason, names::TEMPLATE_HASH};
use k8s_openapi::{
    api::core::v1::Pod,
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};
use kube::ResourceExt;

use super::{
    finish::{Finish, FinishReason},
    not_ready::not_ready,
    recorded::status,
    state::Transition,
};
use crate::controllers::unit::{
    engine,
    pod::{self, display_name, disruption, termination_message},
    snapshot::Snapshot,
};

/// How long after its deletion deadline a pod may still exist before its node is considered unreachable.
const DELETION_TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
/// `status.reason` of pods that the cluster itself terminated.
const EVICTION_REASONS: &[&str] = &[
    "Evicted",
    "NodeLost",
    "NodeShutdown",
    "Shutdown",
    "Terminated",
    "Preempting",
    "NodeAffinity",
    "UnexpectedAdmissionError",
];

/// How a unit that failed is started again.
const RETRY: &str = "to retry, edit the unit, suspend and resume it, or correct the template of its pool";

/// The transition of a unit whose pod has terminated. The restart policy decides whether the unit is finished.
pub(super) fn ended(pod: &Pod, now: Timestamp) -> Transition {
    let reason = pod.status.as_ref().and_then(|status| status.reason.as_deref()).unwrap_or_default();
    let evicted = disruption(pod).is_some() || EVICTION_REASONS.contains(&reason) || reason.starts_with("OutOf");
    let failure = |reason| failure(pod, reason, termination_message(pod), now);
    match (pod::failed(pod), engine::restart_policy(pod)) {
        _ if evicted => Transition::PodLost(failure(Reason::PodEvicted)),
        (false, "Never" | "OnFailure") => Transition::Finished(Finish {
            reason: FinishReason::PodSucceeded,
            message: format!("{}; to run it again, suspend and resume the unit", termination_message(pod)),
            failure: None,
        }),
        (true, "Never") => Transition::Finished(Finish {
            reason: FinishReason::PodFailed,
            message: format!("{}; {RETRY}", termination_message(pod)),
            failure: Some(failure(Reason::PodFailed)),
        }),
        (true, _) => Transition::PodLost(failure(Reason::PodFailed)),
        (false, _) => Transition::PodLost(failure(Reason::PodSucceeded)),
    }
}

/// The transition of a unit whose pod was not Ready in time.
pub(super) fn start_timeout(snapshot: &Snapshot, pod: &Pod) -> Transition {
    let why = format!("the pod was not Ready within the pool's startTimeout: {}", not_ready(snapshot, pod).1);
    Transition::Finished(Finish {
        reason: FinishReason::StartTimeout,
        message: format!("{why}; {RETRY}"),
        failure: Some(failure(pod, Reason::StartTimeout, why, snapshot.now)),
    })
}

/// The failure of a pod that is gone or being deleted, although the operator did not delete it.
pub(super) fn lost(snapshot: &Snapshot) -> Failure {
    let (reason, message) = snapshot.terminating_pod.as_deref().map_or_else(|| gone(snapshot), being_deleted);
    Failure { time: Some(Time(snapshot.now)), reason: reason.to_string(), message, ..Failure::default() }
}

fn gone(snapshot: &Snapshot) -> (Reason, String) {
    let node = status(snapshot).and_then(|status| status.node_name.as_deref());
    let node = node.map(|node| format!(" on node {node:?}")).unwrap_or_default();
    let pod = snapshot.unit.name_any();
    (Reason::PodLost, format!("pod {pod:?}{node} is gone: it was deleted, or its node was removed"))
}

fn being_deleted(pod: &Pod) -> (Reason, String) {
    match disruption(pod) {
        Some(why) => {
            let why = why.message.as_deref().or(why.reason.as_deref()).unwrap_or("no reason reported");
            (Reason::PodEvicted, format!("{} is evicted: {why}", display_name(pod)))
        }
        None => (Reason::PodLost, format!("{} is being deleted, and not by the operator", display_name(pod))),
    }
}

fn failure(pod: &Pod, reason: Reason, message: String, now: Timestamp) -> Failure {
    let container = pod::failed_container(pod);
    Failure {
        time: Some(Time(now)),
        reason: reason.to_string(),
        message,
        container: container.map(|container| container.name.clone()),
        exit_code: container.and_then(pod::exit_code),
        template_hash: pod.annotations().get(TEMPLATE_HASH).cloned(),
    }
}

/// When a pod that is being deleted is considered stuck.
pub(super) fn stuck_at(snapshot: &Snapshot) -> Option<Timestamp> {
    // `deletionTimestamp` is the time at which the pod should be gone.
    let deadline = snapshot.terminating_pod.as_ref()?.metadata.deletion_timestamp.as_ref()?.0;
    deadline.checked_add(DELETION_TOLERANCE).ok()
}

/// What to do about a pod whose deletion no node confirms.
pub fn stuck(snapshot: &Snapshot) -> Option<String> {
    let pod = snapshot.terminating_pod.as_ref()?;
    let node_lost = pod.status.as_ref().and_then(|status| status.reason.as_deref()) == Some("NodeLost");
    let tainted = disruption(pod).and_then(|why| why.reason.as_deref()) == Some("DeletionByTaintManager");
    let late = stuck_at(snapshot).is_some_and(|time| snapshot.now >= time);
    (node_lost || tainted || late).then(|| {
        let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
        format!(
            "{} is being deleted, but its node does not confirm it: the next pod is created when the node is back or \
             the old pod is removed; if the node is gone for good, run kubectl delete pod {name} -n {namespace} \
             --force --grace-period=0",
            display_name(pod)
        )
    })
}
