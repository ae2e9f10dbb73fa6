//! What a unit's pod says of itself, in words for its user.

use k8s_openapi::{
    api::core::v1::{ContainerState, ContainerStatus, PersistentVolumeClaim, Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};

use super::{
    Facts,
    conditions::{SUSPENDED, Said, obstacle},
    types,
};
use crate::{
    api::Restarts,
    life::{self, Record},
    observed::{Child, Observed, ended, pod_ready},
    obstacles::Kind,
};

/// Reason: no node takes the pod.
pub const UNSCHEDULABLE: &str = "Unschedulable";
/// Reason: no node takes the pod because a claim of the unit has no volume.
pub const VOLUME_PENDING: &str = "VolumePending";
/// Reason: the pod was not Ready within the pool's `startTimeout`.
pub const START_TIMEOUT: &str = "StartTimeout";
/// Reason: an image cannot be had.
pub const IMAGE_PULL_FAILED: &str = "ImagePullFailed";
/// Reason: the engine ends again and again.
pub const CRASH_LOOP: &str = "CrashLoop";
/// Reason: the node cannot make the container.
pub const CONTAINER_REFUSED: &str = "ContainerRefused";
/// Reason: the node of the pod has fallen silent.
pub const NODE_NOT_READY: &str = "NodeNotReady";
/// Reason: the pod has ended with an error.
pub const POD_FAILED: &str = "PodFailed";
/// Reason: the pod has ended without an error.
pub const POD_SUCCEEDED: &str = "PodSucceeded";

/// Reason: the pod was lost, and the next one is made after a delay.
pub const RESTARTING: &str = "Restarting";

/// The condition `PodReady`.
pub fn condition(facts: Facts<'_>, record: &Record) -> Said {
    let observed = facts.observed;
    let no = |reason: &str, message: String| Said::no(types::POD_READY, reason, message);
    if let Some(obstacle) =
        obstacle(observed, |obstacle| [Kind::Pod, Kind::Claim].contains(&obstacle.kind) && !obstacle.refuses_unit)
    {
        return no(obstacle.rejection.reason, obstacle.rejection.message.clone());
    }
    if let Some(stuck) = life::stuck(observed) {
        return no(life::LOST, stuck);
    }
    if let Some(end) = record.end.as_ref().filter(|end| !(end.by_clock() && observed.serving())) {
        return no(&end.reason, end.message.clone());
    }
    if let Some(Restarts { count, next: Some(next) }) = &record.restarts {
        let lost = record.last_failure.as_ref().map_or("the pod was lost", |failure| failure.message.as_str());
        return no(RESTARTING, format!("{lost}; it is made anew at {}, for the {}", next.0, ordinal(*count)));
    }
    let pod = match &observed.pod {
        Child::Owned(pod) => pod,
        Child::Leaving => return no("PodLeaving", "waiting for the previous pod to end".to_owned()),
        Child::Absent if observed.suspended() => return no(SUSPENDED, "the unit is suspended".to_owned()),
        Child::Absent if observed.claims.values().any(|claim| matches!(claim, Child::Leaving)) => {
            return no(VOLUME_PENDING, "waiting for an earlier claim of the unit to go".to_owned());
        }
        Child::Absent => return no("PodMissing", "there is no pod yet".to_owned()),
    };
    if ended(pod) {
        return no(POD_FAILED, end(pod));
    }
    let ready = named(pod, "Ready");
    if ready.is_some_and(|ready| ready.status == "True") {
        return Said::yes(types::POD_READY, "PodReady", "the pod is Ready");
    }
    let (reason, message) = volume(observed, pod).or_else(|| trouble(pod)).unwrap_or_else(|| calm(pod));
    no(reason, message)
}

/// When a start has taken too long. Nothing where the pod has been Ready.
#[must_use]
pub fn start_deadline(observed: &Observed) -> Option<Timestamp> {
    let timeout = SignedDuration::try_from(observed.pool.as_ref()?.spec.start_timeout.0).ok()?;
    let pod = observed.pod.owned().filter(|pod| !ended(pod) && !pod_ready(pod))?;
    let created = pod.metadata.creation_timestamp.as_ref()?;
    let was_ready = observed
        .unit
        .status
        .as_ref()
        .is_some_and(|status| status.start_time.as_ref() == Some(created) && status.stages.pod_ready.is_some());
    created.0.checked_add(timeout).ok().filter(|_| !was_ready)
}

/// What keeps a pod from being Ready.
pub fn unready(pod: &Pod) -> String {
    trouble(pod).unwrap_or_else(|| calm(pod)).1
}

/// The container to blame for the end of a pod, or for its not being Ready.
pub fn culprit(pod: &Pod) -> Option<&ContainerStatus> {
    containers(pod).find(|container| exit_code(container).is_some_and(|code| code != 0)).or_else(|| {
        let only = containers(pod).last()?;
        exit_code(only).is_some().then_some(only)
    })
}

/// How a container ended last.
pub fn exit_code(container: &ContainerStatus) -> Option<i32> {
    let ended = |state: &Option<ContainerState>| Some(state.as_ref()?.terminated.as_ref()?.exit_code);
    ended(&container.state).or_else(|| ended(&container.last_state))
}

/// `1st time`.
fn ordinal(count: i32) -> String {
    let ending = match (count % 10, count % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{count}{ending} time")
}

/// Since when a condition of a pod is True.
pub fn since(pod: &Pod, type_: &str) -> Option<Time> {
    named(pod, type_).filter(|condition| condition.status == "True")?.last_transition_time.clone()
}

/// The condition of a pod of that type.
pub fn named<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == type_)
}

fn containers(pod: &Pod) -> impl DoubleEndedIterator<Item = &ContainerStatus> {
    let init = pod.status.iter().flat_map(|status| status.init_container_statuses.iter().flatten());
    let main = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    init.chain(main)
}

/// A claim that the pod waits for before it is given a node.
fn volume(observed: &Observed, pod: &Pod) -> Option<(&'static str, String)> {
    if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()) {
        return None;
    }
    let why = named(pod, "PodScheduled").filter(|condition| condition.status == "False");
    let why = why.and_then(|condition| condition.message.as_deref());
    // A claim may wait for the pod to be given a node, which it is not for another reason.
    let of_volumes = |why: &str| ["volume", "storageclass"].iter().any(|word| why.to_lowercase().contains(word));
    if why.is_some_and(|why| !of_volumes(why)) {
        return None;
    }
    let claims = observed.claims.iter().filter_map(|(name, claim)| Some((name, claim.owned()?)));
    let waiting: Vec<String> = claims
        .filter_map(|(name, claim)| {
            let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
            (phase != "Bound").then(|| format!("claim {name:?} is {phase} ({})", class(claim)))
        })
        .collect();
    if waiting.is_empty() {
        return None;
    }
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Some((VOLUME_PENDING, format!("{}{why}", waiting.join(", "))))
}

fn class(claim: &PersistentVolumeClaim) -> String {
    match claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref()) {
        None => "it names no storage class, and the cluster has no default one".to_owned(),
        Some("") => "without a storage class: somebody has to make a volume for it".to_owned(),
        Some(class) => format!("storage class {class:?}"),
    }
}

/// Something that does not pass by itself.
fn trouble(pod: &Pod) -> Option<(&'static str, String)> {
    if let Some(scheduled) = named(pod, "PodScheduled").filter(|condition| condition.status == "False") {
        let why = scheduled.message.clone().unwrap_or_default();
        return Some((UNSCHEDULABLE, format!("no node takes the pod: {why}")));
    }
    containers(pod).find_map(|container| {
        let name = &container.name;
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        let why = waiting.and_then(|waiting| waiting.message.clone()).unwrap_or_default();
        match waiting.and_then(|waiting| waiting.reason.as_deref()) {
            Some(
                "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable",
            ) => Some((IMAGE_PULL_FAILED, format!("image {:?} cannot be pulled: {why}", container.image))),
            Some(reason @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError")) => {
                Some((CONTAINER_REFUSED, format!("container {name:?} cannot be made ({reason}): {why}")))
            }
            Some("CrashLoopBackOff") => Some((CRASH_LOOP, format!("container {name:?} {}", last_words(container)))),
            _ => (container.restart_count > 0 && container.started != Some(true) || ended_badly(container))
                .then(|| (CRASH_LOOP, format!("container {name:?} {}", last_words(container)))),
        }
    })
}

fn ended_badly(container: &ContainerStatus) -> bool {
    let terminated = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    terminated.is_some_and(|terminated| terminated.exit_code != 0)
}

/// How a container ended last, as far as Kubernetes knows.
fn last_words(container: &ContainerStatus) -> String {
    let now = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    let before = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    match now.or(before) {
        Some(terminated) => {
            let why = terminated.message.as_deref().or(terminated.reason.as_deref()).unwrap_or_default().trim();
            let restarts = container.restart_count;
            format!("ended with exit code {} ({why}), restarts: {restarts}", terminated.exit_code)
        }
        None => "ends again and again".to_owned(),
    }
}

/// What passes by itself. Where a node falls silent, the cluster takes `Ready` back, and leaves the rest as the node said it.
fn calm(pod: &Pod) -> (&'static str, String) {
    let says = |type_: &str| named(pod, type_).map(|condition| condition.status.as_str());
    match named(pod, "Ready").and_then(|ready| ready.message.clone()) {
        Some(message) => ("ContainersNotReady", message),
        None if (says("Ready"), says("ContainersReady")) == (Some("False"), Some("True")) => {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
            (NODE_NOT_READY, format!("node {node:?} does not say any more how the pod is: the node is not ready"))
        }
        None => ("PodStarting", "the pod is starting".to_owned()),
    }
}

/// How a pod has ended.
pub fn end(pod: &Pod) -> String {
    let status = pod.status.as_ref();
    let own = status.and_then(|status| match (&status.reason, &status.message) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (reason, message) => reason.clone().or_else(|| message.clone()),
    });
    let words = own.or_else(|| {
        let container = containers(pod).find(|container| ended_badly(container)).or_else(|| containers(pod).last())?;
        Some(format!("container {:?} {}", container.name, last_words(container)))
    });
    format!("the pod has ended: {}", words.unwrap_or_else(|| "no reason is given".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::{testing, validate::Rejection};

    fn said(node: Value, scheduled: Value, class: Value, phase: &str) -> Said {
        let pod = json!({
            "spec": {"containers": [], "nodeName": node}, "status": {"phase": "Pending", "conditions": scheduled},
        });
        let claim = json!({"spec": {"storageClassName": class}, "status": {"phase": phase}});
        let mut observed = testing::observed("2026-01-01T01:00:00Z");
        observed.pod = Child::Owned(Arc::new(serde_json::from_value(pod).unwrap()));
        observed.claims.insert("data-ada".into(), Child::Owned(Arc::new(serde_json::from_value(claim).unwrap())));
        let wanted = Err(Rejection::new("", ""));
        condition(Facts { observed: &observed, wanted: &wanted, probe: None }, &Record::default())
    }

    #[test]
    fn a_claim_without_a_volume_is_named() {
        let no = |message: &str| json!([{"type": "PodScheduled", "status": "False", "message": message}]);
        let unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
        for (node, scheduled, class, phase, reason, words) in [
            (json!(null), no(unbound), json!("fast"), "Pending", VOLUME_PENDING, unbound),
            (
                json!(null),
                no(unbound),
                json!("fast"),
                "Pending",
                VOLUME_PENDING,
                "\"data-ada\" is Pending (storage class \"fast\")",
            ),
            (json!(null), no("persistentvolumeclaim is lost"), json!("fast"), "Lost", VOLUME_PENDING, "is Lost"),
            (json!(null), json!([]), json!(null), "Pending", VOLUME_PENDING, "the cluster has no default one"),
            (json!(null), json!([]), json!(""), "Pending", VOLUME_PENDING, "somebody has to make a volume"),
            // It is the pod that finds no place, and the claim waits for one.
            (json!(null), no("Insufficient cpu"), json!("late"), "Pending", UNSCHEDULABLE, "Insufficient cpu"),
            (json!(null), json!([]), json!("fast"), "Bound", "PodStarting", ""),
            (json!("node"), json!([]), json!("fast"), "Pending", "PodStarting", ""),
        ] {
            let said = said(node, scheduled, class, phase);
            assert_eq!(said.reason, reason, "{}", said.message);
            assert!(said.message.contains(words), "{}", said.message);
        }
    }

    #[test]
    fn a_node_that_falls_silent_is_named() {
        let condition = |type_: &str, status: &str| json!({"type": type_, "status": status});
        for (ready, containers, reason) in
            [("False", "True", NODE_NOT_READY), ("False", "False", "PodStarting"), ("True", "True", "PodReady")]
        {
            let conditions = json!([condition("Ready", ready), condition("ContainersReady", containers)]);
            let said = said(json!("one"), conditions, json!("fast"), "Bound");
            assert_eq!(said.reason, reason, "{}", said.message);
            assert!(reason != NODE_NOT_READY || said.message.contains("node \"one\""), "{}", said.message);
        }
    }
}
