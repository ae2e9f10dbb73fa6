//! `ComputingUnitPool`: the deployer's policy for units.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{
    ActivatorSpec, ActivitySpec, BackendProtocol, ClaimRetentionPolicy, ComputingUnitPoolStatus, Duration, EnvSpec,
    ExposedPort, ImageCatalogRef, PoolLifecycle, ProbeSpec, ResourcesSpec, RestartBackoff, Routing,
    VolumeClaimTemplate,
};

/// ComputingUnitPool is the deployer's policy for units: the Gateway and the routing, the pod template, the images on offer,
/// limits and timeouts. Units refer to it in `spec.poolName`. A change of the pool takes effect at the next start of a
/// unit. It restarts running units only if their `spec.updateStrategy` is `Recreate`.
#[allow(clippy::duplicated_attributes, reason = "columns of one type or priority")]
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "texera.apache.org",
    version = "v1alpha1",
    kind = "ComputingUnitPool",
    plural = "computingunitpools",
    singular = "computingunitpool",
    shortname = "cupool",
    category = "texera",
    namespaced,
    status = "ComputingUnitPoolStatus",
    derive = "PartialEq",
    printcolumn(name = "Routing", type_ = "string", json_path = ".spec.routing.type"),
    printcolumn(name = "Gateway", type_ = "string", json_path = ".spec.gatewayRef.name"),
    printcolumn(name = "Units", type_ = "integer", json_path = ".status.units.total"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.units.ready"),
    printcolumn(name = "Accepted", type_ = "string", json_path = ".status.conditions[?(@.type==\"Accepted\")].status"),
    // `Ready` has the reason of the first condition that is not True.
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Address", type_ = "string", json_path = ".status.addresses[0]", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.images) || self.images.filter(i, has(i.default) && i.default).size() <= 1", "spec.images must not have more than one default"),
    validation = ("!has(self.template.spec) || size(self.template.spec.containers) == 0 || (has(self.images) && self.images.exists(i, has(i.default) && i.default)) || (has(self.template.spec.containers[0].image) && self.template.spec.containers[0].image != '')", "an image is required: set spec.template.spec.containers[0].image, or mark one of spec.images as the default"),
    validation = ("!has(self.template.spec) || size(self.template.spec.containers) == 0 || !has(self.template.spec.containers[0].image) || !self.template.spec.containers[0].image.matches('^[^/]*[.]invalid(:[0-9]+)?/')", "spec.template.spec.containers[0].image is a placeholder; replace it with your image"),
    validation = ("!has(self.images) || !self.images.exists(i, i.image.matches('^[^/]*[.]invalid(:[0-9]+)?/'))", "spec.images must not have a placeholder; replace it with your image"),
    validation = ("has(self.volumeClaimTemplates) == has(oldSelf.volumeClaimTemplates) && (!has(self.volumeClaimTemplates) || self.volumeClaimTemplates == oldSelf.volumeClaimTemplates)", "spec.volumeClaimTemplates is immutable; create another pool"),
    validation = ("!has(self.routing.query) || self.routing.query.paths.exists(p, p.type != 'RegularExpression') || (has(self.probe) && has(self.probe.path))", "spec.probe.path is required if all of spec.routing.query.paths have type RegularExpression"),
    validation = ("has(self.routing.query) || !has(self.probe) || !has(self.probe.path) || !self.probe.path.contains('{key}')", "spec.probe.path must not contain {key} unless spec.routing.type is Query"),
    validation = ("!has(self.ports) || size(self.ports) == 0 || !has(self.routing.query)", "spec.ports requires spec.routing.type to be Path or Host"),
    validation = ("!has(self.activator) || !has(self.activator.hostnames) || (has(self.routing.query) && self.routing.query.lookup == 'Host')", "spec.activator.hostnames requires spec.routing.query.lookup to be Host"),
    validation = ("!has(self.routing.query) || self.routing.query.lookup != 'Host' || has(self.activator)", "spec.activator is required if spec.routing.query.lookup is Host; {} is enough"),
    validation = ("!has(self.env) || self.env.policy == 'Listed' || !has(self.template.spec) || size(self.template.spec.containers) == 0 || !has(self.template.spec.containers[0].envFrom) || size(self.template.spec.containers[0].envFrom) == 0", "spec.env.policy must be Listed if spec.template.spec.containers[0].envFrom is set, because a variable of a unit would override one from there")
)]
pub struct ComputingUnitPoolSpec {
    /// Gateway that the routes of the units attach to. Immutable.
    #[x_kube(validation = ("self == oldSelf", "spec.gatewayRef is immutable; create another pool"))]
    pub gateway_ref: GatewayRef,

    /// How the Gateway routes requests to units.
    pub routing: Routing,

    /// Template of the units' pods. The first container is the engine. It serves HTTP on its container port named `http`, or
    /// on 8085 if no port has that name. The image, resources and environment of the unit apply to this container. Labels
    /// and annotations are copied, except those that are reserved for the operator. With `terminationMessagePolicy:
    /// FallbackToLogsOnError` the status of a unit has the last log lines of an engine that failed.
    #[x_kube(
        validation = ("has(self.spec) && size(self.spec.containers) > 0", "spec.template.spec.containers must have at least one container, the engine"),
        validation = ("!has(self.spec) || !has(self.spec.restartPolicy) || self.spec.restartPolicy in ['Always', 'OnFailure', 'Never']", "spec.template.spec.restartPolicy must be Always, OnFailure or Never")
    )]
    pub template: PodTemplateSpec,

    /// Protocol between the Gateway and the engine. It is `appProtocol` of the Service. If absent, the Gateway speaks HTTP/1.1,
    /// unless somebody else has set `appProtocol`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<BackendProtocol>,

    /// Other HTTP ports of the units that have addresses, for example for development servers that a notebook starts. Path and
    /// Host mode only. A client that may reach a unit may reach its ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = ("self.all(a, self.exists_one(b, a.port == b.port))", "spec.ports must not have one number twice")
    )]
    pub ports: Vec<ExposedPort>,

    /// Images that units can choose from. If empty, every unit runs the image of the template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub images: Vec<OfferedImage>,

    /// More images that units can choose from, which can be changed without permission to change the pool. A name or a reference
    /// in `images` takes precedence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_catalog: Option<ImageCatalogRef>,

    /// Secrets and ConfigMaps that units can refer to in `env` and `envFrom`. If absent, units cannot refer to any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<References>,

    /// Environment variables that units can set. If absent, `policy` is `Allowed`, or `Listed` if the engine's container in the
    /// template has `envFrom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvSpec>,

    /// Resources that units can request in `spec.resources`.
    #[serde(default)]
    pub resources: ResourcesSpec,

    /// Time in which the pod of a unit must be Ready after its creation. Otherwise the unit fails: its pod is deleted, and it
    /// is not retried until it is edited or resumed, or the template of the pool changes.
    #[serde(default = "default_start_timeout")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.startTimeout must be greater than 0"))]
    pub start_timeout: Duration,

    /// Time that the proxies have to drop the route of a unit before its pod is stopped anyway. The finalizer of a unit
    /// that is being deleted is removed at most 20 s later.
    #[serde(default = "default_drain_timeout")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.drainTimeout must be greater than 0"))]
    pub drain_timeout: Duration,

    /// Request that verifies that a unit is reachable through the Gateway.
    #[serde(default)]
    pub probe: ProbeSpec,

    /// PersistentVolumeClaims that are created for each unit and that outlive its pods. Immutable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub volume_claim_templates: Vec<VolumeClaimTemplate>,

    /// Whether the PersistentVolumeClaims of a unit are deleted with it.
    #[serde(default)]
    pub persistent_volume_claim_retention_policy: ClaimRetentionPolicy,

    /// Delay before a pod that was lost or has failed is recreated.
    #[serde(default)]
    pub restart_backoff: RestartBackoff,

    /// Defaults and maximums for `spec.lifecycle` of the units.
    #[serde(default)]
    pub lifecycle: PoolLifecycle,

    /// Signals from which the operator decides if a unit is in use.
    #[serde(default)]
    pub activity: ActivitySpec,

    /// Activator for units that have no route. If absent, the Gateway answers requests for them, usually with 404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activator: Option<ActivatorSpec>,
}

/// Reference to a Gateway.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRef {
    /// Name of the Gateway.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: String,
    /// Namespace of the Gateway.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: String,
    /// Listener of the Gateway that the routes attach to. If absent, they attach to every listener that allows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub section_name: Option<String>,
}

/// An image that units can choose.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferedImage {
    /// Name by which units choose the image in `spec.image`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"))]
    pub name: String,
    /// Image reference with tag (`repository:tag`) or digest (`repository@sha256:...`).
    #[schemars(length(min = 1, max = 1024))]
    pub image: String,
    /// If true, units without `spec.image` run this image.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
}

/// Secrets and ConfigMaps that units can refer to. `{unit}` in a name is replaced by the name of the unit, which the creator of
/// the unit chooses, and `{uid}` by its UID, which nobody can choose.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct References {
    /// Names of Secrets that units can refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("self.all(name, name != '{unit}')", "spec.references.secrets must not contain {unit} alone, because a unit can have the name of any Secret; use {uid}, or a pattern such as cu-{unit}-credentials")
    )]
    pub secrets: Vec<String>,
    /// Names of ConfigMaps that units can refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("self.all(name, name != '{unit}')", "spec.references.configMaps must not contain {unit} alone, because a unit can have the name of any ConfigMap; use {uid}, or a pattern such as cu-{unit}-settings")
    )]
    pub config_maps: Vec<String>,
}

fn default_start_timeout() -> Duration {
    Duration::from_secs(600)
}

fn default_drain_timeout() -> Duration {
    Duration::from_secs(10)
}
