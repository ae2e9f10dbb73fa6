//! The status of a `ComputingUnit`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{Phase, PortStatus, ProbeMethod, ProbeSpec, ScheduleStatus};

/// Most recently observed status of the unit.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComputingUnitStatus {
    /// `metadata.generation` that the operator observed most recently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Summary of the conditions for people, for example Pending, Starting, Ready or Failed. Later releases can add phases.
    /// Clients should use the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// URL of the unit. It answers while the unit is Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// URLs of the ports in `spec.ports` of the pool. They answer if something listens on the port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub ports: Vec<PortStatus>,

    /// Routing key of the unit: its cuid or its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,

    /// Routing key that the unit holds, with the Gateway and the scope in which it is unique. No other unit gets the key
    /// while it is recorded here. Opaque to clients: `key` is the value that requests carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_key: Option<String>,

    /// Name of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,

    /// Name of the node that the pod runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,

    /// Image of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,

    /// Time at which the current start began, that is, at which the pod was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,

    /// Times at which the current start reached each stage.
    #[serde(default, skip_serializing_if = "Stages::is_empty")]
    pub stages: Stages,

    /// Generation of the HTTPRoute, and of its Gateway, with which every proxy answered for this unit most recently, and the
    /// probe that it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_route: Option<VerifiedRoute>,

    /// Time of the last use, and time at which the unit is stopped as idle. Present if the unit has an idle timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,

    /// Time at which the unit is deleted because it has been suspended for its `ttlSecondsAfterSuspended`. Present while the
    /// unit is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,

    /// Next times of the schedule of the unit. Updated when one of them has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleStatus>,

    /// Most recent failure of a pod of the unit. It is kept when the unit runs again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,

    /// Restarts of the pod since it was last Ready for `spec.restartBackoff.reset` of the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<Restarts>,

    /// Whether the unit holds a slot in the rollout of its pool, so that other units wait: its pod is being replaced, or the
    /// unit has not been Ready since, or it has failed with the new template.
    #[serde(default, skip_serializing_if = "is_false")]
    pub rollout_slot: bool,

    /// Conditions of the unit. `Accepted`, `PodReady`, `RouteAccepted` and `Reachable` are always present, and `Ready`
    /// unless the unit is suspended or finished as its spec asks. `Stalled` is present if the unit has failed.
    /// `Suspended` is present while `spec.operatingMode` is `Suspended`, `Expiring` if the suspended unit is deleted soon, `UpdatePending` while a change takes effect at the
    /// next start, `ResizePending` while CPU and memory of the running pod are being changed, `Replacing` while the pod is
    /// being replaced to apply a change, `Overridden` while admission keeps children from being as the operator writes them, and `Finished` if the unit does not run again unless it is edited or resumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Times at which a start reached each stage.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stages {
    /// The unit was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Time>,
    /// The last scheduling gate of the pod was removed. `startTimeout` counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ungated: Option<Time>,
    /// The pod was scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Time>,
    /// The pod became Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_ready: Option<Time>,
    /// The Gateway's controller accepted the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_accepted: Option<Time>,
    /// Every proxy answered for the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable: Option<Time>,
}

impl Stages {
    /// Whether no stage was reached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Generation of an HTTPRoute.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedRoute {
    /// `metadata.uid` of the HTTPRoute.
    pub uid: String,
    /// `metadata.generation` of the HTTPRoute.
    pub generation: i64,
    /// Version of the Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<VerifiedGateway>,
    /// Probe that the proxies answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<VerifiedProbe>,
}

/// Probe of a pool.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedProbe {
    /// `spec.probe.method` of the pool.
    pub method: ProbeMethod,
    /// `spec.probe.path` of the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl From<&ProbeSpec> for VerifiedProbe {
    fn from(probe: &ProbeSpec) -> Self {
        Self { method: probe.method, path: probe.path.clone() }
    }
}

/// Version of a Gateway.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedGateway {
    /// `metadata.uid` of the Gateway.
    pub uid: String,
    /// `metadata.generation` of the Gateway.
    pub generation: i64,
}

/// Activity of a unit.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// Time of the last known use. Updated in steps of a tenth of the idle timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    /// Signal that reported the last use: Start, Request, Traffic, BusyProbe or Annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Time at which the unit is stopped as idle unless it is used before. Absent if a signal cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_at: Option<Time>,
    /// Signal that cannot be read, and the error. The unit is not stopped while this is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Failure of a pod: it was lost, it ended, or it could not be started.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Time of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// Reason of the failure in CamelCase.
    pub reason: String,
    /// Human-readable message, with the last lines of the container's output if available.
    pub message: String,
    /// Name of the container that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Exit code of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Hash of the template that the pod was created from. A unit that failed is started again if its template changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_hash: Option<String>,
}

/// Restarts of a unit's pod.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restarts {
    /// Number of restarts since the pod was last Ready for `spec.restartBackoff.reset` of the pool.
    pub count: i32,
    /// Time at which the next pod is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Time>,
}
