//! What is left out of the caches because nobody reads it: most of a pod, and who wrote which field.

use k8s_openapi::api::{
    core::v1::{
        Container, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus, Pod, PodSpec, Service,
    },
    discovery::v1::EndpointSlice,
};
use kube::Resource;

/// Drops `metadata.managedFields`.
pub fn managed_fields<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Keeps of a pod its metadata, its status, its node and restart policy, and of its containers names,
/// images, and CPU and memory.
pub fn pod(pod: &mut Pod) {
    managed_fields(pod);
    if let Some(spec) = pod.spec.take() {
        let containers = spec
            .containers
            .into_iter()
            .map(|container| Container {
                name: container.name,
                image: container.image,
                resources: container.resources,
                ..Container::default()
            })
            .collect();
        pod.spec = Some(PodSpec {
            containers,
            node_name: spec.node_name,
            restart_policy: spec.restart_policy,
            ..PodSpec::default()
        });
    }
}

/// Keeps of a claim whose it is, its storage class, and whether it has a volume.
pub fn claim(claim: &mut PersistentVolumeClaim) {
    managed_fields(claim);
    claim.metadata.annotations = None;
    claim.spec = claim.spec.take().map(|spec| PersistentVolumeClaimSpec {
        storage_class_name: spec.storage_class_name,
        ..PersistentVolumeClaimSpec::default()
    });
    claim.status = claim
        .status
        .take()
        .map(|status| PersistentVolumeClaimStatus { phase: status.phase, ..PersistentVolumeClaimStatus::default() });
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
