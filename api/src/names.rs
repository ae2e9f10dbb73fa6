//! Names of children, labels, annotations and headers. They are defined only here.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::{Resource, ResourceExt};

use crate::ComputingUnit;

/// Field manager of the operator.
pub const FIELD_MANAGER: &str = "computing-unit-operator";
/// Finalizer that keeps a unit until its route is closed. It orders the deletion and does not protect data.
pub const FINALIZER: &str = "texera.apache.org/route";
/// Annotation of a PersistentVolumeClaim with `spec.owner` of its unit. A retained claim is used again for the same owner only.
pub const OWNER: &str = "texera.apache.org/owner";
/// Annotation of a pod: hash of the template it was created from.
pub const TEMPLATE_HASH: &str = "texera.apache.org/template-hash";
/// Annotation of a pod: CPU and memory that the unit requested when the pod was created, as JSON.
pub const TEMPLATE_AMOUNTS: &str = "texera.apache.org/resources";
/// Annotation of a pod: the amounts of CPU and memory that it was created with, before admission.
pub const SENT_AMOUNTS: &str = "texera.apache.org/sent-amounts";
/// Annotation of a pod: the container that `kubectl logs` and `kubectl exec` choose. It is the unit's own, unless admission
/// changes it.
pub const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// Annotation of a pod: the name of the unit's own container.
pub const ENGINE: &str = "texera.apache.org/engine";
/// Annotation of a unit: time of the last use as a backend records it, in RFC 3339.
pub const LAST_ACTIVITY: &str = "texera.apache.org/last-activity";
/// Annotation of a unit that was suspended because it was idle: the generation of that suspension, and the time since which
/// the unit was idle.
pub const IDLE: &str = "texera.apache.org/idle";
/// Annotation of a unit that its schedule has suspended or resumed: the generation that this created, and the time of the
/// schedule.
pub const SCHEDULE: &str = "texera.apache.org/schedule";
/// Prefix of labels and annotations that are reserved for the operator.
pub const RESERVED_PREFIX: &str = "texera.apache.org/";
/// Prefix of environment variables that are reserved for the operator.
pub const RESERVED_ENV: &str = "COMPUTING_UNIT_";

/// Name of the port of a unit's Service, and of its target port.
pub const PORT_NAME: &str = "http";
/// Port of a unit's Service, and of its target if the template has no port named [`PORT_NAME`].
pub const PORT: i32 = 8085;

/// Label keys.
pub mod labels {
    /// Manager of the object.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// Application that the object belongs to.
    pub const NAME: &str = "app.kubernetes.io/name";
    /// Unit that the object belongs to. The Service selects the pod by it.
    pub const UNIT: &str = "texera.apache.org/unit";
    /// On a ConfigMap with the value `true`: it is an image catalog.
    pub const IMAGE_CATALOG: &str = "texera.apache.org/image-catalog";
    /// Label of Texera: purpose of the pod.
    pub const TEXERA_TYPE: &str = "type";
    /// Label of Texera: ID of the unit.
    pub const TEXERA_CUID: &str = "cuid";
    /// Label of Texera: name of the pod.
    pub const TEXERA_NAME: &str = "name";
    /// Value of [`MANAGED_BY`] on all children.
    pub const OPERATOR: &str = "computing-unit-operator";
    /// Value of [`NAME`] and [`TEXERA_TYPE`] on all children.
    pub const COMPUTING_UNIT: &str = "computing-unit";
    /// Value of [`NAME`] on the HTTPRoute of an activator.
    pub const ACTIVATOR: &str = "computing-unit-activator";
    /// Label of Kubernetes on EndpointSlices: name of the Service.
    pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

    /// Whether a label key is reserved for the operator.
    #[must_use]
    pub fn reserved(key: &str) -> bool {
        key.starts_with(super::RESERVED_PREFIX)
            || [MANAGED_BY, NAME, TEXERA_TYPE, TEXERA_CUID, TEXERA_NAME].contains(&key)
    }
}

/// HTTP header names, in lower case as far as they are compared.
pub mod headers {
    /// On every response of a unit's route: UID of the unit.
    pub const UNIT: &str = "x-computing-unit";
    /// On a request to a guarded route: UID of the unit.
    pub const GUARD: &str = "x-computing-unit-guard";
    /// On every response of a closed route: its UID and generation when it was open.
    pub const CLOSED: &str = "x-computing-unit-closed";
    /// On a request: it is a probe of the operator.
    pub const PROBE: &str = "x-computing-unit-probe";
    /// On a request to an activator: UID of the pool. The Gateway sets it and overwrites a value of the client.
    pub const POOL: &str = "x-computing-unit-pool";
    /// On every response of an activator's route, including local replies of the proxy.
    pub const ACTIVATOR: &str = "x-computing-unit-activator";
    /// On a response of an activator for a suspended unit: why the request did not start it.
    pub const NOT_STARTED: &str = "x-computing-unit-not-started";
    /// On a request whose path was rewritten: the prefix that was replaced, without a slash at its end.
    pub const FORWARDED_PREFIX: &str = "X-Forwarded-Prefix";
    /// On a request of the waiting page for the progress of a start. The request starts no unit and is not held.
    pub const PAGE: &str = "x-computing-unit-page";
}

/// Labels of the children of a unit. `cuid` is its `spec.cuid` if that is its routing key: otherwise several units may have the
/// same one.
#[must_use]
pub fn child_labels(unit: &ComputingUnit, cuid: Option<i64>) -> BTreeMap<String, String> {
    let name = unit.name_any();
    let mut all = BTreeMap::from([
        (labels::MANAGED_BY.to_owned(), labels::OPERATOR.to_owned()),
        (labels::NAME.to_owned(), labels::COMPUTING_UNIT.to_owned()),
        (labels::UNIT.to_owned(), name.clone()),
        (labels::TEXERA_TYPE.to_owned(), labels::COMPUTING_UNIT.to_owned()),
        (labels::TEXERA_NAME.to_owned(), name),
    ]);
    if let Some(cuid) = cuid {
        all.insert(labels::TEXERA_CUID.to_owned(), cuid.to_string());
    }
    all
}

/// Label selector of the children of all units.
#[must_use]
pub fn children_selector() -> String {
    format!("{}={},{}={}", labels::MANAGED_BY, labels::OPERATOR, labels::NAME, labels::COMPUTING_UNIT)
}

/// Label selector of image catalogs.
#[must_use]
pub fn image_catalogs_selector() -> String {
    format!("{}=true", labels::IMAGE_CATALOG)
}

/// Name of the HTTPRoute of a pool's activator. It has a dot, so no unit can have the same name.
#[must_use]
pub fn activator(pool: &str) -> String {
    format!("activator.{pool}")
}

/// Labels of the HTTPRoute of an activator.
#[must_use]
pub fn activator_labels() -> BTreeMap<String, String> {
    BTreeMap::from([
        (labels::MANAGED_BY.to_owned(), labels::OPERATOR.to_owned()),
        (labels::NAME.to_owned(), labels::ACTIVATOR.to_owned()),
    ])
}

/// Label selector of the HTTPRoutes of all activators.
#[must_use]
pub fn activators_selector() -> String {
    format!("{}={},{}={}", labels::MANAGED_BY, labels::OPERATOR, labels::NAME, labels::ACTIVATOR)
}

/// Controller owner reference of the children of a unit.
#[must_use]
pub fn owner_reference(unit: &ComputingUnit) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
        api_version: ComputingUnit::api_version(&()).into_owned(),
        kind: ComputingUnit::kind(&()).into_owned(),
        name: unit.name_any(),
        uid: unit.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
/// The unit's own container of its pod, into which an admission webhook may have put others before it.
#[must_use]
pub fn own_container(pod: &Pod) -> Option<&Container> {
    let containers = &pod.spec.as_ref()?.containers;
    let named = |key: &str| {
        let name = pod.annotations().get(key)?;
        containers.iter().find(|container| container.name == *name)
    };
    named(ENGINE).or_else(|| named(DEFAULT_CONTAINER)).or_else(|| containers.first())
}
