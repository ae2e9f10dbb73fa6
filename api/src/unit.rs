//! `ComputingUnit`: one execution engine and its URL.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ComputingUnitStatus, Quantity, UnitLifecycle, UpdateStrategy};

/// ComputingUnit is one execution engine with a Pod, a Service and an HTTPRoute on a shared Gateway. It is started when it
/// is created, and answers at `status.url` once it is Ready. When it is deleted, its route is closed before its pod is
/// stopped.
#[allow(clippy::duplicated_attributes, reason = "columns of one type or priority")]
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "texera.apache.org",
    version = "v1alpha1",
    kind = "ComputingUnit",
    plural = "computingunits",
    singular = "computingunit",
    shortname = "cu",
    category = "all",
    category = "texera",
    namespaced,
    status = "ComputingUnitStatus",
    derive = "PartialEq",
    selectable = ".spec.owner",
    printcolumn(name = "Status", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "CUID", type_ = "integer", json_path = ".spec.cuid", priority = 1),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner", priority = 1),
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.poolName", priority = 1),
    printcolumn(name = "Pod", type_ = "string", json_path = ".status.podName", priority = 1),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.nodeName", priority = 1),
    printcolumn(name = "Image", type_ = "string", json_path = ".status.image", priority = 1),
    printcolumn(name = "Expires-At", type_ = "string", json_path = ".status.expiresAt", priority = 1),
    printcolumn(name = "Idle-At", type_ = "string", json_path = ".status.activity.idleAt", priority = 1),
    validation = Rule::new("size(self.metadata.name) <= 63 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must have at most 63 characters: lower-case letters, digits and '-', starting with a letter and ending with a letter or digit"),
)]
#[serde(rename_all = "camelCase")]
// An amount with an exponent of many digits keeps the API server busy until the request times out, although its pattern
// rejects it: rules are evaluated nevertheless.
#[x_kube(
    validation = ("has(self.cuid) == has(oldSelf.cuid) && (!has(self.cuid) || self.cuid == oldSelf.cuid)", "spec.cuid is immutable; create another unit"),
    validation = ("has(self.poolName) == has(oldSelf.poolName) && (!has(self.poolName) || self.poolName == oldSelf.poolName)", "spec.poolName is immutable; create another unit in the other pool"),
    validation = ("has(self.owner) == has(oldSelf.owner) && (!has(self.owner) || self.owner == oldSelf.owner)", "spec.owner is immutable; create another unit for the other owner"),
    validation = ("!has(self.sharedMemory) || !has(self.resources) || !has(self.resources.limits) || !('memory' in self.resources.limits) || string(self.sharedMemory).matches('[eE][-+]?[0-9]{3}') || !isQuantity(string(self.sharedMemory)) || string(self.resources.limits['memory']).matches('[eE][-+]?[0-9]{3}') || !isQuantity(string(self.resources.limits['memory'])) || quantity(string(self.sharedMemory)).compareTo(quantity(string(self.resources.limits['memory']))) <= 0", "spec.sharedMemory must not exceed spec.resources.limits.memory"),
    validation = ("!has(self.sharedMemory) || string(self.sharedMemory).matches('[eE][-+]?[0-9]{3}') || !isQuantity(string(self.sharedMemory)) || quantity(string(self.sharedMemory)).isGreaterThan(quantity('0'))", "spec.sharedMemory must be greater than 0; omit it for the default size"),
    validation = ("!has(self.env) || self.env.all(e, !e.name.startsWith('COMPUTING_UNIT_'))", "spec.env must not have names that start with COMPUTING_UNIT_; they are reserved for the operator"),
    validation = ("!has(self.envFrom) || self.envFrom.all(e, !has(e.prefix) || !e.prefix.startsWith('COMPUTING_UNIT_'))", "spec.envFrom must not have a prefix that starts with COMPUTING_UNIT_; it is reserved for the operator"),
    validation = ("!has(self.env) || self.env.map(e, size(e.name) + (has(e.value) ? size(e.value) : 0)).sum() <= 65536", "the names and values in spec.env must not have more than 65536 characters in total; use a ConfigMap for more")
)]
pub struct ComputingUnitSpec {
    /// Whether the unit runs. `Suspended` closes the route, then stops the pod, and keeps the Service, the routing key, the
    /// URL and the volumes. `Running` starts the unit again.
    #[serde(default, skip_serializing_if = "OperatingMode::is_running")]
    #[schemars(extend("default" = "Running"))]
    pub operating_mode: OperatingMode,

    /// Texera's ID of the unit. It is the routing key if the pool routes by query parameter. If absent, the name of the unit
    /// is the routing key. It must be unique on the Gateway. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cuid: Option<i64>,

    /// Name of the ComputingUnitPool in the same namespace. Immutable.
    #[serde(default = "default_pool")]
    #[schemars(length(min = 1, max = 253))]
    pub pool_name: String,

    /// User that the unit belongs to. It can be used as a field selector (`--field-selector spec.owner=ada`), and grants no
    /// permissions. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub owner: Option<String>,

    /// Image of the engine: one of `spec.images` or of the image catalog of the pool, by name or by reference. Defaults to the pool's default image.
    /// `updateStrategy` determines when a change takes effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub image: Option<String>,

    /// Compute resources of the engine, within `spec.resources` of the pool. Defaults to those of the pool's template. A change of CPU or memory is applied to the
    /// running pod if the cluster supports it. `updateStrategy` determines when any other change takes effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Size of /dev/shm. It counts against the memory limit, which must exist, and must not exceed it. Defaults to that of the container runtime
    /// (64Mi).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_memory: Option<Quantity>,

    /// Environment variables of the engine, in addition to those of the pool's template. `spec.env` of the pool must allow
    /// them. A variable of the template takes precedence over one of the same name. Values can be taken from Secrets and ConfigMaps that `spec.references` of the
    /// pool allows. Names that start with `COMPUTING_UNIT_` are reserved for the operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,

    /// Secrets and ConfigMaps whose entries become environment variables. `spec.references` and `spec.env` of the pool must
    /// allow them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub env_from: Vec<EnvFromSource>,

    /// Idle timeout and time limits of the unit, within the limits of the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<UnitLifecycle>,

    /// When a change of the unit's spec or of the pool's template takes effect. `OnRestart`: at the next start. Until then
    /// the condition `UpdatePending` is True. `Recreate`: the pod is recreated, immediately after a change of the unit, and
    /// as part of a rollout after a change of the pool. A rollout recreates at most 10% of the pool's running units at a
    /// time. A change of CPU and memory only is applied to the running pod if the cluster supports it.
    #[serde(default, skip_serializing_if = "UpdateStrategy::is_on_restart")]
    #[schemars(extend("default" = "OnRestart"))]
    pub update_strategy: UpdateStrategy,
}

/// Whether a unit runs.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OperatingMode {
    /// The unit has a pod and answers at its URL.
    #[default]
    Running,
    /// The unit has no pod and can be started again.
    Suspended,
}

impl OperatingMode {
    /// Whether this is the default.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_running(&self) -> bool {
        *self == Self::Running
    }
}

/// Compute resources of a container.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("(!has(self.limits) || self.limits.all(name, size(name) <= 253)) && (!has(self.requests) || self.requests.all(name, size(name) <= 253))", "names in spec.resources must have at most 253 characters"),
    validation = ("!has(self.requests) || !('cpu' in self.requests) || !has(self.limits) || !('cpu' in self.limits) || string(self.requests['cpu']).matches('[eE][-+]?[0-9]{3}') || !isQuantity(string(self.requests['cpu'])) || string(self.limits['cpu']).matches('[eE][-+]?[0-9]{3}') || !isQuantity(string(self.limits['cpu'])) || quantity(string(self.requests['cpu'])).compareTo(quantity(string(self.limits['cpu']))) <= 0", "spec.resources.requests.cpu must not exceed spec.resources.limits.cpu"),
    validation = ("!has(self.requests) || !('memory' in self.requests) || !has(self.limits) || !('memory' in self.limits) || string(self.requests['memory']).matches('[eE][-+]?[0-9]{3}') || !isQuantity(string(self.requests['memory'])) || string(self.limits['memory']).matches('[eE][-+]?[0-9]{3}') || !isQuantity(string(self.limits['memory'])) || quantity(string(self.requests['memory'])).compareTo(quantity(string(self.limits['memory']))) <= 0", "spec.resources.requests.memory must not exceed spec.resources.limits.memory"),
    validation = ("!has(self.requests) || !('ephemeral-storage' in self.requests) || !has(self.limits) || !('ephemeral-storage' in self.limits) || string(self.requests['ephemeral-storage']).matches('[eE][-+]?[0-9]{3}') || !isQuantity(string(self.requests['ephemeral-storage'])) || string(self.limits['ephemeral-storage']).matches('[eE][-+]?[0-9]{3}') || !isQuantity(string(self.limits['ephemeral-storage'])) || quantity(string(self.requests['ephemeral-storage'])).compareTo(quantity(string(self.limits['ephemeral-storage']))) <= 0", "spec.resources.requests.ephemeral-storage must not exceed spec.resources.limits.ephemeral-storage")
)]
pub struct Resources {
    /// Maximum amounts by resource name: `cpu`, `memory`, `nvidia.com/gpu`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub limits: BTreeMap<String, Quantity>,

    /// Amounts that are reserved on the node, by resource name. Defaults to the limit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub requests: BTreeMap<String, Quantity>,
}

fn default_pool() -> String {
    "default".to_owned()
}
