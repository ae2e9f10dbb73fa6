//! `ComputingUnit`: what a user asks for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ComputingUnitStatus, Quantity, UnitLifecycle, UpdateStrategy};

/// A ComputingUnit is one person's running execution engine: a pod, a Service and an HTTPRoute of its own on a shared
/// gateway. Creating one starts it; `status.url` is where it answers once its phase is Ready; deleting it closes the
/// route first and stops the pod afterwards.
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
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "CUID", type_ = "integer", json_path = ".spec.cuid", priority = 1),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner", priority = 1),
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.poolName", priority = 1),
    printcolumn(name = "Pod", type_ = "string", json_path = ".status.podName", priority = 1),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.nodeName", priority = 1),
    printcolumn(name = "Image", type_ = "string", json_path = ".status.image", priority = 1),
    printcolumn(name = "Idle-At", type_ = "string", json_path = ".status.activity.idleAt", priority = 1),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("the name becomes the name of a Service: use at most 63 lower-case letters, digits and '-', starting with a letter and ending with a letter or digit"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.cuid) == has(oldSelf.cuid) && (!has(self.cuid) || self.cuid == oldSelf.cuid)", "spec.cuid is the key that requests carry and cannot be changed: create another unit"),
    validation = ("has(self.poolName) == has(oldSelf.poolName) && (!has(self.poolName) || self.poolName == oldSelf.poolName)", "spec.poolName cannot be changed: create another unit in the other pool"),
    validation = ("has(self.owner) == has(oldSelf.owner) && (!has(self.owner) || self.owner == oldSelf.owner)", "spec.owner cannot be changed: create another unit for the other owner"),
    validation = ("!has(self.sharedMemory) || !has(self.resources) || !has(self.resources.limits) || !('memory' in self.resources.limits) || !isQuantity(string(self.sharedMemory)) || !isQuantity(string(self.resources.limits['memory'])) || quantity(string(self.sharedMemory)).compareTo(quantity(string(self.resources.limits['memory']))) <= 0", "spec.sharedMemory is taken from the unit's memory: make it at most spec.resources.limits.memory"),
    validation = ("!has(self.sharedMemory) || !isQuantity(string(self.sharedMemory)) || quantity(string(self.sharedMemory)).isGreaterThan(quantity('0'))", "spec.sharedMemory must be more than 0: leave it out for none"),
    validation = ("!has(self.env) || self.env.all(e, !e.name.startsWith('COMPUTING_UNIT_'))", "spec.env: names starting with COMPUTING_UNIT_ are set by the operator: choose another name"),
    validation = ("!has(self.envFrom) || self.envFrom.all(e, !has(e.prefix) || !e.prefix.startsWith('COMPUTING_UNIT_'))", "spec.envFrom: names starting with COMPUTING_UNIT_ are set by the operator: choose another prefix")
)]
pub struct ComputingUnitSpec {
    /// Whether the unit runs. `Suspended` closes its route, then stops its pod, and keeps its Service, key and URL;
    /// `Running` starts it again.
    #[serde(default, skip_serializing_if = "OperatingMode::is_running")]
    #[schemars(extend("default" = "Running"))]
    pub operating_mode: OperatingMode,

    /// Texera's number for the unit. Where the pool routes by query parameter, requests that carry this number reach
    /// the unit; without it they carry the unit's name. Unique on a gateway. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cuid: Option<i64>,

    /// The ComputingUnitPool in the same namespace that the unit is made from. Cannot be changed.
    #[serde(default = "default_pool")]
    #[schemars(length(min = 1, max = 253))]
    pub pool_name: String,

    /// Who the unit is for. Printed and selectable (`--field-selector spec.owner=ada`); never a permission by itself.
    /// Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub owner: Option<String>,

    /// One of the images that the pool offers, by the name the pool gives it or by its full reference. Absent: the
    /// pool's default. A change takes effect as `updateStrategy` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub image: Option<String>,

    /// CPU, memory and devices of the unit. A request that is absent equals its limit. Absent: as in the pool's
    /// template. Another amount of CPU or memory is given to the running pod where the cluster can; any other change takes
    /// effect as `updateStrategy` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Size of /dev/shm, kept in memory and counted against the memory limit. At most the memory limit. Absent: what
    /// the container runtime gives (64Mi).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_memory: Option<Quantity>,

    /// Environment variables added to the pool's, which win over those of the same name. Values from Secrets and
    /// ConfigMaps only where the pool's `references` name them; `COMPUTING_UNIT_*` is set by the operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,

    /// Secrets and ConfigMaps whose entries become environment variables; only those that the pool's `references`
    /// name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub env_from: Vec<EnvFromSource>,

    /// When the unit is stopped by itself: when it is idle, at a time, and when it is deleted afterwards. Within what the
    /// pool allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<UnitLifecycle>,

    /// When a change of the unit's or the pool's template takes effect: `OnRestart`, which never interrupts running work
    /// and shows as the condition UpdatePending, or `Recreate`, at once where the unit was changed and, where its pool
    /// was, when it is its turn: a tenth of a pool's units at a time. A change of CPU and memory alone is made in the
    /// running pod where the cluster can.
    #[serde(default, skip_serializing_if = "UpdateStrategy::is_on_restart")]
    #[schemars(extend("default" = "OnRestart"))]
    pub update_strategy: UpdateStrategy,
}

/// Whether a unit runs.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OperatingMode {
    /// It has a pod, and answers at its URL.
    #[default]
    Running,
    /// It has no pod, costs nothing, and can be started again.
    Suspended,
}

impl OperatingMode {
    /// What a unit that does not say is.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
    fn is_running(&self) -> bool {
        *self == Self::Running
    }
}

/// CPU, memory and devices, as a container has them.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// The most that the unit may use, by resource name: `cpu`, `memory`, `nvidia.com/gpu`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub limits: BTreeMap<String, Quantity>,

    /// What is set aside for the unit when it is placed on a node, by resource name. Absent: the limit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub requests: BTreeMap<String, Quantity>,
}

fn default_pool() -> String {
    "default".to_owned()
}
