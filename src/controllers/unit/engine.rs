//! The end of the engine, whatever other containers of the pod do: a sidecar may run on, or fail, without being the engine.
//!
//! Pure.

use computing_unit_api::names::own_container;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

/// How the engine has ended, if its container is not running.
pub fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    let engine = &own_container(pod)?.name;
    let mut all = pod.status.as_ref()?.container_statuses.iter().flatten();
    all.find(|container| container.name == *engine)?.state.as_ref()?.terminated.as_ref()
}

/// When the kubelet starts the engine again.
pub fn restart_policy(pod: &Pod) -> &str {
    let own = own_container(pod).and_then(|engine| engine.restart_policy.as_deref());
    own.or_else(|| pod.spec.as_ref()?.restart_policy.as_deref()).unwrap_or("Always")
}

/// Whether the engine has ended for good.
pub fn ended(pod: &Pod) -> bool {
    terminated(pod).is_some_and(|end| match restart_policy(pod) {
        "Never" => true,
        "OnFailure" => end.exit_code == 0,
        _ => false,
    })
}
