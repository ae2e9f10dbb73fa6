//! How a pod was lost, ended or could not be started, in the words of a [`Failure`].

use k8s_openapi::{
    api::core::v1::{Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};
use kube::ResourceExt;

use super::{End, News, named, status};
use crate::{
    api::Failure,
    observed::Observed,
    status::pod::{self as words, POD_FAILED, POD_SUCCEEDED, START_TIMEOUT},
};

/// Reason: the pod was deleted by somebody, or went with its node.
pub const LOST: &str = "PodLost";
/// Reason: the cluster ended the pod, for want of room or for its node.
pub const EVICTED: &str = "PodEvicted";

/// How long past its time a pod may take to go before its node is taken for lost.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// What the cluster says of a pod that it ended by itself.
const BY_CLUSTER: &[&str] = &[
    "Evicted",
    "NodeLost",
    "NodeShutdown",
    "Shutdown",
    "Terminated",
    "Preempting",
    "NodeAffinity",
    "UnexpectedAdmissionError",
];

/// A pod that has ended: the end of its unit where its restart policy says so, else a loss.
pub(super) fn ended(pod: &Pod, now: Timestamp) -> News {
    let of = pod.status.as_ref();
    let failed = of.and_then(|status| status.phase.as_deref()) == Some("Failed");
    let reason = of.and_then(|status| status.reason.as_deref()).unwrap_or_default();
    let evicted = disruption(pod).is_some() || BY_CLUSTER.contains(&reason) || reason.starts_with("OutOf");
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always");
    let failure = |reason: &str| failure(pod, reason, words::end(pod), now);
    let end = |reason: &str, message: String, failure: Option<Failure>| {
        News::Finished(End { reason: reason.to_owned(), message, failure })
    };
    match (failed, policy) {
        _ if evicted => News::Lost(failure(EVICTED)),
        (false, "Never" | "OnFailure") => {
            let message = format!("{}; to run it again, suspend and resume the unit", words::end(pod));
            end(POD_SUCCEEDED, message, None)
        }
        (true, "Never") => {
            let message = format!(
                "{}; it is not tried again until the unit is edited, or suspended and resumed",
                words::end(pod)
            );
            end(POD_FAILED, message, Some(failure(POD_FAILED)))
        }
        (true, _) => News::Lost(failure(POD_FAILED)),
        (false, _) => News::Lost(failure(POD_SUCCEEDED)),
    }
}

/// A pod that was not Ready in time.
pub(super) fn late(pod: &Pod, now: Timestamp) -> News {
    let why = format!("the pod was not Ready within the pool's startTimeout: {}", words::unready(pod));
    let message = format!("{why}; it is not tried again until the unit is edited, or suspended and resumed");
    let failure = failure(pod, START_TIMEOUT, why, now);
    News::Finished(End { reason: START_TIMEOUT.to_owned(), message, failure: Some(failure) })
}

/// A pod that is gone or going although nobody here has asked it to.
pub(super) fn gone(observed: &Observed) -> Failure {
    let (reason, message) = observed.leaving.as_deref().map_or_else(|| vanished(observed), going);
    Failure { time: Some(Time(observed.now)), reason: reason.to_owned(), message, ..Failure::default() }
}

fn vanished(observed: &Observed) -> (&'static str, String) {
    let node = status(observed).and_then(|status| status.node_name.as_deref());
    let node = node.map(|node| format!(" on node {node:?}")).unwrap_or_default();
    let pod = observed.unit.name_any();
    (LOST, format!("pod {pod:?}{node} is gone: somebody deleted it, or it went with its node"))
}

fn going(pod: &Pod) -> (&'static str, String) {
    match disruption(pod) {
        Some(why) => {
            let words = why.message.as_deref().or(why.reason.as_deref()).unwrap_or("no reason is given");
            (EVICTED, format!("{} is evicted: {words}", named(pod)))
        }
        None => (LOST, format!("{} is being deleted, and not by this operator", named(pod))),
    }
}

fn failure(pod: &Pod, reason: &str, message: String, now: Timestamp) -> Failure {
    let container = words::culprit(pod);
    Failure {
        time: Some(Time(now)),
        reason: reason.to_owned(),
        message,
        container: container.map(|container| container.name.clone()),
        exit_code: container.and_then(words::exit_code),
    }
}

/// The cluster's own word on why it ends a pod.
fn disruption(pod: &Pod) -> Option<&PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True")
}

/// When a pod that is on its way out should have been gone long ago.
pub(super) fn stuck_at(observed: &Observed) -> Option<Timestamp> {
    // `deletionTimestamp` is when it should be gone.
    observed.leaving.as_ref()?.metadata.deletion_timestamp.as_ref()?.0.checked_add(PATIENCE).ok()
}

/// What to do about a pod on its way out that nobody ends: its node does not answer.
#[must_use]
pub fn stuck(observed: &Observed) -> Option<String> {
    let pod = observed.leaving.as_ref()?;
    let said = pod.status.as_ref().and_then(|status| status.reason.as_deref()) == Some("NodeLost");
    let tainted = disruption(pod).and_then(|why| why.reason.as_deref()) == Some("DeletionByTaintManager");
    let late = stuck_at(observed).is_some_and(|time| observed.now >= time);
    (said || tainted || late).then(|| {
        let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
        format!(
            "{} was told to end, and its node does not say that it has: a new pod is made when the node is back, or \
             once the old one is removed; if the node is gone for good, run kubectl delete pod {name} -n {namespace} \
             --force --grace-period=0",
            named(pod)
        )
    })
}
