//! The names that children, labels, annotations and headers go by. Every such text is written here and nowhere else.

use std::collections::BTreeMap;

use kube::{Resource, ResourceExt};

use crate::ComputingUnit;

/// Field manager of everything that the operator writes.
pub const FIELD_MANAGER: &str = "computing-unit-operator";
/// Finalizer that keeps a unit until its route is closed. It orders the end of a unit; it never protects data.
pub const FINALIZER: &str = "texera.apache.org/route";
/// Annotation of a pod: [`crate::controllers::unit::build::pod::hash`] of what it was made from.
pub const TEMPLATE_HASH: &str = "texera.apache.org/template-hash";
/// Annotation of a pod: the CPU and memory that the unit asked for when it was made, as JSON.
pub const TEMPLATE_AMOUNTS: &str = "texera.apache.org/resources";
/// Annotation of a unit: when a backend saw it in use last, in RFC 3339.
pub const LAST_ACTIVITY: &str = "texera.apache.org/last-activity";
/// Annotation of a unit that was suspended for being idle: the generation of that, and since when it was idle.
pub const IDLE: &str = "texera.apache.org/idle";
/// Prefix of the labels and annotations that only the operator sets.
pub const RESERVED_PREFIX: &str = "texera.apache.org/";
/// Prefix of the environment variables that only the operator sets.
pub const RESERVED_ENV: &str = "COMPUTING_UNIT_";

/// Name of the port of a unit's Service, and of the container port that it leads to.
pub const PORT_NAME: &str = "http";
/// Number of the port of a unit's Service, and of the container port where the template names none.
pub const PORT: i32 = 8085;

/// Label keys.
pub mod labels {
    /// Who made the object.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// What kind of application the object belongs to.
    pub const NAME: &str = "app.kubernetes.io/name";
    /// The unit that the object belongs to; the Service selects pods by it.
    pub const UNIT: &str = "texera.apache.org/unit";
    /// Texera's own: what the pod is for.
    pub const TEXERA_TYPE: &str = "type";
    /// Texera's own: the unit's number.
    pub const TEXERA_CUID: &str = "cuid";
    /// Texera's own: the pod's name.
    pub const TEXERA_NAME: &str = "name";
    /// Value of [`MANAGED_BY`] on all children.
    pub const OPERATOR: &str = "computing-unit-operator";
    /// Value of [`NAME`] and [`TEXERA_TYPE`] on all children.
    pub const COMPUTING_UNIT: &str = "computing-unit";
    /// Value of [`NAME`] on the entry of a pool.
    pub const ACTIVATOR: &str = "computing-unit-activator";
    /// Label of Kubernetes on the EndpointSlices of a Service: the Service's name.
    pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

    /// Whether only the operator may set a label of this key on a child.
    #[must_use]
    pub fn reserved(key: &str) -> bool {
        key.starts_with(super::RESERVED_PREFIX)
            || [MANAGED_BY, NAME, TEXERA_TYPE, TEXERA_CUID, TEXERA_NAME].contains(&key)
    }
}

/// HTTP header names, in lower case.
pub mod headers {
    /// On every answer under a unit's route: the unit's UID.
    pub const UNIT: &str = "x-computing-unit";
    /// On a request: the UID of the unit whose guarded route it asks for.
    pub const GUARD: &str = "x-computing-unit-guard";
    /// On a request: the operator asks, not a user.
    pub const PROBE: &str = "x-computing-unit-probe";
    /// On a request that comes by a pool's entry: the pool's UID, which the gateway sets whatever the client sent.
    pub const POOL: &str = "x-computing-unit-pool";
    /// On every answer under a pool's entry, those of the proxy itself too.
    pub const ACTIVATOR: &str = "x-computing-unit-activator";
    /// On a request: the waiting page asks how far a start has come. It starts nothing and is not held.
    pub const PAGE: &str = "x-computing-unit-page";
}

/// The labels of each child of a unit.
#[must_use]
pub fn child_labels(unit: &ComputingUnit) -> BTreeMap<String, String> {
    let name = unit.name_any();
    let mut all = BTreeMap::from([
        (labels::MANAGED_BY.to_owned(), labels::OPERATOR.to_owned()),
        (labels::NAME.to_owned(), labels::COMPUTING_UNIT.to_owned()),
        (labels::UNIT.to_owned(), name.clone()),
        (labels::TEXERA_TYPE.to_owned(), labels::COMPUTING_UNIT.to_owned()),
        (labels::TEXERA_NAME.to_owned(), name),
    ]);
    if let Some(cuid) = unit.spec.cuid {
        all.insert(labels::TEXERA_CUID.to_owned(), cuid.to_string());
    }
    all
}

/// The selector of all children of all units.
#[must_use]
pub fn children_selector() -> String {
    format!("{}={},{}={}", labels::MANAGED_BY, labels::OPERATOR, labels::NAME, labels::COMPUTING_UNIT)
}

/// The name of a pool's entry. No unit can have it, for no name of a unit has a dot.
#[must_use]
pub fn activator(pool: &str) -> String {
    format!("activator.{pool}")
}

/// The labels of a pool's entry.
#[must_use]
pub fn activator_labels() -> BTreeMap<String, String> {
    BTreeMap::from([
        (labels::MANAGED_BY.to_owned(), labels::OPERATOR.to_owned()),
        (labels::NAME.to_owned(), labels::ACTIVATOR.to_owned()),
    ])
}

/// The selector of the entries of all pools.
#[must_use]
pub fn activators_selector() -> String {
    format!("{}={},{}={}", labels::MANAGED_BY, labels::OPERATOR, labels::NAME, labels::ACTIVATOR)
}

/// The controller owner reference that every child carries.
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
