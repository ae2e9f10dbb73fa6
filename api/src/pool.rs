//! `ComputingUnitPool`: what the deployer decides for the units made from it.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{
    ActivatorSpec, ActivitySpec, ClaimRetentionPolicy, ComputingUnitPoolStatus, Duration, PoolLifecycle, ProbeSpec,
    RestartBackoff, Routing, VolumeClaimTemplate,
};

/// A ComputingUnitPool is what the deployer offers: the gateway and the routing of the units made from it, the pod they
/// run in, the images to choose from and how long a start may take. Units name it in `spec.poolName`. A change
/// restarts no running unit but those that ask for it by `spec.updateStrategy`: it takes effect when the unit is next
/// started.
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
    printcolumn(name = "Address", type_ = "string", json_path = ".status.addresses[0]", priority = 1),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].reason",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!has(self.images) || self.images.filter(i, has(i.default) && i.default).size() <= 1", "spec.images: mark at most one image as the default"),
    validation = ("!has(self.template.spec) || size(self.template.spec.containers) == 0 || (has(self.images) && self.images.exists(i, has(i.default) && i.default)) || (has(self.template.spec.containers[0].image) && self.template.spec.containers[0].image != '')", "a unit needs an image: give spec.template.spec.containers[0].image, or mark one of spec.images as the default"),
    validation = ("has(self.volumeClaimTemplates) == has(oldSelf.volumeClaimTemplates) && (!has(self.volumeClaimTemplates) || self.volumeClaimTemplates == oldSelf.volumeClaimTemplates)", "spec.volumeClaimTemplates cannot be changed, for units have their volumes: create another pool"),
    validation = ("!has(self.routing.query) || self.routing.query.paths.exists(p, p.type != 'RegularExpression') || (has(self.probe) && has(self.probe.path))", "a regular expression is no path to ask for: give spec.probe.path, or one of spec.routing.query.paths of another type"),
    validation = ("!has(self.routing.query) || self.routing.query.lookup != 'Host' || has(self.activator)", "with spec.routing.query.lookup: Host every request comes by the pool's entry: give spec.activator ({} is enough)")
)]
pub struct ComputingUnitPoolSpec {
    /// The Gateway that the units' routes attach to. Cannot be changed: another gateway is another pool.
    #[x_kube(validation = ("self == oldSelf", "spec.gatewayRef cannot be changed: create another pool"))]
    pub gateway_ref: GatewayRef,

    /// How a request finds its unit.
    pub routing: Routing,

    /// The pod that a unit runs in. Its first container is the unit's engine, which serves HTTP on the container port
    /// named `http` (8085 where none has that name); the unit's image, resources and environment go into that
    /// container. Labels and annotations are copied, except those that the operator sets itself.
    #[x_kube(
        validation = ("has(self.spec) && size(self.spec.containers) > 0", "spec.template.spec.containers needs at least one container: the unit's engine"),
        validation = ("!has(self.spec) || !has(self.spec.restartPolicy) || self.spec.restartPolicy in ['Always', 'OnFailure', 'Never']", "spec.template.spec.restartPolicy must be Always, OnFailure or Never")
    )]
    pub template: PodTemplateSpec,

    /// The images that units may choose from. None: every unit runs the template's image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub images: Vec<OfferedImage>,

    /// The Secrets and ConfigMaps that units may name in `env` and `envFrom`. None: no unit may name any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<References>,

    /// How long a unit may take from the creation of its pod to its pod being Ready, before it is given up: its pod is
    /// removed, and it is not tried again until it is edited or resumed.
    #[serde(default = "default_start_timeout")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.startTimeout must be more than 0"))]
    pub start_timeout: Duration,

    /// How long the proxies may take to give up a unit's route before its pod is stopped; 20 s later the unit is let
    /// go in any case.
    #[serde(default = "default_drain_timeout")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.drainTimeout must be more than 0"))]
    pub drain_timeout: Duration,

    /// How the operator finds out that a unit can be reached through the gateway.
    #[serde(default)]
    pub probe: ProbeSpec,

    /// Volumes that each unit has of its own and that outlive its pods. Cannot be changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub volume_claim_templates: Vec<VolumeClaimTemplate>,

    /// What becomes of those volumes.
    #[serde(default)]
    pub persistent_volume_claim_retention_policy: ClaimRetentionPolicy,

    /// The delay before a pod that was lost, or that ended by its own fault, is made anew.
    #[serde(default)]
    pub restart_backoff: RestartBackoff,

    /// Defaults and ceilings of what units ask for in their `lifecycle`.
    #[serde(default)]
    pub lifecycle: PoolLifecycle,

    /// What tells whether a unit is in use.
    #[serde(default)]
    pub activity: ActivitySpec,

    /// What the operator answers at the addresses of units that have no route. Absent: nothing does, which is a 404 of the
    /// gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activator: Option<ActivatorSpec>,
}

/// One Gateway.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRef {
    /// Name of the Gateway.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the Gateway.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// The listener of the Gateway that routes attach to. Absent: every listener that admits them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

/// An image that units may choose.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferedImage {
    /// What units call it.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"))]
    pub name: String,
    /// Its reference, by tag (`repository:tag`) or by digest (`repository@sha256:...`).
    #[schemars(length(min = 1, max = 1024))]
    pub image: String,
    /// Whether units that name no image run this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
}

/// The objects that units may take values from. In each name `{unit}` stands for the unit's name.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct References {
    /// Names of Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub secrets: Vec<String>,
    /// Names of ConfigMaps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub config_maps: Vec<String>,
}

fn default_start_timeout() -> Duration {
    Duration::from_secs(600)
}

fn default_drain_timeout() -> Duration {
    Duration::from_secs(10)
}
