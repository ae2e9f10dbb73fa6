//! Facts about a Pod: whether it runs, how it failed, and what it waits for.
//!
//! Pure. Nothing here knows what a unit is.

use computing_unit_api::{Reason, names::own_container};
use k8s_openapi::{
    api::core::v1::{ContainerState, ContainerStatus, Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use kube::ResourceExt;

use super::engine;

/// Whether every container has terminated for good, or the engine has while a sidecar runs on.
pub fn terminated(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed")) || engine::ended(pod)
}

/// Whether the pod, given that it has terminated, failed rather than succeeded. The phase is `Failed` as well if only a
/// sidecar did. With a reason, the cluster ended the pod.
pub fn failed(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let failed = status.and_then(|status| status.phase.as_deref()) == Some("Failed");
    let ended_by_cluster = failed && status.is_some_and(|status| status.reason.is_some());
    let engine = engine::terminated(pod).filter(|_| !ended_by_cluster);
    engine.map_or(failed, |end| end.exit_code != 0)
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

/// Since when the node has been setting the pod up: its volumes, its network and its devices. `None` once a container can
/// start, and before the kubelet has reported the pod.
pub fn set_up_since(pod: &Pod) -> Option<Timestamp> {
    const SANDBOX: &str = "PodReadyToStartContainers";
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    let mut containers = init.chain(status.container_statuses.iter().flatten()).peekable();
    containers.peek()?;
    // Kubelets before 1.29 do not have the condition.
    let set_up = condition(pod, SANDBOX).is_some_and(|condition| condition.status == "True");
    if set_up || terminated(pod) || !containers.all(is_created) {
        return None;
    }
    let changed = |type_: &str| Some(condition(pod, type_)?.last_transition_time.as_ref()?.0);
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    changed("PodScheduled").max(changed(SANDBOX)).or(created)
}

/// Whether a container waits for the pod to be set up.
fn is_created(container: &ContainerStatus) -> bool {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
    matches!(reason, Some("ContainerCreating" | "PodInitializing"))
}

/// The name of the pod and its node, for messages.
pub fn display_name(pod: &Pod) -> String {
    match pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) {
        Some(node) => format!("pod {:?} on node {node:?}", pod.name_any()),
        None => format!("pod {:?}", pod.name_any()),
    }
}

/// The scheduling gates that hold the pod back.
pub fn scheduling_gates(pod: &Pod) -> Vec<&str> {
    let gates = pod.spec.iter().flat_map(|spec| spec.scheduling_gates.iter().flatten());
    gates.map(|gate| gate.name.as_str()).collect()
}

/// The True condition `DisruptionTarget`, which the cluster sets on a pod that it evicts, or `TerminationTarget`, which Kueue
/// sets on one that it stops.
pub fn disruption(pod: &Pod) -> Option<&PodCondition> {
    let all = ["DisruptionTarget", "TerminationTarget"].into_iter().filter_map(|type_| condition(pod, type_));
    all.into_iter().find(|condition| condition.status == "True")
}

/// Why the pod is not Ready: a failure that needs intervention, or else a transient state.
pub fn not_ready(pod: &Pod) -> (Reason, String) {
    permanent_failure(pod).unwrap_or_else(|| transient_state(pod))
}

/// The container that made the pod fail or keeps it from being Ready.
pub fn failed_container(pod: &Pod) -> Option<&ContainerStatus> {
    let (sidecars, others): (Vec<_>, Vec<_>) =
        containers(pod).into_iter().partition(|container| is_sidecar(pod, container));
    let failed = |container: &&&ContainerStatus| exit_code(container).is_some_and(|code| code != 0);
    let own = || others.iter().find(|container| is_own(pod, container) && exit_code(container).is_some());
    // A sidecar is stopped when the others have ended, and often ends with an error.
    others.iter().find(failed).or_else(own).or_else(|| sidecars.iter().find(failed)).copied()
}

/// The exit code of the last termination of a container.
pub fn exit_code(container: &ContainerStatus) -> Option<i32> {
    let code = |state: &Option<ContainerState>| Some(state.as_ref()?.terminated.as_ref()?.exit_code);
    code(&container.state).or_else(|| code(&container.last_state))
}

/// The containers in the order in which they are to blame: init containers that have not completed, the unit's own
/// container, those that others have added, and sidecars.
fn containers(pod: &Pod) -> Vec<&ContainerStatus> {
    let init = pod.status.iter().flat_map(|status| status.init_container_statuses.iter().flatten());
    let main = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let (sidecars, init): (Vec<_>, Vec<_>) = init.partition(|container| is_sidecar(pod, container));
    let init = init.into_iter().filter(|container| !completed(container));
    let (own, added): (Vec<_>, Vec<_>) = main.partition(|container| is_own(pod, container));
    init.chain(own).chain(added).chain(sidecars).collect()
}

/// Whether an init container runs beside the others.
fn is_sidecar(pod: &Pod, container: &ContainerStatus) -> bool {
    let inits = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    inits.into_iter().any(|init| init.name == container.name && init.restart_policy.as_deref() == Some("Always"))
}

fn is_own(pod: &Pod, container: &ContainerStatus) -> bool {
    own_container(pod).is_some_and(|own| own.name == container.name)
}

fn is_terminated(container: &ContainerStatus) -> bool {
    container.state.as_ref().is_some_and(|state| state.terminated.is_some())
}

fn completed(container: &ContainerStatus) -> bool {
    let terminated = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    terminated.is_some_and(|terminated| terminated.exit_code == 0)
}

/// A failure that needs intervention.
fn permanent_failure(pod: &Pod) -> Option<(Reason, String)> {
    let gates = scheduling_gates(pod);
    if !gates.is_empty() {
        return Some((
            Reason::SchedulingGated,
            format!("the pod waits for its scheduling gates: {}", gates.join(", ")),
        ));
    }
    if let Some(scheduled) = condition(pod, "PodScheduled").filter(|condition| condition.status == "False") {
        let why = scheduled.message.clone().unwrap_or_default();
        return Some((Reason::Unschedulable, format!("the pod cannot be scheduled: {why}")));
    }
    containers(pod).into_iter().find_map(|container| {
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
        let engine = containers(pod).into_iter().find(|container| is_own(pod, container) && is_terminated(container));
        let container = engine.or_else(|| failed_container(pod)).or_else(|| containers(pod).into_iter().next())?;
        Some(format!("container {:?} {}", container.name, termination(container)))
    });
    format!("the pod terminated: {}", why.unwrap_or_else(|| "no reason reported".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::k8s::prune;

    /// A pod with a mesh's container before the unit's own, an init container and a sidecar.
    fn pod(init: Value, sidecar: Value, mesh: Value, engine: Value) -> Pod {
        let status = |name: &str, state: Value| {
            let restarts = i32::from(name == "init");
            json!({"name": name, "image": name, "imageID": "", "ready": false, "restartCount": restarts, "started": false,
                   "state": state})
        };
        serde_json::from_value(json!({
            "metadata": {"annotations": {"kubectl.kubernetes.io/default-container": "engine"}},
            "spec": {
                "initContainers": [{"name": "init"}, {"name": "sidecar", "restartPolicy": "Always"}],
                "containers": [{"name": "mesh"}, {"name": "engine"}],
            },
            "status": {
                "phase": "Failed",
                "initContainerStatuses": [status("init", init), status("sidecar", sidecar)],
                "containerStatuses": [status("mesh", mesh), status("engine", engine)],
            },
        }))
        .unwrap()
    }

    fn ended(code: i32) -> Value {
        json!({"terminated": {"exitCode": code}})
    }

    #[test]
    fn container_that_is_at_fault_is_blamed() {
        let waiting = || json!({"waiting": {"reason": "PodInitializing"}});
        for (what, pod, blamed, code) in [
            ("the engine, then the sidecar", pod(ended(0), ended(143), ended(0), ended(3)), "engine", 3),
            ("the engine completed", pod(ended(0), ended(143), ended(0), ended(0)), "engine", 0),
            ("the engine and the mesh", pod(ended(0), ended(0), ended(1), ended(3)), "engine", 3),
            ("the mesh alone", pod(ended(0), ended(0), ended(1), json!({"running": {}})), "mesh", 1),
            ("an init container", pod(ended(7), waiting(), waiting(), waiting()), "init", 7),
            ("the sidecar alone", pod(ended(0), ended(2), waiting(), waiting()), "sidecar", 2),
        ] {
            let mut pod = pod;
            prune::pod(&mut pod);
            let failed = failed_container(&pod).unwrap();
            assert_eq!((&*failed.name, exit_code(failed)), (blamed, Some(code)), "{what}");
            assert!(
                termination_message(&pod).contains(&format!("container {blamed:?} exited with code {code}")),
                "{what}"
            );
        }
    }

    #[test]
    fn end_of_the_engine_is_that_of_the_unit() {
        let running = || json!({"running": {}});
        let of = |policy: &str, phase: &str, mesh: Value, engine: Value| {
            let mut pod = pod(ended(0), running(), mesh, engine);
            pod.spec.as_mut().unwrap().restart_policy = Some(policy.to_owned());
            pod.status.as_mut().unwrap().phase = Some(phase.to_owned());
            // As the cache has it.
            prune::pod(&mut pod);
            pod
        };
        for (what, pod, end) in vec![
            ("both run", of("Never", "Running", running(), running()), None),
            ("a sidecar failed", of("Never", "Running", ended(7), running()), None),
            ("a sidecar runs on", of("Never", "Running", running(), ended(0)), Some(false)),
            ("a sidecar runs on after a failure", of("Never", "Running", running(), ended(3)), Some(true)),
            ("only a sidecar failed", of("Never", "Failed", ended(7), ended(0)), Some(false)),
            ("only the engine failed", of("Never", "Failed", ended(0), ended(3)), Some(true)),
            ("it completed", of("OnFailure", "Running", running(), ended(0)), Some(false)),
            ("it is started again", of("OnFailure", "Running", running(), ended(3)), None),
            ("it is always started again", of("Always", "Running", running(), ended(0)), None),
        ] {
            assert_eq!(terminated(&pod).then(|| failed(&pod)), end, "{what}");
            let message = termination_message(&pod);
            assert!(end.is_none() || message.contains("container \"engine\" exited"), "{what}: {message}");
        }
        let mut evicted = of("Never", "Failed", ended(0), ended(0));
        evicted.status.as_mut().unwrap().reason = Some("DeadlineExceeded".to_owned());
        assert!(failed(&evicted), "the cluster ended it");
        let mut pod = of("Always", "Running", running(), ended(0));
        pod.spec.as_mut().unwrap().containers[1].restart_policy = Some("Never".to_owned());
        assert!(terminated(&pod), "the engine has a policy of its own");
    }

    #[test]
    fn pod_that_kueue_stops_is_a_disruption() {
        let pod = |type_: &str, status: &str| -> Pod {
            serde_json::from_value(json!({"status": {"conditions": [{"type": type_, "status": status}]}})).unwrap()
        };
        assert!(disruption(&pod("TerminationTarget", "True")).is_some());
        assert!(disruption(&pod("DisruptionTarget", "True")).is_some());
        assert!(
            disruption(&pod("TerminationTarget", "False")).is_none() && disruption(&pod("Ready", "True")).is_none()
        );
    }

    #[test]
    fn pod_that_a_gate_holds_back_names_it() {
        let mut gated: Pod = serde_json::from_value(json!({
            "spec": {"containers": [], "schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]},
            "status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]},
        }))
        .unwrap();
        // As the cache has it.
        prune::pod(&mut gated);
        let (reason, message) = not_ready(&gated);
        assert!(reason == Reason::SchedulingGated && message.ends_with(": kueue.x-k8s.io/admission"), "{message}");
    }

    #[test]
    fn pod_is_set_up_until_a_container_can_start() {
        let time = |second: u32| format!("2026-01-01T00:00:{second:02}Z");
        let condition = |type_: &str, status: &str, second| json!({"type": type_, "status": status, "lastTransitionTime": time(second)});
        let scheduled = || condition("PodScheduled", "True", 1);
        let creating = || json!({"waiting": {"reason": "ContainerCreating"}});
        let initializing = || json!({"waiting": {"reason": "PodInitializing"}});
        let running = || json!({"running": {}});
        let sandbox = |status, second| condition("PodReadyToStartContainers", status, second);
        for (what, conditions, states, expected) in [
            ("not reported by the kubelet", vec![scheduled()], vec![], None),
            ("being created", vec![scheduled(), sandbox("False", 2)], vec![creating()], Some(2)),
            ("by an older kubelet", vec![scheduled()], vec![creating()], Some(1)),
            ("without times", vec![], vec![creating()], Some(0)),
            ("with init containers", vec![scheduled()], vec![initializing(), initializing()], Some(1)),
            ("an init container runs", vec![scheduled()], vec![running(), initializing()], None),
            ("an image is pulled", vec![scheduled(), sandbox("True", 3)], vec![creating()], None),
            ("its sandbox was lost", vec![scheduled(), sandbox("False", 9)], vec![creating()], Some(9)),
            ("running", vec![scheduled(), sandbox("True", 3)], vec![running()], None),
        ] {
            let status = |state: Value| json!({"name": "engine", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
            let pod: Pod = serde_json::from_value(json!({
                "metadata": {"creationTimestamp": time(0)}, "spec": {"containers": []},
                "status": {"conditions": conditions, "containerStatuses": states.into_iter().map(status).collect::<Vec<_>>()},
            }))
            .unwrap();
            let expected = expected.map(|second| time(second).parse().unwrap());
            assert_eq!(set_up_since(&pod), expected, "{what}");
        }
    }

    #[test]
    fn init_container_that_completed_after_a_retry_is_not_blamed() {
        let starting = pod(ended(0), json!({"running": {}}), json!({"running": {}}), json!({"running": {}}));
        assert_eq!(not_ready(&starting).0, Reason::PodStarting);
        let pull = json!({"waiting": {"reason": "ErrImagePull", "message": "no"}});
        let (reason, message) = not_ready(&pod(ended(0), json!({"running": {}}), json!({"running": {}}), pull));
        assert_eq!(reason, Reason::ImagePullFailed);
        assert!(message.contains("engine"), "{message}");
    }
}
