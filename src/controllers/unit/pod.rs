//! Facts about a Pod: whether it runs, how it failed, and what it waits for.
//!
//! Pure. Nothing here knows what a unit is.

use computing_unit_api::Reason;
use k8s_openapi::{
    api::core::v1::{ContainerState, ContainerStatus, Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt;

/// Whether every container has terminated for good.
pub fn terminated(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether the pod failed rather than succeeded.
pub fn failed(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Failed")
}

/// Whether the condition `Ready` is True.
pub fn ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

/// The condition of that type.
pub fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == type_)
}

/// Since when a condition is True.
pub fn true_since(pod: &Pod, type_: &str) -> Option<Time> {
    condition(pod, type_).filter(|condition| condition.status == "True")?.last_transition_time.clone()
}

/// The name of the pod and its node, for messages.
pub fn display_name(pod: &Pod) -> String {
    match pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) {
        Some(node) => format!("pod {:?} on node {node:?}", pod.name_any()),
        None => format!("pod {:?}", pod.name_any()),
    }
}

/// The True condition `DisruptionTarget`, which the cluster sets on a pod that it evicts.
pub fn disruption(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, "DisruptionTarget").filter(|condition| condition.status == "True")
}

/// Why the pod is not Ready: a failure that needs intervention, or else a transient state.
pub fn not_ready(pod: &Pod) -> (Reason, String) {
    permanent_failure(pod).unwrap_or_else(|| transient_state(pod))
}

/// The container that made the pod fail or keeps it from being Ready.
pub fn failed_container(pod: &Pod) -> Option<&ContainerStatus> {
    containers(pod).find(|container| exit_code(container).is_some_and(|code| code != 0)).or_else(|| {
        let only = containers(pod).last()?;
        exit_code(only).is_some().then_some(only)
    })
}

/// The exit code of the last termination of a container.
pub fn exit_code(container: &ContainerStatus) -> Option<i32> {
    let code = |state: &Option<ContainerState>| Some(state.as_ref()?.terminated.as_ref()?.exit_code);
    code(&container.state).or_else(|| code(&container.last_state))
}

/// Init containers, then the others.
fn containers(pod: &Pod) -> impl DoubleEndedIterator<Item = &ContainerStatus> {
    let init = pod.status.iter().flat_map(|status| status.init_container_statuses.iter().flatten());
    let main = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    init.chain(main)
}

/// A failure that needs intervention.
fn permanent_failure(pod: &Pod) -> Option<(Reason, String)> {
    if let Some(scheduled) = condition(pod, "PodScheduled").filter(|condition| condition.status == "False") {
        let why = scheduled.message.clone().unwrap_or_default();
        return Some((Reason::Unschedulable, format!("the pod cannot be scheduled: {why}")));
    }
    containers(pod).find_map(|container| {
        let name = &container.name;
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        let why = waiting.and_then(|waiting| waiting.message.clone()).unwrap_or_default();
        match waiting.and_then(|waiting| waiting.reason.as_deref()) {
            Some(
                "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable",
            ) => Some((Reason::ImagePullFailed, format!("image {:?} cannot be pulled: {why}", container.image))),
            Some(reason @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError")) => {
                Some((Reason::ContainerRefused, format!("container {name:?} cannot be created ({reason}): {why}")))
            }
            Some("CrashLoopBackOff") => {
                Some((Reason::CrashLoop, format!("container {name:?} {}", termination(container))))
            }
            _ => (container.restart_count > 0 && container.started != Some(true) || exited_nonzero(container))
                .then(|| (Reason::CrashLoop, format!("container {name:?} {}", termination(container)))),
        }
    })
}

/// A state that passes without intervention. If a node stops reporting, the cluster sets the condition `Ready` to False
/// and leaves the others as the node reported them last.
fn transient_state(pod: &Pod) -> (Reason, String) {
    let status = |type_: &str| condition(pod, type_).map(|condition| condition.status.as_str());
    match condition(pod, "Ready").and_then(|ready| ready.message.clone()) {
        Some(message) => (Reason::ContainersNotReady, message),
        None if (status("Ready"), status("ContainersReady")) == (Some("False"), Some("True")) => {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
            (Reason::NodeNotReady, format!("node {node:?} is not ready and has stopped reporting the pod's status"))
        }
        None => (Reason::PodStarting, "the pod is starting".to_owned()),
    }
}

fn exited_nonzero(container: &ContainerStatus) -> bool {
    let terminated = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    terminated.is_some_and(|terminated| terminated.exit_code != 0)
}

/// The last termination of a container.
fn termination(container: &ContainerStatus) -> String {
    let now = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    let before = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    match now.or(before) {
        Some(terminated) => {
            let why = terminated.message.as_deref().or(terminated.reason.as_deref()).unwrap_or_default().trim();
            let restarts = container.restart_count;
            format!("exited with code {} ({why}), restarts: {restarts}", terminated.exit_code)
        }
        None => "fails repeatedly".to_owned(),
    }
}

/// How a terminated pod ended.
pub fn termination_message(pod: &Pod) -> String {
    let status = pod.status.as_ref();
    let own = status.and_then(|status| match (&status.reason, &status.message) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (reason, message) => reason.clone().or_else(|| message.clone()),
    });
    let why = own.or_else(|| {
        let container =
            containers(pod).find(|container| exited_nonzero(container)).or_else(|| containers(pod).last())?;
        Some(format!("container {:?} {}", container.name, termination(container)))
    });
    format!("the pod terminated: {}", why.unwrap_or_else(|| "no reason reported".to_owned()))
}
