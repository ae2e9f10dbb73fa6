//! Removes fields that are never read before objects are cached: most of a pod, and `managedFields`.

use computing_unit_api::{ComputingUnit, names::RESERVED_PREFIX};
use k8s_openapi::api::{
    core::v1::{
        Container, Namespace, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus, Pod,
        PodSpec, Service,
    },
    discovery::v1::EndpointSlice,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

/// Drops `metadata.managedFields`.
pub fn managed_fields<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Keeps the name, the namespace, the UID and the version of an object.
pub fn identity<K: Resource>(object: &mut K) {
    let meta = object.meta_mut();
    *meta = ObjectMeta {
        name: meta.name.take(),
        namespace: meta.namespace.take(),
        uid: meta.uid.take(),
        resource_version: meta.resource_version.take(),
        ..ObjectMeta::default()
    };
}

/// Keeps the metadata of a namespace.
pub fn namespace(namespace: &mut Namespace) {
    managed_fields(namespace);
    namespace.spec = None;
    namespace.status = None;
}

/// Keeps the metadata, the status, the node, the scheduling gates and the restart policies of a pod, and the names, images
/// and resources of its containers.
pub fn pod(pod: &mut Pod) {
    managed_fields(pod);
    let container = |container: Container| Container {
        name: container.name,
        image: container.image,
        resources: container.resources,
        restart_policy: container.restart_policy,
        ..Container::default()
    };
    let containers = |all: Vec<Container>| all.into_iter().map(container).collect::<Vec<_>>();
    pod.spec = pod.spec.take().map(|spec| PodSpec {
        containers: containers(spec.containers),
        init_containers: spec.init_containers.map(containers),
        node_name: spec.node_name,
        restart_policy: spec.restart_policy,
        scheduling_gates: spec.scheduling_gates,
        ..PodSpec::default()
    });
}

/// Keeps the metadata with the operator's own annotations, the storage class and the phase of a claim.
pub fn pvc(pvc: &mut PersistentVolumeClaim) {
    managed_fields(pvc);
    own_annotations(pvc);
    pvc.spec = pvc.spec.take().map(|spec| PersistentVolumeClaimSpec {
        storage_class_name: spec.storage_class_name,
        ..PersistentVolumeClaimSpec::default()
    });
    pvc.status = pvc
        .status
        .take()
        .map(|status| PersistentVolumeClaimStatus { phase: status.phase, ..PersistentVolumeClaimStatus::default() });
}

/// Drops the annotations of a unit that are not the operator's. The fields of its spec are bounded, annotations are not.
pub fn unit(unit: &mut ComputingUnit) {
    managed_fields(unit);
    own_annotations(unit);
}

fn own_annotations<K: Resource>(object: &mut K) {
    if let Some(annotations) = &mut object.meta_mut().annotations {
        annotations.retain(|key, _| key.starts_with(RESERVED_PREFIX));
    }
}

/// Drops the status of a Service.
pub fn service(service: &mut Service) {
    managed_fields(service);
    service.status = None;
}

/// Keeps the metadata of a slice. Its endpoints are kept by [`super::endpoints`].
pub fn slice(slice: &mut EndpointSlice) {
    managed_fields(slice);
    slice.endpoints = vec![];
    slice.ports = None;
}

#[cfg(test)]
mod tests {
    use computing_unit_api::names::{LAST_ACTIVITY, OWNER};

    use super::*;

    #[test]
    fn claim_keeps_its_owner() {
        let mut claim = PersistentVolumeClaim::default();
        let annotations = [(OWNER, "ada"), ("pv.kubernetes.io/bind-completed", "yes")];
        claim.metadata.annotations = Some(annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        pvc(&mut claim);
        assert!(claim.metadata.annotations.unwrap().into_keys().eq([OWNER]));
    }

    #[test]
    fn unit_keeps_only_annotations_that_are_read() {
        let mut object = crate::testing::unit("ada", None, "2026-01-01T00:00:00Z");
        let annotations = [(LAST_ACTIVITY, "now"), ("kubectl.kubernetes.io/last-applied-configuration", "{}")];
        object.metadata.annotations = Some(annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        unit(&mut object);
        assert!(object.metadata.annotations.unwrap().into_keys().eq([LAST_ACTIVITY]));
    }
}
