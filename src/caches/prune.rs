//! What is left out of the caches because nobody reads it: most of a pod, and who wrote which field.

use k8s_openapi::api::{
    core::v1::{Container, Pod, PodSpec, Service},
    discovery::v1::EndpointSlice,
};
use kube::Resource;

/// Drops `metadata.managedFields`.
pub fn managed_fields<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Keeps of a pod its metadata, its status, its node and restart policy, and names and images of its containers.
pub fn pod(pod: &mut Pod) {
    managed_fields(pod);
    if let Some(spec) = pod.spec.take() {
        let containers = spec
            .containers
            .into_iter()
            .map(|container| Container { name: container.name, image: container.image, ..Container::default() })
            .collect();
        pod.spec = Some(PodSpec {
            containers,
            node_name: spec.node_name,
            restart_policy: spec.restart_policy,
            ..PodSpec::default()
        });
    }
}

/// Drops what no comparison reads of a Service.
pub fn service(service: &mut Service) {
    managed_fields(service);
    service.status = None;
}

/// Keeps of a slice whose it is: its endpoints are kept by [`super::endpoints`].
pub fn slice(slice: &mut EndpointSlice) {
    managed_fields(slice);
    slice.endpoints = vec![];
    slice.ports = None;
}
